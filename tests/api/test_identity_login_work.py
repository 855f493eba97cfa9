"""The work that a refused login makes: the same whoever it is about, so that its time tells nothing.

Counted are passwords hashed, secrets opened, statements, and what an LDAP server is asked; the answers are compared
whole. What is signed or hashed in between is microseconds and depends on nothing that is kept.
"""

import base64
from dataclasses import replace

import ldap3
import pytest

from maldon.identity.service import CredentialKeys, Passwords
from tests.api.test_identity_credentials import V2
from tests.api.test_identity_methods import passcode
from tests.identity_cloud import QUICK, identity_cloud
from tests.ldap_tree import Tree
from tests.servers import slapd


@pytest.fixture(params=[0, 2], ids=["no lock", "lock after two"])
async def keystone(request, database_url, tmp_path):
    """People of every standing: disabled, without a password, in a disabled domain, locked out if there is a lock."""
    settings = replace(QUICK, lockout_attempts=request.param)
    async with identity_cloud(database_url, tmp_path, settings) as made:
        away = await made.make("domain", name="away")
        people = {
            "ann": await made.make("user", name="ann", password="pw"),
            "disabled": await made.make("user", name="disabled", password="pw", enabled=False),
            "hashless": await made.make("user", name="hashless"),
            "homeless": await made.make("user", name="homeless", password="pw", domain_id=away["id"]),
            "locked": await made.make("user", name="locked", password="pw"),
        }
        await made("PATCH", f"/domains/{away['id']}", {"domain": {"enabled": False}})
        for name in ("locked", "locked", "nobody"):
            assert (await made.login(name, "no")).status == 401
        made.people = {name: one["id"] for name, one in people.items()} | {"nobody": "0" * 32}
        made.away = {"id": away["id"]}
        yield made


async def work(keystone, ask):
    """The answer to one request, and what it cost."""
    passwords, keys, db = keystone.cloud.kit[Passwords], keystone.cloud.kit[CredentialKeys], keystone.cloud.db
    before = passwords.checks, keys.opened, db.statements
    got = await ask
    after = passwords.checks, keys.opened, db.statements
    assert (got.status, "www-authenticate" in got.headers) == (401, True), got.body
    return got.json, *(b - a for a, b in zip(before, after, strict=True))


async def works(keystone, ask):
    """The one way in which everybody is refused."""
    found = {name: await work(keystone, ask(name, id_)) for name, id_ in keystone.people.items()}
    assert found == dict.fromkeys(found, found["nobody"])
    return found["nobody"]


def password(user):
    return {"methods": ["password"], "password": {"user": {**user, "password": "wrong"}}}


def named(keystone, name):
    return {"name": name, "domain": keystone.away if name == "homeless" else {"id": "default"}}


async def test_a_wrong_password_is_as_much_work_for_everybody(keystone):
    by_name = await works(keystone, lambda name, _: keystone.auth(password(named(keystone, name))))
    by_id = await works(keystone, lambda _, id_: keystone.auth(password({"id": id_})))
    assert (by_name[1:3], by_id[1:3]) == ((1, 0), (1, 0))


async def test_a_wrong_old_password_is_as_much_work_for_everybody(keystone):
    body = {"user": {"password": "new", "original_password": "wrong"}}
    anybody = keystone.as_("")
    assert (await works(keystone, lambda _, id_: anybody("POST", f"/users/{id_}/password", body)))[1:3] == (1, 0)


async def test_a_wrong_passcode_is_as_much_work_for_everybody(keystone):
    secret = b"a secret of twenty b"
    for name in ("ann", "disabled", "locked"):
        blob = base64.b32encode(secret).decode()
        await keystone.make("credential", user_id=keystone.people[name], type="totp", blob=blob)
    right = passcode(keystone.cloud.clock.now() / 1_000_000, secret)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"

    def ask(user):
        return keystone.auth({"methods": ["totp"], "totp": {"user": {**user, "passcode": wrong}}})

    assert (await works(keystone, lambda name, _: ask(named(keystone, name))))[1:3] == (0, 1)
    assert (await works(keystone, lambda _, id_: ask({"id": id_})))[1:3] == (0, 1)


