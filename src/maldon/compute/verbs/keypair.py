"""Keypairs within a transaction: found, written, deleted. Only the public half is ever kept."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select

from maldon.compute.models.keypair import keypairs
from maldon.compute.verbs.quota_set import quota_limits
from maldon.kernel.errors import Duplicate, NotFound, QuotaExceeded
from maldon.kernel.op import Op, Session

if TYPE_CHECKING:  # making and reading keys is a dear import
    from maldon.compute.plan.keys import Key


MINE = select(keypairs).where(keypairs.c.user_id == bindparam("user_id"))
_ONE = MINE.where(keypairs.c.name == bindparam("name"))


def absent(name: str, user_id: str) -> NotFound:
    return NotFound(f"Keypair {name} not found for user {user_id}", kind="KeypairNotFound")


async def get_keypair(session: Session, user_id: str, name: str) -> Any:
    """The row of a user's keypair. Raises NotFound."""
    row = await session.first(_ONE, {"user_id": user_id, "name": name})
    if row is None:
        raise absent(name, user_id)
    return row


async def create_keypair(session: Session, op: Op, user_id: str, name: str, key: "Key") -> None:
    """Raises Duplicate when the user has one of that name, QuotaExceeded when there are too many."""
    await session.lock(f"keypairs:{user_id}")
    if await session.first(_ONE, {"user_id": user_id, "name": name}) is not None:
        raise Duplicate(f"Key pair '{name}' already exists.")
    limit = (await quota_limits(session, op, op.actor.project_id or ""))["key_pairs"]
    if 0 <= limit <= await count_keypairs(session, user_id):
        raise QuotaExceeded(f"Quota exceeded, too many key pairs: {limit} are allowed.")
    values = {"user_id": user_id, "name": name, "type": key.type, "created_at": op.clock.now()}
    await session.run(insert(keypairs), values | {"fingerprint": key.fingerprint, "public_key": key.public})


async def count_keypairs(session: Session, user_id: str) -> int:
    return int(await session.scalar(select(func.count()).where(keypairs.c.user_id == user_id)))


async def delete_keypair(session: Session, user_id: str, name: str) -> None:
    """Servers keep the key they were made with. Raises NotFound."""
    if not await session.run(delete(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name)):
        raise absent(name, user_id)
