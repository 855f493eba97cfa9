"""What does not fit together in the books of identity, each as a sentence for an operator.

Most of what belongs to somebody goes with them in the same transaction, by the database's own constraints. What can be
left over is what names its owner without one: roles given to or on something that is gone, a default project, the
delegation that an EC2 credential was made under. `repair` takes away the roles and the default projects.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from maldon.identity.credential_keys import PLACES, CredentialKeys, sealed_rows
from maldon.identity.delegated import delegation_end
from maldon.identity.models.credential import credential
from maldon.identity.models.group import group
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment
from maldon.identity.models.user import user
from maldon.identity.verbs import credential as credentials
from maldon.identity.verifier import bump
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Op, Session

_a = assignment
_DANGLING: ColumnElement[bool] = or_(
    and_(_a.c.actor_kind == "user", _a.c.actor_id.not_in(select(user.c.id))),
    and_(_a.c.actor_kind == "group", _a.c.actor_id.not_in(select(group.c.id))),
    and_(_a.c.target_kind != SYSTEM, _a.c.target_id.not_in(select(project.c.id))),
)
_HOMELESS = and_(user.c.default_project_id.is_not(None), user.c.default_project_id.not_in(select(project.c.id)))


async def audit(op: Op, session: Session) -> list[str]:
    """Every finding."""
    findings = [
        f"{row.actor_kind} {row.actor_id} has role {row.role_id} on {row.target_kind} {row.target_id}: "
        "one of them is gone"
        for row in await session.all(select(_a).where(_DANGLING))
    ]
    findings += [
        f"user {row.id} has a default project that is gone"
        for row in await session.all(select(user.c.id).where(_HOMELESS))
    ]
    return [*findings, *await _sealed(op, session), *await _bound(op, session)]


async def repair(op: Op) -> int:
    """Take away roles and default projects that name what is gone; how many there were."""
    async with op.db.begin() as session:
        await bump(op, session)
        roles = await session.run(delete(_a).where(_DANGLING))
        return roles + await session.run(update(user).where(_HOMELESS).values(default_project_id=None))


async def _sealed(op: Op, session: Session) -> list[str]:
    """Secrets that no key opens any more."""
    reveal, findings = op.use(CredentialKeys).reveal, []
    for column in PLACES:
        lost = [row async for row in sealed_rows(session, column) if reveal(row.sealed) is None]
        findings += [f"{column.table.name} {' '.join(row[:-1])} is sealed with a key that is gone" for row in lost]
    return findings


async def _bound(op: Op, session: Session) -> list[str]:
    """EC2 credentials that were made under something that is gone."""
    findings, keys = [], op.use(CredentialKeys)
    async for row in sealed_rows(session, credential.c.sealed, credential.c.access_hash.is_not(None)):
        blob = keys.reveal(row.sealed)
        handed = None if blob is None else credentials.delegation(msgspec.json.decode(blob, type=dict[str, Any]))
        try:
            if handed is not None:
                await delegation_end(session, handed)
        except Unauthorized as error:
            findings.append(f"credential {row.id} is good for nothing: {error.internal}")
    return findings
