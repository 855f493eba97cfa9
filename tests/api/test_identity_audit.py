"""What an operator is told of books that do not fit together, and what can be repaired."""

import json

import pytest
from sqlalchemy import delete, insert, update

from maldon.identity.models.credential import credential
from maldon.identity.models.domain_config import directory_entry
from maldon.identity.models.oauth1 import access_token
from maldon.identity.models.project import project
from maldon.identity.models.role import assignment
from maldon.identity.models.user import user
from maldon.identity.service import CredentialKeys, audit, forget_departed, repair
from tests.identity_cloud import identity_cloud


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def findings(keystone):
    op = keystone.cloud.op()
    async with op.db.read() as session:
        return sorted(await audit(op, session))


async def test_books_that_the_api_wrote_fit_together(keystone):
    made = await keystone.user("somebody")
    project = await keystone.make("project", name="p")
    member = await keystone.id_of("role", "member")
    await keystone("PUT", f"/projects/{project['id']}/users/{made['id']}/roles/{member}")
    await keystone("PUT", f"/system/users/{made['id']}/roles/{member}")
    await keystone("POST", f"/users/{made['id']}/credentials/OS-EC2", {"tenant_id": project["id"]})
    assert await findings(keystone) == []
    await keystone("DELETE", f"/projects/{project['id']}")
    await keystone("DELETE", f"/users/{made['id']}")
    assert await findings(keystone) == []


async def test_what_is_left_over_is_told_and_repaired(keystone):
    member, somebody = await keystone.id_of("role", "member"), await keystone.user("somebody")
    project_id = await keystone.id_of("project", "demo")
    good = {"actor_kind": "user", "actor_id": somebody["id"], "target_kind": "project", "target_id": project_id}
    rows = (
        {"actor_id": "gone"},
        {"actor_kind": "group", "actor_id": "lost"},
        {"target_kind": "domain", "target_id": "away"},
        {"target_kind": "domain", "inherited": True},
        {"target_kind": "project", "target_id": "away"},
        {"actor_id": "gone", "target_kind": "system", "target_id": "system"},
    )
    op = keystone.cloud.op()
    async with op.db.begin() as session:
        for bad in rows:
            await session.run(insert(assignment).values(role_id=member, **{**good, "inherited": False, **bad}))
        await session.run(update(user).where(user.c.id == somebody["id"]).values(default_project_id="gone"))
    assert await findings(keystone) == sorted(
        (
            f"user gone has role {member} on project {project_id}: one of them is gone",
            f"group lost has role {member} on project {project_id}: one of them is gone",
            f"user {somebody['id']} has role {member} on domain away: one of them is gone",
            f"user {somebody['id']} has role {member} on below domain {project_id}: one of them is gone",
            f"user {somebody['id']} has role {member} on project away: one of them is gone",
            f"user gone has role {member} on the system: one of them is gone",
            f"user {somebody['id']} has a default project that is gone",
        )
    )
    assert [await repair(op) for _ in range(2)] == [7, 0]
    assert await findings(keystone) == []
    assert (await keystone("GET", f"/role_assignments?user.id={somebody['id']}")).json["role_assignments"]


async def test_who_is_gone_from_a_directory_keeps_the_roles_until_that_one_is_forgotten(keystone):
    member, project_id = await keystone.id_of("role", "member"), await keystone.id_of("project", "demo")
    domain = await keystone.make("domain", name="outside")
    held = {"actor_kind": "user", "actor_id": "departed", "target_kind": "project", "target_id": project_id}
    entry = {"id": "departed", "domain_id": domain["id"], "kind": "user", "local_id": "ann"}
    op = keystone.cloud.op()
    async with op.db.begin() as session:
        await session.run(insert(directory_entry).values(**entry))
        await session.run(insert(assignment).values(**held, role_id=member, inherited=False))
    told = (
        f"user departed has role {member} on project {project_id}: it is gone from its directory, and has the role "
        "again when it comes back"
    )
    assert (await repair(op), await findings(keystone)) == (0, [told])
    assert ([await forget_departed(op) for _ in range(2)], await findings(keystone)) == ([1, 0], [])


