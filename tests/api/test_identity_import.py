"""People of another cloud: a database with Keystone's tables, the documented statements, and what comes of them."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import select

from maldon.identity.models.user import user
from maldon.identity.service import import_people
from maldon.identity.verbs.import_people import TABLES
from tests.api.test_identity_passwords import PBKDF2, THEIRS
from tests.identity_cloud import identity_cloud
from tests.servers import MariaDB

DOCS = Path(__file__).parents[2] / "docs" / "keystone.md"
HASHES = {
    "bcrypt": "$2b$04$o.cQUuZRMpzx4uoVoWEvBuj6lim4eA.94BpL750IFudygbXp7QPTS",
    "bcrypt-sha256": "$bcrypt-sha256$v=2,t=2b,r=4$vjO8a.Etmjk5xuBHjmGzze$8Q420lYP0iLN2l.BcVpGZh6j1RqIg6G",
    "older bcrypt-sha256": "$bcrypt-sha256$2b,4$qcQPw2G.6WTRUBB./B6.je$IaKk9G7QZGUNDfio2Qlg.8qwWur8vSG",
    "scrypt": "$scrypt$ln=4,r=8,p=1$vNc6ByBEyNlb6/1/L6VUSg$mpFr0+wff2tkQ4BCsd0JxbNkOCxuwlWFRLwgzUAlgnY",
    "pbkdf2": PBKDF2,
}
KEYSTONE = """
CREATE TABLE project (id VARCHAR(64), name VARCHAR(64), extra TEXT, description TEXT, enabled TINYINT(1),
  domain_id VARCHAR(64), parent_id VARCHAR(64), is_domain TINYINT(1));
CREATE TABLE role (id VARCHAR(64), name VARCHAR(255), extra TEXT, domain_id VARCHAR(64), description VARCHAR(255));
CREATE TABLE implied_role (prior_role_id VARCHAR(64), implied_role_id VARCHAR(64));
CREATE TABLE `group` (id VARCHAR(64), domain_id VARCHAR(64), name VARCHAR(64), description TEXT, extra TEXT);
CREATE TABLE `user` (id VARCHAR(64), extra TEXT, enabled TINYINT(1), default_project_id VARCHAR(64),
  created_at DATETIME, last_active_at DATE, domain_id VARCHAR(64));
CREATE TABLE local_user (id INT, user_id VARCHAR(64), domain_id VARCHAR(64), name VARCHAR(255),
  failed_auth_count INT, failed_auth_at DATETIME);
CREATE TABLE password (id INT, local_user_id INT, expires_at DATETIME, self_service TINYINT(1),
  password_hash VARCHAR(255), created_at_int BIGINT, expires_at_int BIGINT, created_at DATETIME);
CREATE TABLE user_group_membership (user_id VARCHAR(64), group_id VARCHAR(64));
CREATE TABLE assignment (type ENUM('UserProject','GroupProject','UserDomain','GroupDomain'), actor_id VARCHAR(64),
  target_id VARCHAR(64), role_id VARCHAR(64), inherited TINYINT(1));
CREATE TABLE system_assignment (type VARCHAR(64), actor_id VARCHAR(64), target_id VARCHAR(64), role_id VARCHAR(64),
  inherited TINYINT(1));
INSERT INTO project VALUES
  ('<<keystone.domain.root>>', '<<keystone.domain.root>>', '{}', '', 0, '<<keystone.domain.root>>', NULL, 1),
  ('default', 'Default', '{}', 'The default domain', 1, '<<keystone.domain.root>>', NULL, 1),
  ('d1', 'theirs', '{"a": "b"}', 'says \\\\ "hello"', 1, '<<keystone.domain.root>>', NULL, 1),
  ('below', 'below', NULL, NULL, 1, 'd1', 'p1', 0),
  ('p1', 'works', '{}', 'two\\nlines', 1, 'd1', 'd1', 0),
  ('padmin', 'admin', '{}', NULL, 1, 'default', 'default', 0);
INSERT INTO role VALUES ('rm', 'member', '{}', '<<null>>', NULL), ('rx', 'expert', NULL, '<<null>>', 'knows'),
  ('rd', 'local', NULL, 'd1', NULL), ('radmin', 'admin', '{}', '<<null>>', NULL);
