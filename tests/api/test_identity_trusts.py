"""Trusts: made, used, counted, handed on, ended; what a token of one may and may not do."""

import pytest

from maldon.identity.service import TokenVerifier
from tests.identity_cloud import ADMIN, DEMO_USER, QUICK, identity_cloud, project_scope


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


class Trusting:
    """Demo as the trustor, ann and bob as those who are trusted."""

    def __init__(self, keystone, demo, ids):
        self.keystone, self.demo, self.ids = keystone, demo, ids

    @classmethod
    async def begin(cls, keystone):
        demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
        ids = {noun: await keystone.id_of(noun, "demo") for noun in ("user", "project")}
        ids |= {name: (await keystone.make("user", name=name, password="pw"))["id"] for name in ("ann", "bob")}
        ids |= {name: await keystone.id_of("role", name) for name in ("member", "reader", "admin")}
        return cls(keystone, demo, ids)

    def body(self, **more):
        trust = {
            "trustor_user_id": self.ids["user"],
            "trustee_user_id": self.ids["ann"],
            "project_id": self.ids["project"],
            "impersonation": False,
            "roles": [{"id": self.ids["member"]}],
        }
        return {"trust": {k: v for k, v in (trust | more).items() if v is not ...}}

    async def trust(self, who=None, **more):
        got = await (who or self.demo)("POST", "/OS-TRUST/trusts", self.body(**more))
        assert got.status == 201, got.body
        return got.json["trust"]

    async def use(self, trust, who="ann"):
        own = await self.keystone.logged_in(who, "pw", "unscoped")
        proof = {"methods": ["token"], "token": {"id": own.token}}
        return await self.keystone.auth(proof, {"OS-TRUST:trust": {"id": trust["id"]}})

    async def used(self, trust, who="ann"):
        got = await self.use(trust, who)
        assert got.status == 201, got.body
        return self.keystone.as_(got.headers["x-subject-token"])


@pytest.fixture
async def trusting(keystone):
    return await Trusting.begin(keystone)


async def test_a_trust_is_shown_to_its_two_ends_and_to_nobody_else(trusting, keystone):
    made = await trusting.trust(roles=[{"name": "reader"}], expires_at="2030-01-02T03:04:05Z", remaining_uses=3)
    at = f"http://cloud.test/identity/v3/OS-TRUST/trusts/{made['id']}"
    role = {"id": trusting.ids["reader"], "name": "reader"}
    role["links"] = {"self": f"http://cloud.test/identity/v3/roles/{role['id']}"}
    wanted = {
        "id": made["id"],
        "trustor_user_id": trusting.ids["user"],
        "trustee_user_id": trusting.ids["ann"],
        "project_id": trusting.ids["project"],
        "impersonation": False,
        "expires_at": "2030-01-02T03:04:05.000000Z",
        "deleted_at": None,
        "remaining_uses": 3,
        "redelegation_count": 0,
        "redelegated_trust_id": None,
        "links": {"self": at},
    }
    whole = wanted | {"roles": [role], "roles_links": {"self": f"{at}/roles", "previous": None, "next": None}}
    assert made == whole
    ann, bob = [await keystone.logged_in(name, "pw", "unscoped") for name in ("ann", "bob")]
    for who in (trusting.demo, ann, keystone):
        assert (await who("GET", f"/OS-TRUST/trusts/{made['id']}")).json["trust"] == whole
        assert (await who("GET", f"/OS-TRUST/trusts/{made['id']}/roles")).json["roles"] == [role]
        assert (await who("GET", f"/OS-TRUST/trusts/{made['id']}/roles/{role['id']}")).json["role"] == role
        missing = f"/OS-TRUST/trusts/{made['id']}/roles/{trusting.ids['member']}"
        assert [(await who(method, missing)).status for method in ("GET", "HEAD")] == [404, 404]
    for path in ("", "/roles", f"/roles/{role['id']}"):
        assert (await bob("GET", f"/OS-TRUST/trusts/{made['id']}{path}")).status == 403
    mine, theirs = (f"/OS-TRUST/trusts?{end}={id_}" for end, id_ in _ends(trusting))
    assert (await trusting.demo("GET", mine)).json["trusts"] == [wanted]
    assert (await ann("GET", theirs)).json["trusts"] == [wanted]
    assert (await keystone("GET", "/OS-TRUST/trusts")).json["trusts"] == [wanted]
    refused = [(ann, "/OS-TRUST/trusts"), (ann, mine), (bob, theirs), (trusting.demo, theirs)]
    assert [(await who("GET", path)).status for who, path in refused] == [403] * 4
    assert (await ann("DELETE", f"/OS-TRUST/trusts/{made['id']}")).status == 403
    assert (await trusting.demo("DELETE", f"/OS-TRUST/trusts/{made['id']}")).status == 204
    assert (await trusting.demo("GET", f"/OS-TRUST/trusts/{made['id']}")).status == 404
    assert (await keystone("GET", f"/OS-TRUST/trusts/{made['id']}")).status == 404


