"""Ways to log in beside a password: one-time passcodes, a web server in front, several methods together."""

import base64
import hashlib
import hmac
import struct
from dataclasses import replace

import pytest

from tests.identity_cloud import DEMO_USER, QUICK, identity_cloud, project_scope

SECRET = b"a secret of twenty b"
DOMAIN = {"id": "default"}


@pytest.fixture
async def keystone(database_url, tmp_path):
    settings = replace(QUICK, external_header="X-Remote-User", lockout_attempts=3, lockout_s=600)
    async with identity_cloud(database_url, tmp_path, settings) as made:
        yield made


def passcode(at, secret=SECRET):
    """RFC 6238, written a second time."""
    digest = hmac.new(secret, struct.pack(">Q", int(at) // 30), hashlib.sha1).digest()
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


def now(keystone):
    return keystone.cloud.clock.now() / 1_000_000


async def secret_for(keystone, name="demo", secret=SECRET):
    own = {"user_id": await keystone.id_of("user", name), "type": "totp", "blob": base64.b32encode(secret).decode()}
    return await keystone.make("credential", **own)


def totp(code, **user):
    user = user or {"name": "demo", "domain": DOMAIN}
    return {"methods": ["totp"], "totp": {"user": {"passcode": code} | user}}


def password(text=DEMO_USER):
    return {"methods": ["password"], "password": {"user": {"name": "demo", "domain": DOMAIN, "password": text}}}


def both(one, other):
    return {**one, **other, "methods": [*one["methods"], *other["methods"]]}


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_passcodes_are_those_of_the_standard(at, code):
    from maldon.identity.plan.passcode import passcode as ours

    assert ours(b"12345678901234567890", at // 30) == passcode(at, b"12345678901234567890") == code


async def test_a_passcode_logs_in_once(keystone):
    await secret_for(keystone, secret=b"another")
    await secret_for(keystone)
    code = passcode(now(keystone))
    got = await keystone.auth(totp(code), project_scope("demo"))
    assert (got.status, got.json["token"]["methods"]) == (201, ["totp"])
    assert (await keystone.auth(totp(code))).status == 401
    keystone.cloud.clock.advance(60)
    late = passcode(now(keystone) - 30)
    assert (await keystone.auth(totp(late, id=await keystone.id_of("user", "demo")))).status == 201


async def test_a_passcode_of_another_time_or_secret_is_refused(keystone):
    await secret_for(keystone)
    admin = totp(passcode(now(keystone)), name="admin", domain=DOMAIN)
    nobody = totp(passcode(now(keystone)), name="nobody", domain=DOMAIN)
    stale, early = totp(passcode(now(keystone) - 90)), totp(passcode(now(keystone) + 60))
    zero = totp(passcode(now(keystone), bytes(20)), name="admin", domain=DOMAIN)
    for proof in (admin, nobody, stale, early, zero):
        got = await keystone.auth(proof)
        assert (got.status, got.json["error"]["message"]) == (
            401,
            "The request you have made requires authentication.",
        )
    assert (await keystone.auth({"methods": ["totp"], "totp": {"user": {"name": "demo"}}})).status == 400
    assert (await keystone.auth({"methods": ["totp"]})).status == 400


async def test_who_tries_passcodes_is_locked_out(keystone):
    await secret_for(keystone)
    right = passcode(now(keystone))
    wrong = "000000" if right != "000000" else "000001"
    for _ in range(3):
        assert (await keystone.auth(totp(wrong))).status == 401
    assert (await keystone.auth(totp(right))).status == 401
    keystone.cloud.clock.advance(600)
    assert (await keystone.auth(totp(passcode(now(keystone))))).status == 201


async def test_a_web_server_in_front_names_the_user(keystone):
    proof = {"methods": ["external"], "external": {}}
    anonymous = keystone.as_("")
    body = {"auth": {"identity": proof, "scope": project_scope("demo")}}
    got = await anonymous("POST", "/auth/tokens", body, X_Remote_User="demo")
    assert (got.status, got.json["token"]["user"]["name"]) == (201, "demo")
    for named in ({}, {"X_Remote_User": ""}, {"X_Remote_User": "nobody"}):
        assert (await anonymous("POST", "/auth/tokens", body, **named)).status == 401


async def test_nobody_in_front_is_believed_unless_the_operator_says_so(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as keystone:
        body = {"auth": {"identity": {"methods": ["external"]}}}
        for header in ("X_Remote_User", "Remote_User"):
            assert (await keystone.as_("")("POST", "/auth/tokens", body, **{header: "admin"})).status == 401


async def two_factors(keystone, **options):
    await secret_for(keystone)
    rules = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]} | options
    demo = await keystone.id_of("user", "demo")
    assert (await keystone("PATCH", f"/users/{demo}", {"user": {"options": rules}})).status == 200
    keystone.cloud.clock.advance(1)
    return demo


async def test_a_rule_of_two_methods_takes_both_at_once_or_one_after_the_other(keystone):
    demo = await two_factors(keystone)
    first = await keystone.auth(password(), project_scope("demo"))
    receipt = first.headers["openstack-auth-receipt"]
    assert (first.status, first.headers["www-authenticate"].startswith("Keystone uri=")) == (401, True)
    assert first.json == {
        "receipt": {
            "methods": ["password"],
            "user": {"id": demo, "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "issued_at": "2023-11-14T22:13:22.000000Z",
            "expires_at": "2023-11-14T22:18:22.000000Z",
        },
        "required_auth_methods": [["password", "totp"]],
    }
    assert "x-subject-token" not in first.headers
    body = {"auth": {"identity": totp(passcode(now(keystone))), "scope": project_scope("demo")}}
    got = await keystone.as_("")("POST", "/auth/tokens", body, OpenStack_Auth_Receipt=receipt)
    assert (got.status, got.json["token"]["methods"]) == (201, ["password", "totp"])
    again = {"methods": ["token"], "token": {"id": got.headers["x-subject-token"]}}
    assert (await keystone.auth(again, project_scope("demo"))).status == 201
    keystone.cloud.clock.advance(30)
    assert (await keystone.auth(both(password(), totp(passcode(now(keystone)))))).status == 201
    keystone.cloud.clock.advance(30)
    assert (await keystone.auth(both(password("wrong"), totp(passcode(now(keystone)))))).status == 401


async def test_a_receipt_is_good_for_its_user_its_time_and_its_password(keystone):
    demo = await two_factors(keystone)
    receipt = (await keystone.auth(password())).headers["openstack-auth-receipt"]

    async def complete(given):
        keystone.cloud.clock.advance(30)
        body = {"auth": {"identity": totp(passcode(now(keystone)))}}
        return (await keystone.as_("")("POST", "/auth/tokens", body, OpenStack_Auth_Receipt=given)).status

    assert (await keystone.as_(receipt)("GET", "/auth/projects")).status == 401
    assert [await complete(text) for text in ("nonsense", keystone.token)] == [401, 401]
    assert await complete(receipt) == 201
    await keystone("PATCH", f"/users/{demo}", {"user": {"password": "another"}})
    assert await complete(receipt) == 401
    fresh = (await keystone.auth(password("another"))).headers["openstack-auth-receipt"]
    keystone.cloud.clock.advance(QUICK.receipt_lifetime_s)
    assert await complete(fresh) == 401


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"multi_factor_auth_enabled": False}, 201),
        ({"multi_factor_auth_rules": []}, 201),
        ({"multi_factor_auth_rules": [["password", "retina"]]}, 201),
        ({"multi_factor_auth_rules": [["totp"], ["password"]]}, 201),
        ({"multi_factor_auth_rules": [["password", "retina"], ["totp"]]}, 401),
    ],
)
async def test_rules_hold_as_far_as_they_can_be_kept(keystone, options, status):
    await two_factors(keystone, **options)
    assert (await keystone.auth(password())).status == status
