"""Domains whose people are in an LDAP server: logins, roles, listings, staleness, and a server that is away."""

import asyncio
from dataclasses import replace

import pytest

from maldon.identity.directories import Directories
from maldon.identity.service import look_everywhere
from tests.identity_cloud import DRIVERS, QUICK, identity_cloud
from tests.ldap_tree import Tree
from tests.servers import slapd

EVERYBODY = 10  # seconds: longer than a listing is good for


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


@pytest.fixture
def tree(ldap_server):
    return Tree(ldap_server)


@pytest.fixture
async def domain(keystone, tree):
    """A domain in the tree, which has ann, bob and their groups."""
    tree.user("ann", "Ann", mail="ann@example.test")
    tree.user("bob", "Bob")
    tree.group("staff", ["ann", "bob"])
    tree.group("board", ["ann"])
    return await outside(keystone, tree.options())


async def outside(keystone, options, name="outside"):
    domain = await keystone.make("domain", name=name)
    config = {"identity": {"driver": "ldap"}, "ldap": options}
    got = await keystone("PUT", f"/domains/{domain['id']}/config", {"config": config})
    assert got.status == 201, got.body
    return domain["id"]


async def names(keystone, path):
    got = await keystone("GET", path)
    assert got.status == 200, got.body
    return sorted(one["name"] for one in next(v for k, v in got.json.items() if k != "links"))


async def project_of(keystone, domain_id, group=None, user=None, role="member"):
    """A project of the domain with a role for somebody."""
    project = await keystone.make("project", name="theirs", domain_id=domain_id)
    actor = f"groups/{group}" if group else f"users/{user}"
    got = await keystone("PUT", f"/projects/{project['id']}/{actor}/roles/{await keystone.id_of('role', role)}")
    assert got.status == 204, got.body
    return {"project": {"id": project["id"]}}


async def in_domain(keystone, plural, domain_id):
    got = await keystone("GET", f"/{plural}?domain_id={domain_id}")
    assert got.status == 200, got.body
    return {one["name"]: one["id"] for one in got.json[plural]}


async def test_a_user_of_the_directory_logs_in_and_is_known_from_then_on(keystone, domain):
    got = await keystone.login("Ann", "pw", domain={"id": domain})
    assert got.status == 201, got.body
    shown = got.json["token"]["user"]
    assert (shown["name"], shown["domain"], len(shown["id"])) == ("Ann", {"id": domain, "name": "outside"}, 64)
    user = await keystone.show("user", shown["id"])
    assert user == {
        "id": shown["id"],
        "name": "Ann",
        "domain_id": domain,
        "enabled": True,
        "email": "ann@example.test",
        "options": {},
        "password_expires_at": None,
        "links": {"self": f"http://cloud.test/identity/v3/users/{shown['id']}"},
    }
    assert await names(keystone, f"/users/{shown['id']}/groups") == ["board", "staff"]
    for who in ({"name": "Ann", "domain": {"name": "outside"}}, {"id": shown["id"]}):
        proof = {"methods": ["password"], "password": {"user": {**who, "password": "pw"}}}
        again = await keystone.auth(proof)
        assert (again.status, again.json["token"]["user"]["id"]) == (201, shown["id"])


async def test_whoever_is_not_of_the_directory_hears_what_everybody_hears(keystone, domain):
    heard = [
        await keystone.login(name, password, domain={"id": where})
        for name, password, where in (
            ("Ann", "wrong", domain),
            ("Ann", "", domain),
            ("nobody", "pw", domain),
            ("*", "pw", domain),
            ("demo", "demo secret", domain),
            ("nobody", "pw", "default"),
        )
    ]
    assert {(got.status, got.body) for got in heard} == {(401, heard[0].body)}


async def test_roles_come_by_groups_of_the_directory(keystone, domain, tree):
    groups = await in_domain(keystone, "groups", domain)
    scope = await project_of(keystone, domain, group=groups["board"])
    assert (await keystone.login("Ann", "pw", scope, domain={"id": domain})).status == 201
    assert (await keystone.login("Bob", "pw", scope, domain={"id": domain})).status == 401
    tree.set(f"cn=board,ou=UserGroups,{tree.base}", member=[tree.user_dn("bob")])
    assert (await keystone.login("Bob", "pw", scope, domain={"id": domain})).status == 201
    assert (await keystone.login("Ann", "pw", scope, domain={"id": domain})).status == 401


