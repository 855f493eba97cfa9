"""Services: one "nova-compute" per host. Since 2.53 they are named by UUID, before by host and binary."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from maldon.compute.api.offered import only_parameters
from maldon.compute.plan.host_number import BY_UUID, number_of
from maldon.compute.schemas import service as schemas
from maldon.compute.schemas.server import truthful
from maldon.compute.views import service as views
from maldon.kernel.errors import BadRequest, Conflict, NotFound
from maldon.kernel.ids import is_uuid
from maldon.kernel.op import Op, Session
from maldon.placement import service as placement
from maldon.placement.service import Host
from maldon.web.request import Reply, Request, json

_P = "os_compute_api:os-services:"


async def index(request: Request, op: Op) -> Reply:
    op.may(_P + "list")
    only_parameters(request, op, {"host", "binary"})
    name, binary = request.param("host") or None, request.param("binary") or views.BINARY
    async with op.db.read() as session:
        known = await placement.hosts(session, op)
    shown = [views.full(host, op.version) for host in known if name in {None, host.name} and binary == views.BINARY]
    return json({"services": shown})


async def update(request: Request, op: Op) -> Reply:
    op.may(_P + "update")
    if op.version < BY_UUID:
        return await _update_named(request, op)
    _check_uuid(request.path["id"])
    wanted = schemas.update(await request.load(schemas.UpdateService))
    changes: dict[str, Any] = {}
    if wanted.status is not UNSET:
        reason = None if wanted.disabled_reason is UNSET else wanted.disabled_reason
        changes |= {"enabled": wanted.status == "enabled", "disabled_reason": reason}
    if wanted.forced_down is not UNSET:
        changes["forced_down"] = truthful(wanted.forced_down)
    async with op.db.begin() as session:
        host = await _change(session, op, request.path["id"], changes)
    return json({"service": views.full(host, op.version)})


async def _change(session: Session, op: Op, host_id: str, changes: Mapping[str, Any]) -> Host:
    try:
        return await placement.set_host(session, op, host_id, **changes)
    except NotFound:
        raise _absent(host_id) from None


def _absent(name: str) -> NotFound:
    return NotFound(f"Service {name} could not be found.", kind="ServiceNotFound")


def _check_uuid(text: str) -> None:
    if not is_uuid(text):
        raise BadRequest(f"Invalid uuid {text[:60]}")


async def _update_named(request: Request, op: Op) -> Reply:
    """PUT /os-services/{enable,disable,disable-log-reason,force-down}, as it was until 2.52."""
    body: schemas.NamedService | schemas.DisableWithReason | schemas.ForceDown
    changes: dict[str, Any]
    shown: dict[str, Any]
    match request.path["id"]:
        case "enable":
            body = await request.load(schemas.NamedService)
            changes, shown = {"enabled": True, "disabled_reason": None}, {"status": "enabled"}
        case "disable":
            body = await request.load(schemas.NamedService)
            changes, shown = {"enabled": False, "disabled_reason": None}, {"status": "disabled"}
        case "disable-log-reason":
            body = await request.load(schemas.DisableWithReason)
            changes = {"enabled": False, "disabled_reason": body.disabled_reason}
            shown = {"status": "disabled", "disabled_reason": body.disabled_reason}
        case "force-down" if op.version >= (2, 11):
            body = await request.load(schemas.ForceDown)
            changes = shown = {"forced_down": truthful(body.forced_down)}
        case _:
            raise NotFound("The resource could not be found: services are changed by id since 2.53.")
    async with op.db.begin() as session:
        await _change(session, op, await _named(session, op, body.host, body.binary), changes)
    return json({"service": {"host": body.host, "binary": body.binary} | shown})


async def _named(session: Session, op: Op, name: str, binary: str) -> str:
    """The id of a host by its name. Raises NotFound."""
    known = {host.name: host.id for host in await placement.hosts(session, op)}
    if binary != views.BINARY or name not in known:
        raise NotFound(f"Could not find binary {binary} on host {name}.", kind="HostBinaryNotFound")
    return known[name]


async def delete(request: Request, op: Op) -> Reply:
    """A host reports itself; while it does, and while it has servers, forgetting it would help nobody."""
    op.may(_P + "delete")
    wanted = request.path["id"]
    if op.version >= BY_UUID:
        _check_uuid(wanted)
    async with op.db.read() as session:
        known = await placement.hosts(session, op)
    host = next((host for host in known if wanted in {host.id, str(number_of(host.id))}), None)
    if host is None:
        raise _absent(wanted)
    if host.claims:
        raise Conflict(f"Unable to delete compute service that is hosting instances: {host.claims} on {host.name}.")
    raise Conflict(f"Host {host.name} reports itself to the cloud; disable its service instead of deleting it.")
