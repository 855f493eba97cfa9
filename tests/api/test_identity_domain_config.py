"""The configuration of a domain: every row of the API, what may be configured, and what is never shown."""

import pytest
from sqlalchemy import select, update

from maldon.identity.models.domain_config import domain_option
from maldon.identity.service import CredentialKeys, audit, rotate_credential_keys
from tests.identity_cloud import DEMO_USER, identity_cloud, project_scope

LDAP = {"url": "ldap://myldap.com:389/", "user_tree_dn": "ou=Users,dc=my_new_root,dc=org"}
CONFIG = {"identity": {"driver": "ldap"}, "ldap": LDAP}


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def path(keystone):
    """The configuration of a domain that has nobody."""
    return f"/domains/{(await keystone.make('domain', name='outside'))['id']}/config"


async def put(keystone, path, config=CONFIG):
    got = await keystone("PUT", path, {"config": config})
    assert (got.status, got.json) == (201, {"config": config}), got.body


async def test_a_configuration_is_shown_whole_and_in_parts(keystone, path):
    await put(keystone, path)
    for part, shown in {
        "": CONFIG,
        "/ldap": {"ldap": LDAP},
        "/identity": {"identity": {"driver": "ldap"}},
        "/ldap/url": {"url": LDAP["url"]},
        "/identity/driver": {"driver": "ldap"},
    }.items():
        got = await keystone("GET", path + part)
        assert (got.status, got.json) == (200, {"config": shown}), part
        head = await keystone("HEAD", path + part)
        assert (head.status, head.body) == (200, b"")
    for part in ("/ldap/user", "/keyvalue", "/identity/list_limit"):
        assert (await keystone("GET", path + part)).status == 404, part


async def test_put_replaces_everything_and_patch_only_what_it_names(keystone, path):
    await put(keystone, path)
    got = await keystone("PUT", path, {"config": {"ldap": {"suffix": "dc=a"}, "identity": {"driver": "ldap"}}})
    assert (got.status, got.json["config"]["ldap"]) == (200, {"suffix": "dc=a"})
    got = await keystone("PATCH", path, {"config": {"ldap": {"url": "ldap://b"}, "identity": {"list_limit": 7}}})
    whole = {"identity": {"driver": "ldap", "list_limit": 7}, "ldap": {"suffix": "dc=a", "url": "ldap://b"}}
    assert (got.status, got.json) == (200, {"config": whole})
    assert (await keystone("GET", path)).json == {"config": whole}


async def test_a_group_and_an_option_are_changed_where_they_are(keystone, path):
    await put(keystone, path)
    got = await keystone("PATCH", f"{path}/ldap", {"config": {"ldap": {"url": "ldap://b", "page_size": 10}}})
    assert got.json["config"]["ldap"] == {**LDAP, "url": "ldap://b", "page_size": 10}
    for body in ({"url": "ldap://c"}, {"ldap": {"url": "ldap://c"}}):
        got = await keystone("PATCH", f"{path}/ldap/url", {"config": body})
        assert (got.status, got.json["config"]["ldap"]["url"]) == (200, "ldap://c"), body
    for part, body, status in (
        ("/ldap/suffix", {"suffix": "dc=a"}, 404),
        ("/keyvalue", {"keyvalue": {}}, 400),
        ("/ldap", {"identity": {"driver": "ldap"}}, 400),
        ("/ldap", {"ldap": {"url": "x"}, "identity": {"driver": "ldap"}}, 400),
        ("/ldap/url", {"suffix": "dc=a"}, 400),
        ("/ldap/url", {"ldap": {"suffix": "dc=a"}}, 400),
        ("/ldap/url", {"ldap": {"url": "x", "suffix": "dc=a"}}, 400),
    ):
        assert (await keystone("PATCH", path + part, {"config": body})).status == status, (part, body)


async def test_parts_are_deleted_and_an_empty_group_is_none(keystone, path):
    await put(keystone, path)
    steps = ["/identity/driver", "/ldap/url", "/ldap", ""]
    got = [(await keystone("DELETE", path + part)).status for part in steps]
    assert got == [204, 204, 204, 404]
    await put(keystone, path)
    assert (await keystone("DELETE", path)).status == 204
    got = [(await keystone(method, path)).status for method in ("GET", "DELETE")]
    assert got == [404, 404]
    assert (await keystone("PATCH", path, {"config": CONFIG})).status == 404


