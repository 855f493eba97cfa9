"""Who is let in by identity's tokens, by names and by services; what /info tells whom."""

import hmac
import time
from dataclasses import replace

import pytest

from maldon.objectstore.middleware.tempauth import TempauthSettings
from maldon.objectstore.service import disks, open_cluster, proxy_app
from maldon.objectstore.settings import ObjectSettings
from tests.harness import DEMO, OTHER, TOKENS
from tests.object_cloud import Asker, Tokens, object_store

AWAY = "f" * 32
PEOPLE = {
    "demo": replace(TOKENS["demo"], project_name="demos", project_domain_id="default"),
    "other": replace(TOKENS["other"], project_name="others", project_domain_id="default"),
    "away": replace(
        TOKENS["other"], user_id="u-away", project_id=AWAY, project_name="others", project_domain_id="d2",
        user_domain_id="d2",
    ),
    "guest": replace(TOKENS["other"], user_id="u-guest", user_name="guest", project_name="others",
                     project_domain_id="d2"),
    "image": replace(TOKENS["other"], user_id="u-image", roles=("Service",), project_id="9" * 32),
}  # fmt: skip


class Named(Tokens):
    """Tokens of people whose projects have names and domains."""

    async def actor(self, token):
        return PEOPLE[token] if token in PEOPLE else await super().actor(token)

    def remembered(self, token):
        return PEOPLE[token] if token in PEOPLE else super().remembered(token)


@pytest.fixture
async def store(tmp_path):
    settings = ObjectSettings(service_prefixes=("SERVICE_:service",), known_s=0.0)
    cluster = open_cluster(tmp_path, settings)
    async with disks(cluster):
        made = Asker(proxy_app(cluster, Named()))
        await made("PUT", "c")
        await made("PUT", "c/o", b"x")
        yield made


async def statuses(store, path, *askers):
    """What GET says to each."""
    return [(await store.as_(token)("GET", path)).status for token in askers]


@pytest.mark.parametrize(
    ("acl", "sees"),
    [
        ("others:other", [200, 403, 403]), ("others:*", [200, 403, 403]), ("*:other", [200, 403, 403]),
        ("others:nobody", [403, 403, 403]), (f"{OTHER}:*", [200, 403, 200]), (f"{OTHER}:u-guest", [403, 403, 200]),
        (f"others:*,{AWAY}:*", [200, 200, 403]), (f"{OTHER}:other", [200, 403, 403]), ("*:u-away", [403, 200, 403]),
        (":", [403, 403, 403]), ("*:*", [200, 200, 200]),
    ],
)  # fmt: skip
async def test_lists_name_users_and_projects_of_the_default_domain(store, acl, sees):
    assert (await store("POST", "c", X_Container_Read=acl)).status == 204
    assert await statuses(store, "c/o", "other", "away", "guest") == sees
    assert (await store("HEAD", "c")).headers["x-container-read"] == acl


async def test_names_in_a_list_from_elsewhere_are_nobodys(store):
    away = store.as_("away", f"AUTH_{AWAY}")
    assert (await away("PUT", "c", X_Container_Read="others:other,demos:*")).status == 201
    await away("PUT", "c/o", b"x")
    assert [(await away.as_(token)("GET", "c/o")).status for token in ("demo", "other", "away")] == [403, 403, 200]
    reseller = away.as_("reseller")
    assert (await reseller("POST", "c", X_Container_Read=f"others:other,{DEMO}:*")).status == 204
    assert [(await away.as_(token)("GET", "c/o")).status for token in ("demo", "other")] == [200, 403]


async def test_names_may_be_left_out_of_lists(tmp_path):
    cluster = open_cluster(tmp_path, ObjectSettings(allow_names_in_acls=False, known_s=0.0))
    async with disks(cluster):
        store = Asker(proxy_app(cluster, Named()))
        await store("PUT", "c", X_Container_Read="others:*")
        assert (await store.as_("other")("GET", "c")).status == 403


async def test_an_account_says_of_which_domain_its_project_is(store):
    away = store.as_("away", f"AUTH_{AWAY}")
    assert "x-account-project-domain-id" not in (await away("HEAD")).headers
    assert (await away("PUT", "c")).status == 201
    assert (await away("HEAD")).headers["x-account-project-domain-id"] == "d2"
    assert (await store("GET")).headers["x-account-project-domain-id"] == "default"
    assert (await store("POST", X_Account_Sysmeta_Project_Domain_Id="mine")).status == 204
    assert (await store("HEAD")).headers["x-account-project-domain-id"] == "default"