async def test_a_wrong_secret_of_an_application_credential_is_as_much_work_whether_there_is_one(keystone):
    ann = keystone.people["ann"]
    role, project = await keystone.id_of("role", "member"), await keystone.id_of("project", "demo")
    await keystone("PUT", f"/projects/{project}/users/{ann}/roles/{role}")
    own = await keystone.logged_in("ann", "pw", {"project": {"id": project}})
    made = await own.make("application_credential", f"users/{ann}/application_credentials", name="app")

    def ask(shown):
        proof = {"methods": ["application_credential"], "application_credential": {**shown, "secret": "wrong"}}
        return work(keystone, keystone.auth(proof))

    by_id = [await ask({"id": id_}) for id_ in (made["id"], "0" * 32)]
    whose = (("app", "ann"), ("none", "ann"), ("app", "nobody"), ("app", "disabled"))
    by_name = [await ask({"name": name, "user": named(keystone, who)}) for name, who in whose]
    assert (by_id, by_name) == ([by_id[0]] * 2, [by_name[0]] * 4)
    assert (by_id[0][1:3], by_name[0][1:3]) == ((1, 0), (1, 0))


async def test_a_wrong_signature_is_as_much_work_whether_there_is_such_a_key(keystone):
    access = {}
    for name in ("ann", "disabled"):
        body = {"tenant_id": await keystone.id_of("project", "demo")}
        made = await keystone("POST", f"/users/{keystone.people[name]}/credentials/OS-EC2", body)
        access[name] = made.json["credential"]["access"]

    async def ask(key):
        signed = V2 | {"access": key, "params": V2["params"] | {"AWSAccessKeyId": key}}
        ec2 = await work(keystone, keystone("POST", "/ec2tokens", {"credentials": signed}))
        text = base64.b64encode(b"GET\n\n\n\n/").decode()
        s3 = {"access": key, "signature": "d3Jvbmc=", "token": text}
        return ec2, await work(keystone, keystone("POST", "/s3tokens", {"credentials": s3}))

    found = [await ask(key) for key in (access["ann"], access["disabled"], "0" * 32)]
    assert found == [found[0]] * 3
    assert [one[1:3] for one in found[0]] == [(0, 1), (0, 1)]


async def test_an_ldap_server_is_asked_as_much_for_who_is_not_there(tmp_path):
    with slapd() as server:
        tree = Tree(server)
        tree.user("ann", "Ann")
        tree.group("staff", ["ann"])
        async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
            domain = await keystone.make("domain", name="outside")
            config = {"identity": {"driver": "ldap"}, "ldap": tree.options()}
            assert (await keystone("PUT", f"/domains/{domain['id']}/config", {"config": config})).status == 201
            home = {"id": domain["id"]}
            right = await keystone.login("Ann", "pw", domain=home)
            assert right.status == 201
            seen = []
            for name in ("Ann", "nobody"):
                before = operations(server)
                answer = await work(keystone, keystone.login(name, "wrong", domain=home))
                seen.append((answer, {kind: n - before[kind] for kind, n in operations(server).items()}))
            assert seen == [seen[0]] * 2
            assert seen[0][1]["Bind"] > 0


def operations(server):
    """What the server has been asked so far, by kind; asking that is the same work each time."""
    base = "cn=Operations,cn=Monitor"
    told = ldap3.Server(server.url, get_info=ldap3.NONE)
    connection = ldap3.Connection(told, server.reader, server.reader_password, auto_bind=True)
    connection.search(base, "(objectClass=monitorOperation)", attributes=["cn", "monitorOpCompleted"])
    counts = {one.cn.value: int(one.monitorOpCompleted.value) for one in connection.entries}
    connection.unbind()
    return {kind: n for kind, n in counts.items() if kind != "Unbind"}  # which a server counts when it comes to it