async def test_secrets_are_kept_and_never_shown(keystone, path):
    secret = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://a", "password": "hush-hush"}}
    got = await keystone("PUT", path, {"config": secret})
    assert (got.status, got.json["config"]["ldap"]) == (201, {"url": "ldap://a"})
    bodies = [
        await keystone("GET", path),
        await keystone("GET", f"{path}/ldap"),
        await keystone("GET", f"{path}/ldap/password"),
        await keystone("PATCH", f"{path}/ldap/password", {"config": {"password": "hush-hush"}}),
        await keystone("GET", "/domains/config/default"),
    ]
    assert [got.status for got in bodies] == [200, 200, 403, 200, 200]
    assert not any(b"hush" in got.body for got in bodies)
    assert "password" not in bodies[-1].json["config"]["ldap"]


async def password_row(keystone):
    async with keystone.cloud.db.read() as session:
        return await session.first(select(domain_option).where(domain_option.c.name == "password"))


SECRET = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://a", "password": "hush-hush"}}


async def test_the_database_holds_no_secret_and_rotated_keys_seal_it_anew(keystone, path):
    await keystone("PUT", path, {"config": SECRET})
    async with keystone.cloud.db.read() as session:
        for row in await session.all(select(domain_option)):
            assert "hush" not in str(tuple(row))
    old, op = await password_row(keystone), keystone.cloud.op()
    keys = op.use(CredentialKeys)
    assert (old.value, keys.reveal(old.sealed)) == (None, '"hush-hush"')
    assert await rotate_credential_keys(op) == 1
    new = await password_row(keystone)
    assert (new.sealed != old.sealed, keys.is_current(new.sealed)) == (True, True)
    assert (await keystone("PATCH", f"{path}/ldap", {"config": {"ldap": {"url": "ldap://b"}}})).status == 200
    assert (await password_row(keystone)).sealed == new.sealed


async def test_a_secret_from_before_they_were_sealed_counts_and_is_sealed_when_written(keystone, path):
    await keystone("PUT", path, {"config": SECRET})
    async with keystone.cloud.db.begin() as session:
        plain = update(domain_option).where(domain_option.c.name == "password")
        await session.run(plain.values(value="hush-hush", sealed=None))
    got = await keystone("GET", path)
    assert (got.status, got.json["config"]["ldap"]) == (200, {"url": "ldap://a"})
    assert (await keystone("PATCH", f"{path}/ldap", {"config": {"ldap": {"url": "ldap://b"}}})).status == 200
    row = await password_row(keystone)
    assert (row.value, keystone.cloud.kit[CredentialKeys].reveal(row.sealed)) == (None, '"hush-hush"')


