"""Application credentials: made, used, confined by access rules, ended."""

import base64
import hmac

import pytest

from maldon.identity.service import Passwords, TokenVerifier
from tests.identity_cloud import DEMO_USER, QUICK, identity_cloud, project_scope


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


class Own:
    """Demo's application credentials."""

    def __init__(self, keystone, demo, user_id, project_id):
        self.keystone, self.demo, self.user_id, self.project_id = keystone, demo, user_id, project_id
        self.at = f"/users/{user_id}/application_credentials"

    @classmethod
    async def begin(cls, keystone):
        demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
        return cls(keystone, demo, await keystone.id_of("user", "demo"), await keystone.id_of("project", "demo"))

    async def make(self, who=None, **values):
        body = {"application_credential": {"name": "app"} | values}
        got = await (who or self.demo)("POST", self.at, body)
        assert got.status == 201, got.body
        return got.json["application_credential"]

    async def login(self, made, scope=None, **more):
        shown = {"id": made["id"], "secret": made["secret"]} | more
        shown = {k: v for k, v in shown.items() if v is not None}
        proof = {"methods": ["application_credential"], "application_credential": shown}
        return await self.keystone.auth(proof, scope)

    async def logged_in(self, made):
        got = await self.login(made)
        assert got.status == 201, got.body
        return self.keystone.as_(got.headers["x-subject-token"])


@pytest.fixture
async def own(keystone):
    return await Own.begin(keystone)