async def test_listings_show_the_directory(keystone, domain, tree):
    assert await names(keystone, f"/users?domain_id={domain}") == ["Ann", "Bob"]
    groups = await in_domain(keystone, "groups", domain)
    assert sorted(groups) == ["board", "staff"]
    assert await names(keystone, f"/groups/{groups['staff']}/users") == ["Ann", "Bob"]
    tree.user("cid", "Cid")
    tree.delete(tree.user_dn("bob"))
    assert await names(keystone, f"/users?domain_id={domain}&name=Cid") == ["Cid"]
    keystone.cloud.clock.advance(EVERYBODY)
    assert await names(keystone, f"/users?domain_id={domain}") == ["Ann", "Cid"]
    assert await names(keystone, f"/groups/{groups['staff']}/users") == ["Ann"]
    assert "Ann" not in await names(keystone, "/users?domain_id=default")


async def test_a_listing_is_good_for_a_few_seconds(keystone, domain, tree):
    assert await names(keystone, f"/users?domain_id={domain}") == ["Ann", "Bob"]
    tree.user("cid", "Cid")
    keystone.cloud.clock.advance(QUICK.directory_listing_s - 1)
    assert await names(keystone, f"/users?domain_id={domain}") == ["Ann", "Bob"]
    keystone.cloud.clock.advance(1)
    assert await names(keystone, f"/users?domain_id={domain}") == ["Ann", "Bob", "Cid"]


async def test_who_is_gone_loses_tokens_and_has_the_roles_again_on_coming_back(keystone, domain, tree):
    users = await in_domain(keystone, "users", domain)
    scope = await project_of(keystone, domain, user=users["Bob"])
    token = (await keystone.login("Bob", "pw", scope, domain={"id": domain})).headers["x-subject-token"]
    assert (await keystone.look(token)).status == 200
    tree.delete(tree.user_dn("bob"))
    assert (await keystone.login("Bob", "pw", scope, domain={"id": domain})).status == 401
    await look_everywhere(keystone.cloud.op())
    assert (await keystone.look(token)).status == 404
    assert (await keystone("GET", f"/users/{users['Bob']}")).status == 404
    tree.user("bob", "Bob", "new")
    keystone.cloud.clock.advance(1)
    got = await keystone.login("Bob", "new", scope, domain={"id": domain})
    assert (got.status, got.json["token"]["user"]["id"]) == (201, users["Bob"])


async def test_who_is_disabled_there_is_disabled_here(keystone, tree):
    enabled = f"cn=enabled,{tree.base}"
    tree.user("ann", "Ann")
    tree.user("bob", "Bob")
    tree.add(enabled, "groupOfNames", member=[tree.user_dn("ann")])
    options = {"user_enabled_emulation": True, "user_enabled_emulation_dn": enabled}
    domain = await outside(keystone, tree.options(**options))
    got = await keystone.login("Ann", "pw", domain={"id": domain})
    token = got.headers["x-subject-token"]
    assert (got.status, (await keystone.login("Bob", "pw", domain={"id": domain})).status) == (201, 401)
    tree.set(enabled, member=[tree.user_dn("bob")])
    await look_everywhere(keystone.cloud.op())
    assert (await keystone.look(token)).status == 404
    assert [(await keystone.login(who, "pw", domain={"id": domain})).status for who in ("Ann", "Bob")] == [401, 201]


async def test_names_may_go_from_one_to_another(keystone, domain, tree):
    before = await in_domain(keystone, "users", domain)
    tree.set(tree.user_dn("ann"), cn="Bob")
    tree.set(tree.user_dn("bob"), cn="Ann")
    keystone.cloud.clock.advance(EVERYBODY)
    assert await in_domain(keystone, "users", domain) == {"Ann": before["Bob"], "Bob": before["Ann"]}
    tree.set(tree.user_dn("ann"), cn="Cid")
    tree.set(tree.user_dn("bob"), cn="Bob")
    got = await keystone.login("Bob", "pw", domain={"id": domain})
    assert got.json["token"]["user"]["id"] == before["Bob"]