async def test_a_secret_whose_key_is_gone_is_told_and_can_be_set_anew(keystone, path, tmp_path):
    await keystone("PUT", path, {"config": SECRET})
    for file in (tmp_path / "credential-keys").iterdir():
        file.unlink()
    CredentialKeys(tmp_path / "credential-keys")
    domain_id = path.split("/")[2]
    got = await keystone.login("a", "pw", domain={"id": domain_id})
    assert (got.status, "was sealed with a key" in got.json["error"]["message"]) == (503, True)
    op = keystone.cloud.op()
    async with op.db.read() as session:
        found = f"domain_option {domain_id} ldap password is sealed with a key that is gone"
        assert await audit(op, session) == [found]
    assert (await keystone("GET", path)).json == {
        "config": {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://a"}}
    }
    assert (await keystone("PATCH", path, {"config": {"ldap": {"password": "new"}}})).status == 200
    async with op.db.read() as session:
        assert await audit(op, session) == []


async def test_what_is_not_to_be_configured_is_refused(keystone, path):
    for config, status in (
        ({"token": {"provider": "x"}}, 403),
        ({"ldap": {"debug_level": 1}}, 403),
        ({"identity": {"password_hash_algorithm": "x"}}, 403),
        ({"ldap": "x"}, 400),
        ({"ldap": {}}, 400),
        ({}, 400),
        ({"identity": {"list_limit": "many"}}, 400),
        ({"identity": {"list_limit": -1}}, 400),
        ({"ldap": {"query_scope": "everywhere"}}, 400),
        ({"ldap": {"use_tls": "perhaps"}}, 400),
        ({"ldap": {"user_id_attribute": "uid)(a=*"}}, 400),
        ({"ldap": {"url": "x" * 5000}}, 400),
        ({"ldap": {"url": ["x"]}}, 400),
    ):
        got = await keystone("PUT", path, {"config": config})
        assert got.status == status, (config, got.body)
    assert (await keystone("GET", path)).status == 404
    for part in ("/token", "/ldap/debug_level"):
        got = [(await keystone(method, path + part)).status for method in ("GET", "DELETE")]
        assert got == [403, 403], part
    assert (await keystone("PUT", "/domains/none/config", {"config": CONFIG})).status == 404


async def test_values_are_kept_as_they_were_given(keystone, path):
    await put(keystone, path, {"ldap": {"use_tls": "True", "page_size": "100", "user_attribute_ignore": "a,b"}})


async def test_the_defaults_are_shown_whole_and_in_parts(keystone):
    whole = (await keystone("GET", "/domains/config/default")).json["config"]
    assert sorted(whole) == ["identity", "keyvalue", "ldap"]
    assert whole["identity"] == {"driver": "sql", "list_limit": None}
    assert (whole["ldap"]["url"], whole["ldap"]["user_objectclass"]) == ("ldap://localhost", "inetOrgPerson")
    for group, options in whole.items():
        got = await keystone("GET", f"/domains/config/{group}/default")
        assert got.json == {"config": {group: options}}
        for option, value in options.items():
            got = await keystone("GET", f"/domains/config/{group}/{option}/default")
            assert got.json == {"config": {option: value}}
    got = [(await keystone("GET", f"/domains/config/{at}/default")).status for at in ("token", "ldap/token")]
    assert got == [403, 403]


async def test_only_the_cloud_s_admins_configure_domains(keystone, path):
    await put(keystone, path)
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    for at in (path, f"{path}/ldap", f"{path}/ldap/url", "/domains/config/default"):
        got = [(await demo(method, at, {"config": CONFIG})).status for method in ("GET", "PUT", "PATCH", "DELETE")]
        assert set(got) <= {403, 405}, at
        assert got[0] == 403
    assert (await keystone("GET", path)).json == {"config": CONFIG}


async def test_a_configuration_goes_with_its_domain(keystone, path):
    await put(keystone, path)
    domain = path.removesuffix("/config")
    assert (await keystone("PATCH", domain, {"domain": {"enabled": False}})).status == 200
    assert (await keystone("DELETE", domain)).status == 204
    assert (await keystone("GET", path)).status == 404


async def test_a_domain_with_people_of_its_own_gets_no_directory(keystone, path):
    domain_id = path.split("/")[2]
    user = await keystone.make("user", name="mine", domain_id=domain_id)
    got = await keystone("PUT", path, {"config": CONFIG})
    assert (got.status, "users or groups of its own" in got.json["error"]["message"]) == (409, True)
    assert (await keystone("PUT", "/domains/default/config", {"config": CONFIG})).status == 409
    assert (await keystone("PUT", path, {"config": {"ldap": LDAP}})).status == 201
    assert (await keystone("DELETE", f"/users/{user['id']}")).status == 204
    assert (await keystone("PATCH", path, {"config": CONFIG})).status == 200


async def test_a_driver_that_is_not_installed_is_told_to_whoever_asks_for_its_people(keystone, path):
    await put(keystone, path, {"identity": {"driver": "stranger"}})
    domain_id = path.split("/")[2]
    got = await keystone.login("a", "pw", domain={"id": domain_id})
    assert (got.status, "installed are keyvalue, ldap, sql" in got.json["error"]["message"]) == (503, True)
    assert (await keystone.login("demo", DEMO_USER)).status == 201