def _ends(trusting):
    return (("trustor_user_id", trusting.ids["user"]), ("trustee_user_id", trusting.ids["ann"]))


@pytest.mark.parametrize("impersonation", [False, True])
async def test_a_token_of_a_trust_has_its_roles_on_its_project(trusting, keystone, impersonation):
    made = await trusting.trust(impersonation=impersonation)
    shown = (await trusting.use(made)).json["token"]
    assert shown["user"]["name"] == ("demo" if impersonation else "ann")
    assert shown["project"]["id"] == trusting.ids["project"]
    assert [role["name"] for role in shown["roles"]] == ["member", "reader"]
    assert shown["OS-TRUST:trust"] == {
        "id": made["id"],
        "impersonation": impersonation,
        "trustor_user": {"id": trusting.ids["user"]},
        "trustee_user": {"id": trusting.ids["ann"]},
    }


async def test_only_the_trustee_may_use_a_trust(trusting):
    made = await trusting.trust()
    assert (await trusting.use(made, "bob")).status == 403


async def test_a_token_of_a_trust_hands_nothing_else_on(trusting, keystone):
    token = await trusting.used(await trusting.trust(impersonation=True))
    proof = {"methods": ["token"], "token": {"id": token.token}}
    for scope in (None, "unscoped", project_scope("demo")):
        assert (await keystone.auth(proof, scope)).status == 403
    body = {"application_credential": {"name": "a"}}
    at = f"/users/{trusting.ids['user']}/application_credentials"
    assert (await token("POST", at, body)).status == 403
    assert (await token("POST", "/OS-TRUST/trusts", trusting.body())).status == 403


async def test_uses_are_counted(trusting, keystone):
    made = await trusting.trust(remaining_uses=2)
    assert (await trusting.use(made)).status == 201
    assert (await trusting.demo("GET", f"/OS-TRUST/trusts/{made['id']}")).json["trust"]["remaining_uses"] == 1
    last = await trusting.used(made)
    assert (await trusting.use(made)).status == 404
    assert (await keystone.look(last.token)).status == 200


async def test_a_trust_ends_when_it_says_and_its_tokens_with_it(trusting, keystone):
    made = await trusting.trust(expires_at="2023-11-14T22:14:00Z")  # the clock stands at 22:13:21
    token = await trusting.use(made)
    assert token.json["token"]["expires_at"] == "2023-11-14T22:14:00.000000Z"
    keystone.cloud.clock.advance(60)
    assert (await keystone.look(token.headers["x-subject-token"])).status == 404
    assert (await trusting.use(made)).status == 404
    assert (await trusting.demo("GET", f"/OS-TRUST/trusts/{made['id']}")).status == 404


async def end(trusting, keystone, what, trust):
    """One of the changes after which the trust's tokens are worth nothing."""
    ids = trusting.ids
    match what:
        case "trust deleted":
            return await trusting.demo("DELETE", f"/OS-TRUST/trusts/{trust['id']}")
        case "trustor lost the role":
            return await keystone("DELETE", f"/projects/{ids['project']}/users/{ids['user']}/roles/{ids['member']}")
        case "trustor disabled":
            return await keystone("PATCH", f"/users/{ids['user']}", {"user": {"enabled": False}})
        case "trustor's password reset":
            return await keystone("PATCH", f"/users/{ids['user']}", {"user": {"password": "another"}})
        case "trustor deleted":
            return await keystone("DELETE", f"/users/{ids['user']}")
        case "trustee disabled":
            return await keystone("PATCH", f"/users/{ids['ann']}", {"user": {"enabled": False}})
        case "trustee deleted":
            return await keystone("DELETE", f"/users/{ids['ann']}")
        case "project disabled":
            return await keystone("PATCH", f"/projects/{ids['project']}", {"project": {"enabled": False}})
        case "project deleted":
            return await keystone("DELETE", f"/projects/{ids['project']}")
    raise AssertionError(what)


