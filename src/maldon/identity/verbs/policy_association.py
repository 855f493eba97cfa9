"""Which policy is in force for an endpoint.

Its own; else that of its service in its region, or in the nearest region around that; else that of its service.
"""

import hashlib
from typing import Any

from sqlalchemy import insert, select, update

from maldon.identity import rows
from maldon.identity.models.catalog import endpoint, region, service
from maldon.identity.models.policy import policy, policy_association
from maldon.kernel.errors import Duplicate, NotFound, Stale
from maldon.kernel.op import Session

_NOUNS = {"endpoint_id": endpoint, "service_id": service, "region_id": region}


def association_id(what: dict[str, str]) -> str:
    """The one id that an association of these things can have."""
    return hashlib.sha256("\n".join(what.get(name, "") for name in _NOUNS).encode()).hexdigest()


async def associate(session: Session, policy_id: str, what: dict[str, str]) -> None:
    """Make it the policy of these, instead of any other. Raises NotFound."""
    await rows.found(session, policy, "policy", policy_id)
    for name, id_ in what.items():
        await rows.found(session, _NOUNS[name], name.removesuffix("_id"), id_)
    id_ = association_id(what)
    mine = policy_association.c.id == id_
    if not await session.run(update(policy_association).where(mine).values(policy_id=policy_id)):
        try:
            await session.run(insert(policy_association).values(id=id_, policy_id=policy_id, **what))
        except Duplicate as error:
            raise Stale("Somebody else has just associated a policy with that.") from error


async def require(session: Session, policy_id: str, what: dict[str, str]) -> str:
    """The id of the association of this policy with these. Raises NotFound."""
    id_ = association_id(what)
    missing = f"The policy {policy_id[:64]} is not associated with that."
    await rows.need(session, policy_association, {"id": id_, "policy_id": policy_id}, missing)
    return id_


async def in_force(session: Session, of: Any) -> Any:
    """The row of the policy of an endpoint's row. Raises NotFound."""
    for what in await _nearest_first(session, of):
        found = await rows.first(session, policy_association, {"id": association_id(what)})
        if found is not None:
            return await rows.found(session, policy, "policy", found.policy_id)
    raise NotFound(f"No policy is associated with endpoint {of.id}.")


async def _nearest_first(session: Session, of: Any) -> list[dict[str, str]]:
    """What may have the policy of an endpoint."""
    places: list[dict[str, str]] = [{"endpoint_id": of.id}]
    region_id = of.region_id
    while region_id is not None:
        places.append({"service_id": of.service_id, "region_id": region_id})
        region_id = await session.scalar(select(region.c.parent_region_id).where(region.c.id == region_id))
    return [*places, {"service_id": of.service_id}]


async def endpoints_with(session: Session, policy_id: str) -> set[str]:
    """The ids of the endpoints that a policy is in force for."""
    near = select(policy_association).where(policy_association.c.policy_id == policy_id)
    mine = await session.all(near)
    services = {row.service_id for row in mine if row.service_id is not None}
    found = {row.endpoint_id for row in mine if row.endpoint_id is not None}
    for row in await session.all(select(endpoint).where(endpoint.c.service_id.in_(services))):
        try:
            if (await in_force(session, row)).id == policy_id:
                found.add(row.id)
        except NotFound:
            continue
    return found