async def test_what_names_something_that_is_gone_is_told(keystone):
    somebody, demo = await keystone.user("somebody"), await keystone.id_of("project", "demo")
    service, region = await keystone.id_of("service", "nova"), "RegionOne"
    expert = await keystone.make("role", name="expert")
    grant = f"/projects/{demo}/users/{somebody['id']}/roles/{expert['id']}"
    assert (await keystone("PUT", grant)).status == 204
    own = await keystone.logged_in("somebody", "pw", {"project": {"id": demo}})
    roles = [{"id": expert["id"]}]
    app = await own.make(
        "application_credential", f"users/{somebody['id']}/application_credentials", name="a", roles=roles
    )
    node = await keystone.id_of("user", "node")
    whose = {"trustor_user_id": somebody["id"], "trustee_user_id": node, "project_id": demo}
    trust = await own.make("trust", "OS-TRUST/trusts", **whose, impersonation=False, roles=roles)
    made = {"service_id": (await keystone.make("service", type="t"))["id"], "region_id": region}
    group = await keystone.make("endpoint_group", "OS-EP-FILTER/endpoint_groups", name="eg", filters=made)
    await keystone.make("endpoint_group", "OS-EP-FILTER/endpoint_groups", name="good", filters={"service_id": service})
    consumer = await keystone.make("consumer", "OS-OAUTH1/consumers")
    token = {"id": "tok", "consumer_id": consumer["id"], "project_id": demo, "user_id": somebody["id"], "sealed": ""}
    domain, local = await keystone.make("domain", name="d"), {"name": "local"}
    local_role = await keystone.make("role", **local, domain_id=domain["id"])
    inner = await keystone.make("project", name="inner", domain_id=domain["id"])
    op = keystone.cloud.op()
    async with op.db.begin() as session:
        sealed = op.use(CredentialKeys).hide("s")
        values = token | {"sealed": sealed, "expires_at": 0, "role_ids": [expert["id"]]}
        await session.run(insert(access_token).values(**values))
    assert await findings(keystone) == []
    assert (await keystone("DELETE", f"/roles/{expert['id']}")).status == 204
    assert (await keystone("DELETE", f"/services/{made['service_id']}")).status == 204
    async with op.db.begin() as session:
        await session.run(delete(project).where(project.c.id == domain["id"]))
    assert await findings(keystone) == sorted(
        (
            f"OAuth token tok gives role {expert['id']}, which is gone",
            f"application credential {app['id']} gives nothing: its roles are gone",
            f"trust {trust['id']} gives nothing: its roles are gone",
            f"endpoint group {group['id']} is for service {made['service_id']}, which is gone",
            f"project {inner['id']} is below a project or domain that is gone",
            f"project {inner['id']} is in a domain that is gone",
            f"role {local_role['id']} belongs to a domain that is gone",
        )
    )


async def test_secrets_and_delegations_that_are_gone_are_told(keystone, tmp_path):
    somebody, project_id = await keystone.user("somebody"), await keystone.id_of("project", "demo")
    own = {"user_id": somebody["id"], "project_id": project_id, "type": "ec2"}
    op, blob = keystone.cloud.op(), {"access": "a", "secret": "s"}
    bound = await keystone.make("credential", **own, blob=json.dumps(blob))
    sealed = op.use(CredentialKeys).hide(json.dumps({**blob, "trust_id": "gone"}))
    async with op.db.begin() as session:
        await session.run(update(credential).values(sealed=sealed))
    assert await findings(keystone) == [f"credential {bound['id']} is good for nothing: trust gone is gone"]
    for file in (tmp_path / "credential-keys").iterdir():
        file.unlink()
    op.kit[CredentialKeys] = CredentialKeys(tmp_path / "credential-keys")
    assert await findings(keystone) == [f"credential {bound['id']} is sealed with a key that is gone"]
    async with op.db.begin() as session:
        await session.run(delete(credential))
    assert await findings(keystone) == []
