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
    for form, status in {
        f"{grant}&client_id={id_}&client_secret=wrong": 401,
        f"{grant}&client_id=nobody&client_secret=app+secret": 401,
        grant: 400,
        good.replace("client_credentials", "password"): 400,
        f"{good}&client_id={id_}": 400,
        f"{good}%00": 400,
        f"{good}%ff": 400,
        f"{good}{'x' * 5000}": 400,
        "x" * 20_000: 413,
    }.items():
        assert (await ask(keystone, form)).status == status, form[:200]
    for headers in (
        {"Content_Type": "application/json"},
        {"Authorization": basic(f"{id_}:{SECRET}")},
    ):
        assert (await ask(keystone, good, **headers)).status == 400, headers
    for header in ("Basic ???", f"Basic {base64.b64encode(bytes([255])).decode()}", basic(id_)):
        assert (await ask(keystone, grant, Authorization=header)).status == 400, header


async def test_what_signed_tokens_needed_is_gone(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    for path in ("/OS-SIMPLE-CERT/ca", "/OS-SIMPLE-CERT/certificates"):
        assert [(await who("GET", path)).status for who in (demo, keystone.as_(""))] == [410, 401]
    assert [(await who("GET", "/auth/tokens/OS-PKI/revoked")).status for who in (keystone, demo)] == [410, 403]
