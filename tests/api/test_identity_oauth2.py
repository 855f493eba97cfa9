"""OAuth 2.0 client credentials, and what is gone of the API."""

import base64

import pytest

from tests.identity_cloud import DEMO_USER, identity_cloud, project_scope

FORM = "application/x-www-form-urlencoded"
SECRET = "app secret"


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def application_credential(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    at = f"users/{await keystone.id_of('user', 'demo')}/application_credentials"
    return await demo.make("application_credential", at, name="app", secret=SECRET, roles=[{"name": "reader"}])


def basic(text):
    return f"Basic {base64.b64encode(text.encode()).decode()}"


async def ask(keystone, form, **headers):
    headers = {"Content_Type": FORM, **headers}
    return await keystone.cloud.as_("")("POST", "/identity/v3/OS-OAUTH2/token", body=form.encode(), **headers)


async def test_an_application_credential_is_a_client(keystone):
    made = await application_credential(keystone)
    grant = "grant_type=client_credentials"
    in_form = f"{grant}&client_id={made['id']}&client_secret=app+secret"
    for got in (
        await ask(keystone, in_form),
        await ask(keystone, grant, Authorization=basic(f"{made['id']}:app%20secret")),
    ):
        assert got.status == 200, got.body
        assert got.headers["cache-control"] == "no-store"
        token = got.json["access_token"]
        assert got.json == {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
        shown = (await keystone.look(token)).json["token"]
        assert (shown["application_credential"]["id"], [role["name"] for role in shown["roles"]]) == (
            made["id"],
            ["reader"],
        )


async def test_whoever_is_no_client_gets_nothing(keystone):
    id_ = (await application_credential(keystone))["id"]
    grant = "grant_type=client_credentials"
    good = f"{grant}&client_id={id_}&client_secret=app+secret"
    for form, status, kind in (
        (f"{grant}&client_id={id_}&client_secret=wrong", 401, "invalid_client"),
        (f"{grant}&client_id=nobody&client_secret=app+secret", 401, "invalid_client"),
        (grant, 401, "invalid_client"),
        (f"{good}{'x' * 5000}", 401, "invalid_client"),
        ("a=b", 400, "invalid_request"),
        (good.replace("client_credentials", "password"), 400, "unsupported_grant_type"),
        (good.replace("client_credentials", ""), 400, "unsupported_grant_type"),
        (f"{good}&client_id={id_}", 400, "invalid_request"),
        (f"{good}%00", 400, "invalid_request"),
        (f"{good}%ff", 400, "invalid_request"),
        ("x" * 20_000, 413, "invalid_request"),
    ):
        got = await ask(keystone, form)
        assert (got.status, got.json["error"]) == (status, kind), form[:200]
    for headers in (
        {"Content_Type": "application/json"},
        {"Authorization": basic(f"{id_}:{SECRET}")},
    ):
        got = await ask(keystone, good, **headers)
        assert (got.status, got.json["error"]) == (400, "invalid_request"), headers
    undecodable = f"Basic {base64.b64encode(bytes([255])).decode()}"
    for header in ("Basic ???", undecodable, basic(id_), "Digest username=x"):
        got = await ask(keystone, grant, Authorization=header)
        assert (got.status, got.json["error"]) == (401, "invalid_client"), header


async def test_refusals_are_said_as_the_rfc_has_it(keystone):
    got = await ask(keystone, "grant_type=client_credentials&client_id=a&client_secret=b")
    assert got.json == {"error": "invalid_client", "error_description": "Client authentication failed."}
    said = {name: got.headers[name] for name in ("www-authenticate", "cache-control", "content-type")}
    assert said == {
        "www-authenticate": 'Keystone uri="http://cloud.test/identity/v3"',
        "cache-control": "no-store",
        "content-type": "application/json",
    }
    got = await ask(keystone, "")
    assert got.json == {"error": "invalid_request", "error_description": "The parameter grant_type is required."}
    got = await ask(keystone, "grant_type=password")
    what = "The parameter grant_type password is not supported."
    assert got.json == {"error": "unsupported_grant_type", "error_description": what}


async def test_a_client_whose_user_is_disabled_hears_no_more_than_any_other(keystone):
    made = await application_credential(keystone)
    demo = await keystone.id_of("user", "demo")
    assert (await keystone("PATCH", f"/users/{demo}", {"user": {"enabled": False}})).status == 200
    got = await ask(keystone, f"grant_type=client_credentials&client_id={made['id']}&client_secret=app+secret")
    refusal = {"error": "invalid_client", "error_description": "Client authentication failed."}
    assert (got.status, got.json) == (401, refusal)


async def test_what_signed_tokens_needed_is_gone(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    for path in ("/OS-SIMPLE-CERT/ca", "/OS-SIMPLE-CERT/certificates"):
        assert [(await who("GET", path)).status for who in (demo, keystone.as_(""))] == [410, 401]
    assert [(await who("GET", "/auth/tokens/OS-PKI/revoked")).status for who in (keystone, demo)] == [410, 403]