async def test_a_directory_that_is_only_read_is_not_written(keystone, domain):
    users, groups = await in_domain(keystone, "users", domain), await in_domain(keystone, "groups", domain)
    user, group = users["Ann"], groups["board"]
    for method, path, body in (
        ("POST", "/users", {"user": {"name": "new", "domain_id": domain}}),
        ("PATCH", f"/users/{user}", {"user": {"description": "x"}}),
        ("PATCH", f"/users/{user}", {"user": {"password": "x"}}),
        ("DELETE", f"/users/{user}", None),
        ("POST", "/groups", {"group": {"name": "new", "domain_id": domain}}),
        ("PATCH", f"/groups/{group}", {"group": {"description": "x"}}),
        ("DELETE", f"/groups/{group}", None),
        ("PUT", f"/groups/{group}/users/{users['Bob']}", None),
        ("DELETE", f"/groups/{group}/users/{user}", None),
    ):
        got = await keystone(method, path, body)
        assert (got.status, "is kept elsewhere" in got.json["error"]["message"]) == (403, True), (method, path)
    change = {"user": {"original_password": "pw", "password": "new"}}
    assert (await keystone.as_("")("POST", f"/users/{user}/password", change)).status == 403
    change["user"]["original_password"] = "wrong"
    assert (await keystone.as_("")("POST", f"/users/{user}/password", change)).status == 401
    keystone.cloud.clock.advance(EVERYBODY)
    assert [await in_domain(keystone, p, domain) for p in ("users", "groups")] == [users, groups]


async def test_options_of_a_user_are_ours_to_keep(keystone, domain):
    user = (await in_domain(keystone, "users", domain))["Ann"]
    options = {"options": {"lock_password": True}}
    assert (await keystone("PATCH", f"/users/{user}", {"user": options})).status == 200
    keystone.cloud.clock.advance(EVERYBODY)
    await in_domain(keystone, "users", domain)
    assert (await keystone.show("user", user))["options"] == {"lock_password": True}


async def test_a_directory_that_may_be_written_is_written_by_the_api(keystone, tree):
    domain = await outside(keystone, tree.writable())
    made = await keystone.make("user", name="new", password="pw", domain_id=domain, description="d")
    group = await keystone.make("group", name="new", domain_id=domain)
    assert (await keystone("PUT", f"/groups/{group['id']}/users/{made['id']}")).status == 204
    entry = {"name": "new", "enabled": True, "description": "d", "domain_id": domain}
    assert {name: made[name] for name in entry} == entry
    read = await outside(keystone, tree.options(), "another domain in the same tree")
    assert list(await in_domain(keystone, "users", read)) == ["new"]
    there = await in_domain(keystone, "groups", read)
    assert await names(keystone, f"/groups/{there['new']}/users") == ["new"]
    change = {"user": {"original_password": "pw", "password": "newer"}}
    token = (await keystone.login("new", "pw", domain={"id": domain})).headers["x-subject-token"]
    keystone.cloud.clock.advance(1)
    assert (await keystone.as_("")("POST", f"/users/{made['id']}/password", change)).status == 204
    assert (await keystone.look(token)).status == 404
    got = [(await keystone.login("new", word, domain={"id": read})).status for word in ("pw", "newer")]
    assert got == [401, 201]
    rank = await keystone("PATCH", f"/users/{made['id']}", {"user": {"rank": "x"}})
    assert (rank.status, "no place for the attribute 'rank'" in rank.json["error"]["message"]) == (400, True)


async def test_a_group_of_the_directory_takes_nobody_from_elsewhere(keystone, tree):
    domain = await outside(keystone, tree.writable())
    group = await keystone.make("group", name="theirs", domain_id=domain)
    demo = await keystone.id_of("user", "demo")
    got = await keystone("PUT", f"/groups/{group['id']}/users/{demo}")
    assert (got.status, "the user is not" in got.json["error"]["message"]) == (403, True)


async def test_without_its_directory_a_domain_has_nobody_and_roles_wait(keystone, domain, tree):
    users = await in_domain(keystone, "users", domain)
    scope = await project_of(keystone, domain, user=users["Ann"])
    path = f"/domains/{domain}/config"
    assert (await keystone("PATCH", path, {"config": {"identity": {"driver": "sql"}}})).status == 200
    assert await in_domain(keystone, "users", domain) == {}
    assert (await keystone.login("Ann", "pw", scope, domain={"id": domain})).status == 401
    assert (await keystone("PATCH", path, {"config": {"identity": {"driver": "ldap"}}})).status == 200
    assert await in_domain(keystone, "users", domain) == users
    assert (await keystone.login("Ann", "pw", scope, domain={"id": domain})).status == 201


