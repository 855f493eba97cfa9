"""OAuth 1.0a: a consumer asks, a user authorizes, the consumer exchanges and then acts with the user's roles."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest

from maldon.identity.service import CredentialKeys, rotate_credential_keys
from tests.identity_cloud import identity_cloud, project_scope
from tests.oauth1 import signed

ROOT = "/OS-OAUTH1"
PROOF = {"methods": ["oauth1"], "oauth1": {}}


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


@dataclass
class Consumer:
    """A program with a key of its own, and what it was given meanwhile."""

    keystone: object
    key: str
    secret: str
    token: str = ""
    token_secret: str = ""
    headers: dict = field(default_factory=dict)

    async def post(self, path, body=None, **more):
        """A signed request without a token."""
        at = self.keystone.cloud.clock.now()
        header = signed("POST", path, at, self.key, self.secret, self.token, self.token_secret, **more)
        self.headers["Authorization"] = header
        return await self.keystone.as_("")("POST", path, body, **self.headers)

    async def ask(self, project_id):
        self.token = self.token_secret = ""
        self.headers = {"Requested_Project_Id": project_id}
        return self._given(await self.post(f"{ROOT}/request_token", callback_uri="oob"))

    async def exchange(self, verifier):
        return self._given(await self.post(f"{ROOT}/access_token", verifier=verifier))

    async def login(self, **more):
        return await self.post("/auth/tokens", {"auth": {"identity": PROOF, **more}})

    def _given(self, got):
        if got.status == 201:
            form = {name: value for name, (value,) in parse_qs(got.body.decode()).items()}
            assert (got.headers["content-type"], set(form)) == (
                "application/x-www-form-urlencoded",
                {"oauth_token", "oauth_token_secret", "oauth_expires_at"},
            )
            self.token, self.token_secret = form["oauth_token"], form["oauth_token_secret"]
        return got


async def consumer(keystone, **values):
    made = await keystone.make("consumer", "OS-OAUTH1/consumers", **values)
    return Consumer(keystone, made["id"], made["secret"])


async def authorize(keystone, asking, *names):
    roles = {"roles": [{"id": await keystone.id_of("role", name)} for name in names]}
    return await keystone("PUT", f"{ROOT}/authorize/{asking.token}", roles)


async def trusted(keystone, *names):
    """A consumer with an access token for the project admin, authorized by the admin."""
    made = await consumer(keystone, description="d")
    assert (await made.ask(await keystone.id_of("project", "admin"))).status == 201
    got = await authorize(keystone, made, *(names or ("member",)))
    assert got.status == 200, got.body
    assert (await made.exchange(got.json["token"]["oauth_verifier"])).status == 201
    return made


async def test_a_consumer_is_kept_shown_changed_and_deleted(keystone):
    made = await keystone.make("consumer", "OS-OAUTH1/consumers", description="d", note="n")
    path = f"{ROOT}/consumers/{made['id']}"
    secret = made.pop("secret")
    assert len(secret) == 64
    assert made == {
        "id": made["id"],
        "description": "d",
        "note": "n",
        "links": {"self": f"http://cloud.test/identity/v3{path}"},
    }
    assert (await keystone("GET", path)).json == {"consumer": made}
    assert (await keystone("GET", f"{ROOT}/consumers")).json["consumers"] == [made]
    changed = {**made, "description": "e"}
    assert (await keystone("PATCH", path, {"consumer": {"description": "e"}})).json == {"consumer": changed}
    assert (await keystone("PATCH", path, {"consumer": {"secret": "mine"}})).status == 400
    assert [(await keystone("DELETE", path)).status for _ in range(2)] == [204, 404]


async def test_a_consumer_acts_with_the_roles_it_was_given(keystone):
    acting = await trusted(keystone, "member")
    got = await acting.login()
    assert got.status == 201, got.body
    token, project_id = got.json["token"], await keystone.id_of("project", "admin")
    assert (token["methods"], token["user"]["name"], token["project"]["id"]) == (["oauth1"], "admin", project_id)
    assert token["OS-OAUTH1"] == {"access_token_id": acting.token, "consumer_id": acting.key}
    assert sorted(role["name"] for role in token["roles"]) == ["member", "reader"]
    own = keystone.as_(got.headers["x-subject-token"])
    assert (await own("GET", "/auth/catalog")).status == 200
    assert (await own("GET", "/users")).status == 403
    for scope in (project_scope("demo"), {"system": {"all": True}}):
        keystone.cloud.clock.advance(1)
        assert (await acting.login(scope=scope)).status == 401


async def test_what_a_user_has_authorized_is_shown_and_taken_back(keystone):
    acting = await trusted(keystone, "member", "reader")
    user_id, project_id = await keystone.id_of("user", "admin"), await keystone.id_of("project", "admin")
    at = f"/users/{user_id}/OS-OAUTH1/access_tokens"
    shown = (await keystone("GET", f"{at}/{acting.token}")).json["access_token"]
    here = f"http://cloud.test/identity/v3{at}/{acting.token}"
    assert shown == {
        "id": acting.token,
        "consumer_id": acting.key,
        "project_id": project_id,
        "authorizing_user_id": user_id,
        "expires_at": shown["expires_at"],
        "links": {"self": here, "roles": f"{here}/roles"},
    }
    assert (await keystone("GET", at)).json["access_tokens"] == [shown]
    roles = (await keystone("GET", f"{at}/{acting.token}/roles")).json["roles"]
    assert sorted(role["name"] for role in roles) == ["member", "reader"]
    role = f"{at}/{acting.token}/roles"
    assert (await keystone("GET", f"{role}/{roles[0]['id']}")).json == {"role": roles[0]}
    assert (await keystone("GET", f"{role}/{await keystone.id_of('role', 'admin')}")).status == 404
    elsewhere = f"/users/{await keystone.id_of('user', 'demo')}/OS-OAUTH1/access_tokens"
    assert (await keystone("GET", f"{elsewhere}/{acting.token}")).status == 404
    own = keystone.as_((await acting.login()).headers["x-subject-token"])
    assert (await own("GET", "/auth/projects")).status == 200
    assert [(await keystone("DELETE", f"{at}/{acting.token}")).status for _ in range(2)] == [204, 404]
    assert (await own("GET", "/auth/projects")).status == 401
    keystone.cloud.clock.advance(1)
    assert (await acting.login()).status == 401


async def test_a_token_dies_with_its_consumer_and_with_its_users_role(keystone):
    acting = await trusted(keystone)
    own = keystone.as_((await acting.login()).headers["x-subject-token"])
    assert (await keystone("DELETE", f"{ROOT}/consumers/{acting.key}")).status == 204
    assert (await own("GET", "/auth/projects")).status == 401
    user = await keystone.user("boss", role="admin", project="demo")
    boss = await keystone.logged_in("boss", "pw", project_scope("demo"))
    acting, project_id = await consumer(keystone), await keystone.id_of("project", "demo")
    await acting.ask(project_id)
    verifier = (await authorize(boss, acting, "reader")).json["token"]["oauth_verifier"]
    await acting.exchange(verifier)
    own = keystone.as_((await acting.login()).headers["x-subject-token"])
    assert (await own("GET", "/auth/projects")).status == 200
    role_id = await keystone.id_of("role", "admin")
    assert (await keystone("DELETE", f"/projects/{project_id}/users/{user['id']}/roles/{role_id}")).status == 204
    assert (await own("GET", "/auth/projects")).status == 401


async def test_a_request_token_is_authorized_once_with_roles_that_the_user_has(keystone):
    asking, project_id = await consumer(keystone), await keystone.id_of("project", "demo")
    assert (await asking.ask("nowhere")).status == 404
    keystone.cloud.clock.advance(1)
    assert (await asking.ask(project_id)).status == 201
    assert (await authorize(keystone, asking, "member")).status == 401  # the admin is nobody in that project
    assert (await keystone("PUT", f"{ROOT}/authorize/{asking.token}", {"roles": []})).status == 400
    assert (await asking.exchange("guess")).status == 401
    keystone.cloud.clock.advance(1)
    assert (await asking.ask(await keystone.id_of("project", "admin"))).status == 201
    verifier = (await authorize(keystone, asking, "member")).json["token"]["oauth_verifier"]
    assert (await authorize(keystone, asking, "admin")).status == 403
    keystone.cloud.clock.advance(1)
    used = asking.token, asking.token_secret
    assert (await asking.exchange("wrong")).status == 401
    assert (await asking.exchange(verifier)).status == 201
    asking.token, asking.token_secret = used
    keystone.cloud.clock.advance(1)
    assert (await asking.exchange(verifier)).status == 401


async def test_nobody_hands_on_what_was_handed_on(keystone):
    acting = await trusted(keystone, "admin")
    own = keystone.as_((await acting.login()).headers["x-subject-token"])
    other = await consumer(keystone)
    await other.ask(await keystone.id_of("project", "admin"))
    assert (await authorize(own, other, "member")).status == 403


async def test_a_request_is_taken_once_near_its_time_and_only_if_signed(keystone):
    acting, clock = await trusted(keystone), keystone.cloud.clock
    body = {"auth": {"identity": PROOF}}
    assert (await acting.login()).status == 201
    assert (await keystone.as_("")("POST", "/auth/tokens", body, **acting.headers)).status == 401
    clock.advance(1)
    for name in ("secret", "token_secret", "key", "token"):
        good = getattr(acting, name)
        setattr(acting, name, "0" * len(good))
        assert (await acting.login()).status == 401, name
        setattr(acting, name, good)
    late = signed("POST", "/auth/tokens", clock.now(), acting.key, acting.secret, acting.token, acting.token_secret)
    clock.advance(901)
    assert (await keystone.as_("")("POST", "/auth/tokens", body, Authorization=late)).status == 401
    for header, status in {"": 400, "OAuth x": 400, late.replace("HMAC-SHA1", "PLAINTEXT"): 400}.items():
        assert (await keystone.as_("")("POST", "/auth/tokens", body, Authorization=header)).status == status, header
    assert (await acting.login()).status == 201
    clock.advance(86_400)
    assert (await acting.login()).status == 401


async def test_what_requests_are_signed_with_stays_good_when_its_keys_rotate(keystone):
    acting, op = await trusted(keystone), keystone.cloud.op()
    assert await rotate_credential_keys(op) == 2
    op.use(CredentialKeys).rotate()
    assert (await acting.login()).status == 201


async def test_only_admins_authorize_and_look_after_consumers(keystone):
    await keystone.user("somebody", role="member", project="demo")
    member = await keystone.logged_in("somebody", "pw", project_scope("demo"))
    asking = await consumer(keystone)
    await asking.ask(await keystone.id_of("project", "demo"))
    assert (await authorize(member, asking)).status == 403
    assert (await member("GET", f"{ROOT}/consumers")).status == 403