async def test_the_secret_is_told_once(own, keystone):
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers/*/ips"}
    made = await own.make(
        secret="s3cret",
        description="d",
        expires_at="2030-01-02T03:04:05",
        roles=[{"name": "reader"}],
        access_rules=[rule],
    )
    (confined,) = made["access_rules"]
    wanted = {
        "id": made["id"],
        "name": "app",
        "description": "d",
        "user_id": own.user_id,
        "project_id": own.project_id,
        "system": None,
        "expires_at": "2030-01-02T03:04:05.000000",
        "unrestricted": False,
        "roles": [{"id": await keystone.id_of("role", "reader"), "name": "reader", "domain_id": None}],
        "access_rules": [{"id": confined["id"]} | rule],
        "links": {"self": f"http://cloud.test/identity/v3{own.at}/{made['id']}"},
    }
    assert made == wanted | {"secret": "s3cret"}
    assert (await own.demo("GET", f"{own.at}/{made['id']}")).json["application_credential"] == wanted
    assert (await own.demo("GET", own.at)).json["application_credentials"] == [wanted]
    assert (await keystone("GET", f"{own.at}?name=app")).json["application_credentials"] == [wanted]
    assert (await own.demo("GET", f"{own.at}?name=other")).json["application_credentials"] == []
    assert len((await own.make(name="made up"))["secret"]) > 60


async def test_it_logs_in_for_its_project_with_its_roles(own, keystone):
    made = await own.make(roles=[{"name": "reader"}])
    got = await own.login(made)
    token = got.json["token"]
    assert (token["methods"], token["project"]["id"]) == (["application_credential"], own.project_id)
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"] == {"id": made["id"], "name": "app", "restricted": True}
    by_name = {"id": None, "name": "app", "user": {"name": "demo", "domain": {"id": "default"}}}
    assert (await own.login(made, **by_name)).json["token"]["project"]["id"] == own.project_id
    assert (await own.login(made, **(by_name | {"user": {"id": own.user_id}}))).status == 201
    proof = {"methods": ["token"], "token": {"id": got.headers["x-subject-token"]}}
    again = (await keystone.auth(proof, project_scope("demo"))).json["token"]
    assert [role["name"] for role in again["roles"]] == ["reader"]
    assert again["application_credential"]["id"] == made["id"]
    for scope in (project_scope("admin"), "unscoped", {"system": {"all": True}}):
        assert (await own.login(made, scope)).status == 401
        assert (await keystone.auth(proof, scope)).status == 401


async def test_a_refused_secret_costs_one_check_and_says_nothing(own, keystone):
    made = await own.make(expires_at="2023-11-14T22:14:00Z")
    by_name = {"id": None, "name": "app", "user": {"id": "nobody"}}
    tries = [{"secret": "wrong"}, {"id": "none"}, by_name, by_name | {"name": "none"}]
    for more in tries:
        before = keystone.cloud.kit[Passwords].checks
        got = await own.login(made, **more)
        assert (got.status, got.json["error"]["message"]) == (
            401,
            "The request you have made requires authentication.",
        )
        assert keystone.cloud.kit[Passwords].checks == before + 1
    assert (await own.login(made, id=None)).status == 400
    got = await own.login(made)
    assert got.json["token"]["expires_at"] == "2023-11-14T22:14:00.000000Z"
    keystone.cloud.clock.advance(60)
    assert (await own.login(made)).status == 401
    assert (await keystone.look(got.headers["x-subject-token"])).status == 404


async def test_only_an_unrestricted_one_makes_others(own):
    tight = await own.logged_in(await own.make())
    wide = await own.logged_in(await own.make(name="wide", unrestricted=True))
    body = {"application_credential": {"name": "child"}}
    trust = {"trustor_user_id": own.user_id, "trustee_user_id": own.user_id, "impersonation": False}
    trust |= {"project_id": own.project_id, "roles": [{"name": "member"}]}
    assert (await tight("POST", own.at, body)).status == 403
    assert (await tight("POST", "/OS-TRUST/trusts", {"trust": trust})).status == 403
    assert (await wide("POST", own.at, body)).status == 201
    assert (await wide("POST", "/OS-TRUST/trusts", {"trust": trust})).status == 201
    (child,) = (await tight("GET", f"{own.at}?name=child")).json["application_credentials"]
    assert (await tight("DELETE", f"{own.at}/{child['id']}")).status == 403
    assert (await wide("DELETE", f"{own.at}/{child['id']}")).status == 204


async def test_access_rules_are_obeyed_by_every_service(own, keystone):
    rules = [
        {"service": "identity", "method": "GET", "path": "/v3/auth/projects"},
        {"service": "identity", "method": "GET", "path": "/v3/users/{user_id}/**"},
    ]
    made = await own.make(access_rules=rules)
    app = await own.logged_in(made)
    allowed = ["/auth/projects", own.at, f"{own.at}/{made['id']}"]
    refused = ["/auth/domains", f"/users/{own.user_id}"]
    assert [(await app("GET", path)).status for path in allowed] == [200, 200, 200]
    assert [(await app("GET", path)).status for path in refused] == [401, 401]
    assert (await app("HEAD", "/auth/projects")).status == 401
    assert (await keystone.look(app.token)).status == 404
    got = await keystone("GET", "/auth/tokens", X_Subject_Token=app.token, OpenStack_Identity_Access_Rules="1.0")
    shown = got.json["token"]["application_credential"]["access_rules"]
    assert [{k: v for k, v in rule.items() if k != "id"} for rule in sorted(shown, key=lambda r: r["path"])] == rules
    nothing = await own.logged_in(await own.make(name="nothing", access_rules=[]))
    assert (await nothing("GET", "/auth/projects")).status == 401


async def test_access_rules_outlive_their_credentials_and_are_shared(own):
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
    one = await own.make(access_rules=[rule])
    id_ = one["access_rules"][0]["id"]
    two = await own.make(name="two", access_rules=[{"id": id_}, rule])
    assert two["access_rules"] == one["access_rules"]
    at = f"/users/{own.user_id}/access_rules"
    shown = rule | {"id": id_, "links": {"self": f"http://cloud.test/identity/v3{at}/{id_}"}}
    assert (await own.demo("GET", at)).json["access_rules"] == [shown]
    assert (await own.demo("GET", f"{at}/{id_}")).json["access_rule"] == shown
    assert (await own.demo("DELETE", f"{at}/{id_}")).status == 403
    for made in (one, two):
        assert (await own.demo("DELETE", f"{own.at}/{made['id']}")).status == 204
    assert (await own.demo("DELETE", f"{at}/{id_}")).status == 204
    assert (await own.demo("GET", f"{at}/{id_}")).status == 404
    assert (await own.demo("GET", at)).json["access_rules"] == []


async def end(own, keystone, what, made):
    user, project = f"/users/{own.user_id}", f"/projects/{own.project_id}"
    match what:
        case "deleted":
            return await own.demo("DELETE", f"{own.at}/{made['id']}")
        case "role lost":
            return await keystone("DELETE", f"{project}{user}/roles/{await keystone.id_of('role', 'member')}")
        case "user disabled":
            return await keystone("PATCH", user, {"user": {"enabled": False}})
        case "password reset":
            return await keystone("PATCH", user, {"user": {"password": "another"}})
        case "user deleted":
            return await keystone("DELETE", user)
        case "project deleted":
            return await keystone("DELETE", project)
    raise AssertionError(what)


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("deleted", 401),
        ("role lost", 401),
        ("user disabled", 401),
        ("password reset", 201),
        ("user deleted", 401),
        ("project deleted", 401),
    ],
)
async def test_what_it_stands_on_takes_its_tokens_along(own, keystone, what, after):
    made = await own.make(access_rules=[{"service": "identity", "method": "GET", "path": "/v3/auth/projects"}])
    app = await own.logged_in(made)
    call = ("identity", "GET", "/v3/auth/projects")
    elsewhere = TokenVerifier(keystone.cloud.db, keystone.keys, keystone.cloud.clock, QUICK)
    assert (await elsewhere.actor(app.token, *call)).project_id == own.project_id
    assert (await end(own, keystone, what, made)).status in {200, 204}
    assert (await app("GET", "/auth/projects")).status == 401
    keystone.cloud.clock.advance(1)
    with pytest.raises(Exception, match="requires authentication"):
        await elsewhere.actor(app.token, *call)
    assert (await own.login(made)).status == after


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"name": ""}, 400),
        ({"secret": ""}, 400),
        ({"expires_at": "soon"}, 400),
        ({"expires_at": "2020-01-01T00:00:00"}, 400),
        ({"roles": [{"name": "admin"}]}, 400),
        ({"roles": [{"id": "none"}]}, 400),
        ({"roles": [{}]}, 400),
        ({"access_rules": [{"service": "compute"}]}, 400),
        ({"access_rules": [{"id": "none"}]}, 400),
        ({"access_rules": [{"service": "compute", "method": "BREW", "path": "/"}]}, 400),
        ({"access_rules": [{"service": "compute", "method": "GET", "path": "servers"}]}, 400),
    ],
)
async def test_one_that_cannot_be_is_refused(own, values, status):
    got = await own.demo("POST", own.at, {"application_credential": {"name": "app"} | values})
    assert got.status == status, got.body
    assert (await own.demo("GET", own.at)).json["application_credentials"] == []


async def test_they_are_their_users_own(own, keystone):
    made = await own.make()
    await keystone.user("ann")
    ann = await keystone.logged_in("ann", "pw", project_scope("demo"))
    calls = [("GET", own.at), ("POST", own.at), ("GET", f"{own.at}/{made['id']}"), ("DELETE", f"{own.at}/{made['id']}")]
    calls += [("GET", f"/users/{own.user_id}/access_rules")]
    body = {"application_credential": {"name": "hers"}}
    assert [(await ann(method, path, body if method == "POST" else None)).status for method, path in calls] == [403] * 5
    assert (await keystone("POST", own.at, body)).status == 403
    assert (await own.demo("POST", own.at, {"application_credential": {"name": "app"}})).status == 409
    unscoped = await keystone.logged_in("demo", DEMO_USER, "unscoped")
    assert (await unscoped("POST", own.at, body)).status == 400
    assert (await keystone("DELETE", f"{own.at}/{made['id']}")).status == 204
    assert (await own.demo("GET", f"{own.at}/{made['id']}")).status == 404


async def test_an_ec2_credential_made_with_one_is_good_for_no_more(own, keystone):
    made = await own.make(roles=[{"name": "reader"}], expires_at="2023-11-14T22:20:00Z", unrestricted=True)
    app, at = await own.logged_in(made), f"/users/{own.user_id}/credentials/OS-EC2"
    whole = (await own.demo("POST", at, {"tenant_id": own.project_id})).json["credential"]
    ec2 = (await app("POST", at, {"tenant_id": own.project_id})).json["credential"]
    text = "GET\n\n\nTue, 14 Nov 2023 22:13:22 +0000\n/bucket/object"

    async def signed(key):
        signature = base64.b64encode(hmac.digest(key["secret"].encode(), text.encode(), "sha1")).decode()
        shown = {"access": key["access"], "token": base64.b64encode(text.encode()).decode(), "signature": signature}
        return await keystone("POST", "/s3tokens", {"credentials": shown})

    roles = [[role["name"] for role in (await signed(key)).json["token"]["roles"]] for key in (whole, ec2)]
    assert roles == [["member", "reader"], ["reader"]]
    assert (await signed(ec2)).json["token"]["expires_at"] == "2023-11-14T22:20:00.000000Z"
    elsewhere, reader = await keystone.id_of("project", "admin"), await keystone.id_of("role", "reader")
    assert (await keystone("PUT", f"/projects/{elsewhere}/users/{own.user_id}/roles/{reader}")).status == 204
    assert (await app("POST", at, {"tenant_id": elsewhere})).status == 403
    tight = await own.logged_in(await own.make(name="tight"))
    assert (await tight("POST", at, {"tenant_id": own.project_id})).status == 403
    calls = [
        ("GET", at),
        ("GET", f"{at}/{whole['access']}"),
        ("DELETE", f"{at}/{whole['access']}"),
        ("GET", "/credentials"),
    ]
    assert [(await tight(*call)).status for call in calls] == [403] * 4
    blob = {"credential": {"user_id": own.user_id, "type": "totp", "blob": "GEZDGNBVGY3TQOJQ"}}
    assert (await tight("POST", "/credentials", blob)).status == 403
    assert (await own.demo("DELETE", f"{own.at}/{made['id']}")).status == 204
    assert (await signed(ec2)).status == 401
    assert (await signed(whole)).status == 200