async def test_a_change_of_the_configuration_counts_at_once(keystone, domain):
    assert (await keystone.login("Ann", "pw", domain={"id": domain})).status == 201
    got = await keystone("PATCH", f"/domains/{domain}/config", {"config": {"ldap": {"user_filter": "(uid=bob)"}}})
    assert got.status == 200
    assert [(await keystone.login(who, "pw", domain={"id": domain})).status for who in ("Ann", "Bob")] == [401, 201]
    assert await names(keystone, f"/users?domain_id={domain}") == ["Bob"]
    got = await keystone("PATCH", f"/domains/{domain}/config", {"config": {"ldap": {"user_filter": "(uid="}}})
    assert (await keystone.login("Bob", "pw", domain={"id": domain})).status == 503


async def test_a_server_that_is_away_is_a_503_and_tokens_go_on(tmp_path):
    with slapd() as server:
        tree = Tree(server)
        tree.user("ann", "Ann")
        async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
            domain = await outside(keystone, tree.options(connection_timeout=2, pool_retry_delay=0))
            users = await in_domain(keystone, "users", domain)
            scope = await project_of(keystone, domain, user=users["Ann"])
            token = (await keystone.login("Ann", "pw", scope, domain={"id": domain})).headers["x-subject-token"]
            await asyncio.to_thread(server.kill)
            keystone.cloud.clock.advance(EVERYBODY)
            login = await keystone.login("Ann", "pw", domain={"id": domain})
            listing = await keystone("GET", f"/users?domain_id={domain}")
            for got in (login, listing):
                assert got.status == 503
                assert "does not answer" in got.json["error"]["message"]
                assert str(server.port) not in got.body.decode()
            await look_everywhere(keystone.cloud.op())
            assert (await keystone.as_(token)("GET", "/auth/projects")).status == 200
            assert (await keystone.show("user", users["Ann"]))["enabled"]
            assert (await keystone.login("demo", "demo secret")).status == 201
            await asyncio.to_thread(server.start)
            assert (await keystone.login("Ann", "pw", scope, domain={"id": domain})).status == 201
            assert await in_domain(keystone, "users", domain) == users


async def test_a_domain_is_configured_by_a_file_that_goes_before(tmp_path, tree):
    tree.user("ann", "Ann")
    (tmp_path / "domains").mkdir()
    options = "\n".join(f'{name} = "{value}"' for name, value in tree.options().items())
    (tmp_path / "domains" / "by-file.toml").write_text(f'[identity]\ndriver = "ldap"\n[ldap]\n{options}\n')
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
        domain = (await keystone.make("domain", name="by-file"))["id"]
        assert (await keystone.login("Ann", "pw", domain={"id": domain})).status == 201
        shown = (await keystone("GET", f"/domains/{domain}/config")).json["config"]
        assert (shown["identity"], "password" in shown["ldap"]) == ({"driver": "ldap"}, False)
        for method in ("PUT", "PATCH", "DELETE"):
            got = await keystone(method, f"/domains/{domain}/config", {"config": {"identity": {"driver": "sql"}}})
            assert (got.status, "by a file" in got.json["error"]["message"]) == (403, True), method
        async with keystone.cloud.db.read() as session:
            assert await keystone.cloud.op().use(Directories).outside(session) == [domain]


def test_a_file_that_cannot_be_honoured_stops_the_start(tmp_path):
    for content in ("[identity", '[token]\na = "b"', '[ldap]\nurl = ["x"]', "ldap = 1"):
        (tmp_path / "bad.toml").write_text(content)
        with pytest.raises(Exception, match=r"bad\.toml cannot be honoured") as raised:
            Directories(DRIVERS, None, None, tmp_path)
        assert type(raised.value).__name__ == "BadFile"


async def test_no_more_are_fetched_than_the_limit(tmp_path, tree):
    for n in range(8):
        tree.user(f"u{n}", f"User {n}")
    tree.group("all", [f"u{n}" for n in range(8)])
    settings = replace(QUICK, directory_limit=5)
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path, settings) as keystone:
        domain = await outside(keystone, tree.options(page_size=2))
        assert len(await in_domain(keystone, "users", domain)) == 5
        for n in range(8):  # who is beyond can log in all the same, and stays known
            assert (await keystone.login(f"User {n}", "pw", domain={"id": domain})).status == 201
        keystone.cloud.clock.advance(EVERYBODY)
        assert len(await in_domain(keystone, "users", domain)) == 8
        group = (await in_domain(keystone, "groups", domain))["all"]
        assert len(await names(keystone, f"/groups/{group}/users")) == 8
        limit = {"config": {"identity": {"list_limit": 100}}}
        assert (await keystone("PATCH", f"/domains/{domain}/config", limit)).status == 200
        tree.delete(tree.user_dn("u7"))
        assert len(await in_domain(keystone, "users", domain)) == 7