INSERT INTO implied_role VALUES ('rx', 'rm');
INSERT INTO `group` VALUES ('g1', 'd1', 'staff', '', '{}');
INSERT INTO `user` VALUES ('remote', '{}', 1, NULL, NULL, NULL, 'd1');
INSERT INTO user_group_membership VALUES ('u-bcrypt', 'g1'), ('remote', 'g1');
INSERT INTO assignment VALUES ('UserProject', 'u-scrypt', 'p1', 'rx', 0), ('GroupDomain', 'g1', 'd1', 'rd', 0),
  ('GroupDomain', 'g1', 'd1', 'rm', 1), ('UserProject', 'remote', 'p1', 'rm', 0),
  ('UserProject', 'u-scrypt', 'gone', 'rm', 0);
INSERT INTO system_assignment VALUES ('UserSystem', 'u-pbkdf2', 'system', 'radmin', 0);
"""


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def dump(run_server):
    """The lines that Keystone's database writes, by the page of the docs."""
    server = run_server(MariaDB)
    database = server.create_database().rpartition("/")[2].partition("?")[0]
    target = ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{server.port}", "-umaldon", "-pmaldon", database]
    users = [
        f"INSERT INTO `user` VALUES ('u-{n}', '{{\"email\": \"{n}@x\"}}', 1, 'p1', NULL, NULL, 'd1');"
        f"INSERT INTO local_user VALUES ({i}, 'u-{n}', 'd1', '{n}', 0, NULL);"
        f"INSERT INTO password VALUES ({i * 2}, {i}, NULL, 0, '$2b$04$old', 1600000000000000, NULL, NULL),"
        f"({i * 2 + 1}, {i}, NULL, 1, '{stored}', 1700000000000000, NULL, NULL);"
        for i, (n, stored) in enumerate(HASHES.items(), 1)
    ]
    none = (
        "INSERT INTO `user` VALUES ('u-none', NULL, NULL, NULL, NULL, NULL, 'd1');"
        "INSERT INTO local_user VALUES (99, 'u-none', 'd1', 'none', 0, NULL);"
    )
    words = DOCS.read_text()
    statements = re.search(r"```sql\n(.*?)```", words, re.DOTALL)[1]
    flags = re.search(r"mysql (--.*) keystone < keystone.sql", words)[1].split()
    subprocess.run(target, input=KEYSTONE + "".join(users) + none, text=True, check=True)
    written = subprocess.run([*target, *flags], input=statements, text=True, check=True, capture_output=True).stdout
    yield written.encode().splitlines()
    server.sql(f"DROP DATABASE {database}")


async def rows(keystone):
    """Everything that an import may touch."""
    async with keystone.cloud.db.read() as session:
        return {name: sorted(await session.all(select(table)), key=str) for name, table in TABLES.items()}


async def test_a_keystone_s_people_come_with_their_passwords_and_roles(keystone, dump):
    done = await import_people(keystone.cloud.op(), dump)
    ours = {
        "role admin (radmin)": await keystone.id_of("role", "admin"),
        "role member (rm)": await keystone.id_of("role", "member"),
        "project admin (padmin)": await keystone.id_of("project", "admin"),
    }
    told = sorted(re.sub(r"line \d+: ", "", line) for line in done.same)
    assert (done.bad, told) == (
        [],
        sorted(f"{what} is taken for the one that is here as {id_}" for what, id_ in ours.items()),
    )
    assert done.added == {
        "domain": 1, "project": 2, "role": 2, "implied_role": 1, "group": 1, "user": 6, "membership": 1, "assignment": 4
    }  # fmt: skip
    for name in HASHES:
        for password, status in (("wrong", 401), (THEIRS, 201), (THEIRS, 201)):
            got = await keystone.login(name, password, domain={"name": "theirs"})
            assert got.status == status, (name, got.body)
    member, reader = await keystone.id_of("role", "member"), await keystone.id_of("role", "reader")

    async def roles(name, scope):
        got = await keystone.login(name, THEIRS, scope, domain={"id": "d1"})
        return {role["id"] for role in got.json["token"]["roles"]}

    assert await roles("scrypt", {"project": {"id": "p1"}}) == {"rx", member, reader}
    assert await roles("bcrypt", {"project": {"id": "below"}}) == {member, reader}
    assert ours["role admin (radmin)"] in await roles("pbkdf2", {"system": {"all": True}})
    shown = await keystone.show("user", "u-scrypt")
    assert (shown["email"], shown["default_project_id"], shown["enabled"]) == ("scrypt@x", "p1", True)
    assert (await keystone.show("project", "p1"))["description"] == "two\nlines"
    assert (await keystone.show("domain", "d1"))["description"] == 'says \\ "hello"'
    assert (await keystone.show("project", "below"))["parent_id"] == "p1"


