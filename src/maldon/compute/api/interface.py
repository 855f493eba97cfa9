"""A server's interfaces: its ports. One that is attached to a running guest is plugged in by its host."""

import msgspec

from maldon.compute.plan.states import State
from maldon.compute.schemas.action import AttachBody, AttachInterface
from maldon.compute.schemas.server import address
from maldon.compute.verbs.guest import change_guest, get_guest, spec_of
from maldon.compute.verbs.nics import Interface, attach_nic, detach_nic, interfaces_of
from maldon.compute.verbs.server import find_idle, find_server, wrong_state
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op
from maldon.ports.hypervisor import Nic as Card
from maldon.web.request import Reply, Request, empty, json

_P = "os_compute_api:os-attach-interfaces:"


def _view(one: Interface, op: Op) -> dict[str, object]:
    shown: dict[str, object] = {
        "port_id": one.port_id,
        "net_id": one.network_id,
        "mac_addr": one.mac,
        "port_state": one.status,
        "fixed_ips": one.fixed_ips,
    }
    return shown | ({"tag": None} if op.version >= (2, 70) else {})


async def index(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        server = await find_server(session, op, request.path["id"], _P + "list")
        found = await interfaces_of(session, server.id)
    return json({"interfaceAttachments": [_view(one, op) for one in found]})


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        server = await find_server(session, op, request.path["id"], _P + "show")
        found = await interfaces_of(session, server.id)
    for one in found:
        if one.port_id == request.path["port"]:
            return json({"interfaceAttachment": _view(one, op)})
    raise NotFound(f"Instance {server.id} does not have a port with id {request.path['port']}")


async def attach(request: Request, op: Op) -> Reply:
    asked = (await request.load(AttachBody)).interface
    _check(asked, op)
    async with op.db.begin() as session:
        server = await find_idle(session, op, request.path["id"], _P + "create", "attach_interface")
        guest = await get_guest(session, server.id)
        spec = spec_of(guest) if guest is not None else None
        if spec is None or server.state not in {State.ACTIVE, State.STOPPED}:
            raise wrong_state(server, "attach_interface")
        nic = await attach_nic(session, op, server, _wanted(asked))
        cards = (*spec.nics, Card(nic.port_id, nic.mac, nic.mtu))
        tags = [*guest.details.get("tags", ()), *([(nic.mac, asked.tag)] if asked.tag else [])]
        spec, details = msgspec.structs.replace(spec, nics=cards), {**guest.details, "tags": tags}
        await change_guest(session, op, guest, spec, details=details)
        found = await interfaces_of(session, server.id)
    return json({"interfaceAttachment": next(_view(one, op) for one in found if one.port_id == nic.port_id)})


def _check(asked: AttachInterface, op: Op) -> None:
    if asked.net_id and asked.port_id:
        raise BadRequest("Must not input both network_id and port_id")
    if asked.fixed_ips and not asked.net_id:
        raise BadRequest("Must input network_id when request IP address")
    if asked.tag is not None and op.version < (2, 49):
        raise BadRequest("Invalid input for field/attribute interfaceAttachment. A tag is known since 2.49.")


def _wanted(asked: AttachInterface) -> dict[str, str]:
    wanted = {}
    if asked.net_id:
        wanted["network_id"] = asked.net_id
    if asked.port_id:
        wanted["port_id"] = asked.port_id
    if asked.fixed_ips:
        wanted["fixed_ip"] = address(asked.fixed_ips[0].ip_address, "fixed_ips")
    return wanted


async def detach(request: Request, op: Op) -> Reply:
    port_id = request.path["port"]
    async with op.db.begin() as session:
        server = await find_idle(session, op, request.path["id"], _P + "delete", "detach_interface")
        if all(one.port_id != port_id for one in await interfaces_of(session, server.id)):
            raise NotFound(f"Port {port_id} is not attached to instance {server.id}.")
        guest = await get_guest(session, server.id)
        spec = spec_of(guest) if guest is not None else None
        if spec is not None:
            cards = tuple(card for card in spec.nics if card.port_id != port_id)
            kept = {card.mac for card in cards}
            tags = [(mac, tag) for mac, tag in guest.details.get("tags", ()) if mac in kept]
            spec, details = msgspec.structs.replace(spec, nics=cards), {**guest.details, "tags": tags}
            await change_guest(session, op, guest, spec, details=details)
        await detach_nic(session, op, server.id, port_id)
    return empty(202)
