"""What an operator is told of books that do not fit together, and what can be repaired."""

import json

import pytest
from sqlalchemy import delete, insert, update

from maldon.identity.models.credential import credential
from maldon.identity.models.role import assignment
from maldon.identity.models.user import user
from maldon.identity.service import CredentialKeys, audit, repair
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
    )
    op = keystone.cloud.op()
    async with op.db.begin() as session:
        for bad in rows:
            await session.run(insert(assignment).values(**{**good, **bad}, role_id=member, inherited=False))
        await session.run(update(user).where(user.c.id == somebody["id"]).values(default_project_id="gone"))
    assert await findings(keystone) == sorted(
        (
            f"user gone has role {member} on project {project_id}: one of them is gone",
            f"group lost has role {member} on project {project_id}: one of them is gone",
            f"user {somebody['id']} has role {member} on domain away: one of them is gone",
            f"user {somebody['id']} has a default project that is gone",
        )
    )
    assert [await repair(op) for _ in range(2)] == [4, 0]
    assert await findings(keystone) == []
    assert (await keystone("GET", f"/role_assignments?user.id={somebody['id']}")).json["role_assignments"]


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
