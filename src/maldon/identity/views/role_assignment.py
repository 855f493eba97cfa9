"""A role that somebody has somewhere, with names where they are wanted."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from maldon.identity.models.group import group
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, role
from maldon.identity.models.user import user
from maldon.identity.plan.effective import Effective, Held
from maldon.identity.rows import among
from maldon.kernel.op import Session

Names = Mapping[str, tuple[str, str | None]]
_TAIL = "/inherited_to_projects"


async def names_of(session: Session, found: Sequence[Held | Effective]) -> dict[str, tuple[str, str | None]]:
    """The name and the domain of every id in these."""
    origins = [one if isinstance(one, Held) else one.origin for one in found]
    ids = {one.target_id for one in found} | {one.role_id for one in found}
    ids |= {one.user_id for one in found if isinstance(one, Effective)} | {one.actor_id for one in origins}
    names: dict[str, tuple[str, str | None]] = {}
    for table in (user, group, role, project):
        for row in await among(session, select(table.c.id, table.c.name, table.c.domain_id), table.c.id, ids):
            names[row.id] = (row.name, row.domain_id or None)
    domains = {domain_id for _, domain_id in names.values() if domain_id}
    for row in await among(session, select(project.c.id, project.c.name), project.c.id, domains):
        names[row.id] = (row.name, None)
    return names


def show(one: Held | Effective, base: str, names: Names | None) -> dict[str, Any]:
    origin = one if isinstance(one, Held) else one.origin
    actor_kind, actor_id = (one.actor_kind, one.actor_id) if isinstance(one, Held) else ("user", one.user_id)
    scope: dict[str, Any] = {one.target_kind: _thing(one.target_id, names)}
    if one.target_kind == SYSTEM:
        scope = {"system": {"all": True}}
    links = {"assignment": f"{base}{_path(origin)}"}
    if origin.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    if isinstance(one, Effective) and origin.actor_kind == "group":
        links["membership"] = f"{base}/groups/{origin.actor_id}/users/{one.user_id}"
    if one.role_id != origin.role_id:
        links["prior_role"] = f"{base}/prior_role/{origin.role_id}/implies/{one.role_id}"
    return {
        "role": _thing(one.role_id, names),
        actor_kind: _thing(actor_id, names),
        "scope": scope,
        "links": links,
    }


def _thing(id_: str, names: Names | None) -> dict[str, Any]:
    if names is None or id_ not in names:
        return {"id": id_}
    name, domain_id = names[id_]
    shown: dict[str, Any] = {"id": id_, "name": name}
    if domain_id is not None:
        shown["domain"] = {"id": domain_id, "name": names.get(domain_id, ("", None))[0]}
    return shown


def _path(held: Held) -> str:
    target = "/system" if held.target_kind == SYSTEM else f"/{held.target_kind}s/{held.target_id}"
    path = f"{target}/{held.actor_kind}s/{held.actor_id}/roles/{held.role_id}"
    return f"/OS-INHERIT{path}{_TAIL}" if held.inherited else path