async def test_it_may_be_repeated(keystone, dump):
    await import_people(keystone.cloud.op(), dump)
    await keystone.login("bcrypt", THEIRS, domain={"id": "d1"})
    before = await rows(keystone)
    done = await import_people(keystone.cloud.op(), dump)
    assert (done.added, done.bad, done.kept.total()) == ({}, [], len(dump))
    assert await rows(keystone) == before


DOMAIN = {"kind": "domain", "id": "d1", "name": "theirs"}
PROJECT = {"kind": "project", "id": "p1", "name": "works", "domain_id": "d1"}
USER = {"kind": "user", "id": "u1", "name": "ann", "domain_id": "d1"}
ROLE = {"kind": "role", "id": "r1", "name": "expert"}
GRANT = {"kind": "assignment", "type": "UserProject", "actor_id": "u1", "target_id": "p1", "role_id": "r1"}
GOOD = [GRANT, USER, ROLE, PROJECT, DOMAIN]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense", "no line of this kind"),
        ("[]", "no line of this kind"),
        ('{"kind": "user"}', "missing required field"),
        ('{"kind": "alien", "id": "x"}', "Invalid value 'alien'"),
        (USER | {"id": "u2", "name": "x" * 256}, "length <= 255"),
        (USER | {"id": "u2", "colour": "red"}, "unknown field `colour`"),
        (json.dumps(USER | {"id": "u2", "name": "a\0b"}), "U\\+0000"),
        (USER | {"id": "u2", "name": "bob", "extra": "nonsense"}, "no JSON object"),
        (USER | {"id": "u2", "name": "bob", "extra": {"a": "x" * 20_000}}, "16384 bytes"),
        (USER | {"id": "u2", "name": "bob", "domain_id": "none"}, "user u2: the domain none is neither here"),
        (USER | {"id": "u2", "name": "bob", "password_hash": "$6$rounds=10000$salt$digest"}, "no form that can be"),
        (USER | {"id": "u2", "name": "bob", "password_hash": "$2b$04$short"}, "no form that can be checked"),
        (USER | {"id": "u2", "name": "bob", "password_hash": HASHES["scrypt"].replace("ln=4", "ln=30")}, "no form"),
        (USER, "is in the file twice"),
        (USER | {"id": "u2"}, "has the name of another in the file, u1"),
        (PROJECT | {"id": "p2", "name": "b", "parent_id": "p2"}, "below itself"),
        (PROJECT | {"id": "p2", "name": "b", "parent_id": "default"}, "parent default is in another domain"),
        (PROJECT | {"id": "default", "name": "b"}, "an id that is taken"),
        (GRANT | {"actor_id": "none"}, "assignment: the user none is neither here"),
        (GRANT | {"type": "GroupDomain"}, "the domain p1 is neither here"),
        ({"kind": "implied_role", "prior_role_id": "r1", "implied_role_id": "r1"}, "cannot imply"),
        ({"kind": "membership", "group_id": "none", "user_id": "u1"}, "the group none is neither here"),
    ],
)  # fmt: skip
async def test_a_bad_line_is_told_and_nothing_is_made(tmp_path, line, why):
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
        before = await rows(keystone)
        text = line if isinstance(line, str) else json.dumps(line)
        done = await import_people(keystone.cloud.op(), [*(json.dumps(one).encode() for one in GOOD), text.encode()])
        assert (done.added, len(done.bad)) == ({}, 1), done
        assert re.match(rf"line 6: .*{why}", done.bad[0]), done.bad
        assert await rows(keystone) == before


async def test_lines_may_come_in_any_order_and_say_little(keystone):
    done = await import_people(keystone.cloud.op(), [*(json.dumps(one).encode() for one in GOOD), b"", b"\n"])
    assert (done.bad, done.added) == ([], {"domain": 1, "project": 1, "role": 1, "user": 1, "assignment": 1})
    async with keystone.cloud.db.read() as session:
        row = await session.first(select(user).where(user.c.id == "u1"))
    assert (row.password, row.password_at, row.enabled, row.extra) == (None, None, True, None)


async def test_a_domain_of_a_directory_gets_no_users_of_ours(keystone):
    domain = await keystone.make("domain", name="outside")
    config = {"identity": {"driver": "keyvalue"}}
    assert (await keystone("PUT", f"/domains/{domain['id']}/config", {"config": config})).status == 201
    done = await import_people(keystone.cloud.op(), [json.dumps(USER | {"domain_id": domain["id"]}).encode()])
    assert done.bad == [
        f"line 1: user u1: the people of domain {domain['id']} are in a directory, not in this cloud's tables."
    ]
