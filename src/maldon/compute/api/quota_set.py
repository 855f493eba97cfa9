"""Quota sets: what a project, or a user in it, may have."""

from collections.abc import Mapping

from maldon.compute.api.offered import only_parameters
from maldon.compute.schemas import quota_set as schemas
from maldon.compute.verbs import quota_set as verbs
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

_P = "os_compute_api:os-quota-sets:"
UNLIMITED = -1


def _may(request: Request, op: Op, rule: str) -> tuple[str, str]:
    """The project and the user meant, if the asker may."""
    project_id, user_id = request.path["id"], request.param("user_id") or ""
    op.may(_P + rule, {"project_id": project_id})
    only_parameters(request, op, {"user_id"})
    if len(project_id) > 64 or len(user_id) > 64:
        raise BadRequest("A project or user ID has at most 64 characters.")
    return project_id, user_id


def _shown(limits: Mapping[str, int], op: Op) -> dict[str, object]:
    return {name: limits.get(name, UNLIMITED) for name in schemas.resources(op.version)}


async def show(request: Request, op: Op) -> Reply:
    project_id, user_id = _may(request, op, "show")
    async with op.db.read() as session:
        limits = await verbs.quota_limits(session, op, project_id, user_id)
    return json({"quota_set": {"id": project_id} | _shown(limits, op)})


async def defaults(request: Request, op: Op) -> Reply:
    project_id, _ = _may(request, op, "defaults")
    async with op.db.read() as session:
        limits = await verbs.class_limits(session, op, verbs.DEFAULT_CLASS)
    return json({"quota_set": {"id": project_id} | _shown(limits, op)})


async def detail(request: Request, op: Op) -> Reply:
    project_id, user_id = _may(request, op, "detail")
    async with op.db.read() as session:
        limits = await verbs.quota_limits(session, op, project_id, user_id)
        used = await verbs.quota_used(session, project_id, user_id)
    shown = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in _shown(limits, op).items()
    }
    return json({"quota_set": {"id": project_id} | shown})


async def update(request: Request, op: Op) -> Reply:
    project_id, user_id = _may(request, op, "update")
    values = (await request.load(schemas.UpdateQuotaSet)).quota_set
    forced = schemas.forced(values)
    wanted = schemas.limits(values, schemas.resources(op.version))
    async with op.db.begin() as session:
        if not forced:
            _check(wanted, await verbs.quota_used(session, project_id, user_id))
        await verbs.set_limits(session, "user" if user_id else "project", project_id, user_id, wanted)
        limits = await verbs.quota_limits(session, op, project_id, user_id)
    return json({"quota_set": _shown(limits, op)})


def _check(wanted: Mapping[str, int], used: Mapping[str, int]) -> None:
    """Refuse a limit below what is used."""
    for name, limit in wanted.items():
        if 0 <= limit < used.get(name, 0):
            raise BadRequest(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                f"{used[name]}."
            )


async def delete(request: Request, op: Op) -> Reply:
    project_id, user_id = _may(request, op, "delete")
    async with op.db.begin() as session:
        await verbs.drop_limits(session, project_id, user_id)
    return empty(202)