async def test_an_account_shared_with_a_service_wants_both(store):
    shared = store.as_("demo", f"SERVICE_{DEMO}")
    assert (await shared("PUT", "c")).status == 403
    for service, status in (("image", 201), ("demo", 403), ("none", 403), ("", 403)):
        assert (await shared("PUT", f"c{status}", X_Service_Token=service)).status == status
    for token, status in (("other", 403), ("image", 403), ("", 401), ("reseller", 201)):
        answer = await shared.as_(token)("PUT", f"c-{token}", X_Service_Token="image")
        assert (token, answer.status) == (token, status)
    assert (await shared.as_("image")("GET", "c201", X_Service_Token="demo")).status == 403
    both = {"X_Service_Token": "image"}
    assert (await shared("PUT", "c201/o", b"x", **both)).status == 201
    assert (await shared("GET", "c201/o")).status == 403
    copied = await store("COPY", "c/o", Destination="c201/p", Destination_Account=shared.account, **both)
    assert copied.status == 201
    assert (await store("COPY", "c/o", Destination="c201/q", Destination_Account=shared.account)).status == 403
    assert (await shared("GET", "c201", **both)).body == b"o\np\n"


async def test_a_service_of_the_stores_own_users(tmp_path):
    users = TempauthSettings(("acct:owner:secret:.admin", "image:svc:key:service", "root:r:toor:.reseller_admin"))
    settings = {"without": ("name_check", "identity"), "service_prefixes": ("SERVICE_:service",)}
    async with object_store(tmp_path, users, **settings) as store:
        tokens = {}
        for name, key in (("acct:owner", "secret"), ("image:svc", "key"), ("root:r", "toor")):
            answer = await store.as_("").raw("GET", "/auth/v1.0", X_Auth_User=name, X_Auth_Key=key)
            tokens[name] = answer.headers["x-auth-token"]
        for user, service, status in (
            ("acct:owner", "image:svc", 201), ("acct:owner", "acct:owner", 403), ("acct:owner", "", 403),
            ("image:svc", "acct:owner", 403), ("root:r", "", 202), ("", "image:svc", 401),
        ):  # fmt: skip
            asker = store.as_(tokens.get(user, ""), "SERVICE_acct")
            answer = await asker("PUT", "c", X_Service_Token=tokens.get(service))
            assert (user, service, answer.status) == (user, service, status)


def signed(key, until, method="GET", path="/info", digest="sha256"):
    made = hmac.new(key.encode(), f"{method}\n{until}\n{path}".encode(), digest).hexdigest()
    return f"swiftinfo_sig={made}&swiftinfo_expires={until}"


async def test_what_is_hidden_of_info_is_shown_to_who_signs(tmp_path):
    hidden = ("tempurl", "swift.version", "none.at_all")
    until = int(time.time()) + 100
    async with object_store(tmp_path, info_hidden=hidden, info_key="secret") as store:
        anybody = store.as_("")
        public = (await anybody.raw("GET", "/info")).json
        assert ("tempurl" in public, "version" in public["swift"], "admin" in public) == (False, False, False)
        for digest in ("sha1", "sha256", "sha512"):
            whole = (await anybody.raw("GET", "/info", query=signed("secret", until, digest=digest))).json
            assert whole["admin"] == {"disallowed_sections": list(hidden)}
            assert ("tempurl" in whole, "version" in whole["swift"]) == (True, True)
        assert (await anybody.raw("HEAD", "/info", query=signed("secret", until))).status == 200
        assert (await anybody.raw("HEAD", "/info", query=signed("secret", until, "HEAD"))).status == 200
        for query in (
            signed("guess", until), signed("secret", 100), signed("secret", until, "HEAD"), "swiftinfo_sig=x",
            signed("secret", until, path="/v1"), f"swiftinfo_expires={until}", "swiftinfo_expires=x&swiftinfo_sig=x",
        ):  # fmt: skip
            assert (await anybody.raw("GET", "/info", query=query)).status == 401
        assert (await anybody.raw("PUT", "/info")).status == 405
    async with object_store(tmp_path) as store:
        assert (await store.raw("GET", "/info", query=signed("", until))).status == 403
    async with object_store(tmp_path, expose_info=False) as store:
        assert (await store.raw("GET", "/info")).status == 403