@pytest.mark.parametrize("impersonation", [False, True])
@pytest.mark.parametrize(
    "what",
    [
        "trust deleted",
        "trustor lost the role",
        "trustor disabled",
        "trustor's password reset",
        "trustor deleted",
        "trustee disabled",
        "trustee deleted",
        "project disabled",
        "project deleted",
    ],
)
async def test_what_a_trust_stands_on_takes_its_tokens_along(trusting, keystone, what, impersonation):
    made = await trusting.trust(impersonation=impersonation)
    token = await trusting.used(made)
    elsewhere = TokenVerifier(keystone.cloud.db, keystone.keys, keystone.cloud.clock, QUICK)
    assert (await elsewhere.actor(token.token)).project_id == trusting.ids["project"]
    assert (await end(trusting, keystone, what, made)).status in {200, 204}
    assert (await token("GET", "/auth/projects")).status == 401
    assert (await keystone.look(token.token)).status == 404
    keystone.cloud.clock.advance(1)
    with pytest.raises(Exception, match="requires authentication"):
        await elsewhere.actor(token.token)


async def test_a_trustor_without_the_role_gives_nothing_new(trusting, keystone):
    made = await trusting.trust()
    await end(trusting, keystone, "trustor lost the role", made)
    assert (await trusting.use(made)).status == 403


async def test_a_chain_of_trusts_gets_shorter_and_no_wider(trusting, keystone):
    first = await trusting.trust(
        impersonation=True, allow_redelegation=True, redelegation_count=1, expires_at="2030-01-01T00:00:00Z"
    )
    ann = await trusting.used(first)
    wider = [
        {"roles": [{"id": trusting.ids["admin"]}]},
        {"expires_at": "2031-01-01T00:00:00Z"},
        {"project_id": await keystone.id_of("project", "admin")},
        {"allow_redelegation": True, "redelegation_count": 1},
    ]
    for more in wider:
        got = await ann("POST", "/OS-TRUST/trusts", trusting.body(trustee_user_id=trusting.ids["bob"], **more))
        assert got.status == 403, (more, got.body)
    second = await trusting.trust(ann, trustee_user_id=trusting.ids["bob"], roles=[{"name": "reader"}])
    assert (second["redelegated_trust_id"], second["redelegation_count"]) == (first["id"], 0)
    assert second["expires_at"] == "2030-01-01T00:00:00.000000Z"
    bob = await trusting.use(second, "bob")
    shown = bob.json["token"]
    assert [role["name"] for role in shown["roles"]] == ["reader"]
    assert shown["OS-TRUST:trust"]["redelegated_trust_id"] == first["id"]
    third = await keystone.as_(bob.headers["x-subject-token"])("POST", "/OS-TRUST/trusts", trusting.body())
    assert third.status == 403
    assert (await trusting.demo("DELETE", f"/OS-TRUST/trusts/{first['id']}")).status == 204
    assert (await keystone.look(bob.headers["x-subject-token"])).status == 404
    assert (await keystone("GET", f"/OS-TRUST/trusts/{second['id']}")).status == 404


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"trustor_user_id": "somebody"}, 403),
        ({"trustee_user_id": "nobody"}, 404),
        ({"project_id": "nowhere"}, 404),
        ({"project_id": ...}, 400),
        ({"roles": []}, 403),
        ({"roles": [{"id": "none"}]}, 404),
        ({"roles": [{"name": "admin"}]}, 404),
        ({"roles": [{}]}, 400),
        ({"impersonation": ...}, 400),
        ({"impersonation": "yes"}, 400),
        ({"expires_at": "bad.123Z"}, 400),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 400),
        ({"remaining_uses": 0}, 400),
        ({"allow_redelegation": True, "remaining_uses": 1}, 403),
        ({"allow_redelegation": True, "redelegation_count": 100}, 403),
    ],
)
async def test_a_trust_that_cannot_be_is_refused(trusting, more, status):
    got = await trusting.demo("POST", "/OS-TRUST/trusts", trusting.body(**more))
    assert got.status == status, got.body


async def test_a_trust_without_a_project_gives_no_roles(trusting, keystone):
    made = await trusting.trust(project_id=..., roles=[])
    shown = (await trusting.use(made)).json["token"]
    assert ("roles" in shown, "project" in shown, shown["OS-TRUST:trust"]["id"]) == (False, False, made["id"])


async def test_a_password_is_as_good_as_a_token_for_a_trust(trusting, keystone):
    made = await trusting.trust()
    got = await keystone.login("ann", "pw", {"OS-TRUST:trust": {"id": made["id"]}})
    assert got.json["token"]["OS-TRUST:trust"]["id"] == made["id"]
    assert (await keystone.login("admin", ADMIN, {"OS-TRUST:trust": {"id": made["id"]}})).status == 403
