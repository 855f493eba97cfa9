"""Create a server: a host with room, ports on it, then the wish that the host's agent brings about.

The request has written the server and its quota is counted; here nothing is decided but where. The operation ends when
the agent reports the guest, or is undone: the server stays, in ERROR, with the reason, and holds nothing.
"""

from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from maldon.compute.models.server import servers
from maldon.compute.plan.states import State, Task
from maldon.compute.verbs.guest import change_guest, get_guest, publish_guest
from maldon.compute.verbs.nics import Nic, drop_nics, make_nics
from maldon.compute.verbs.server import end_task, fault_document, next_task
from maldon.compute.verbs.server_group import bounds_of, settle_member
from maldon.kernel.errors import Conflict
from maldon.kernel.op import Session
from maldon.network.service import Home
from maldon.placement import service as placement
from maldon.ports.agent import MetadataSpec
from maldon.ports.hypervisor import GuestSpec, ImageRef
from maldon.ports.hypervisor import Nic as Card
from maldon.work.sagas import Saga, Step, Work

_SERVER = select(servers).where(servers.c.id == bindparam("server"))


async def claim_host(session: Session, work: Work) -> dict[str, Any]:
    params = work.params
    wanted = placement.Wanted(
        vcpus=params["vcpus"],
        memory_mb=params["memory_mb"],
        disk_gb=params["disk_gb"],
        availability_zone=params["zone"],
        host=params["host"],
        among=frozenset(params["among"]) if params["among"] is not None else None,
        avoid=frozenset(params["avoid"]),
    )
    if params["group"]:
        host = await _claim_in_group(session, work, wanted)
    else:
        host = await placement.claim(session, work.op, work.subject, wanted)
    return {"id": host.id, "name": host.name, "zone": host.availability_zone}


async def _claim_in_group(session: Session, work: Work, wanted: placement.Wanted) -> placement.Place:
    """A host as the server's group has it; a soft group gives way when none of those will do."""
    bounds = await bounds_of(session, work.params["group"])
    limits = [some for some in (wanted.among, bounds.among) if some is not None]
    among = frozenset.intersection(*limits) if limits else None
    bound = replace(wanted, among=among, avoid=wanted.avoid | bounds.avoid)
    try:
        host = await placement.claim(session, work.op, work.subject, bound)
    except placement.NoValidHost:
        if not bounds.soft:
            raise
        host = await placement.claim(session, work.op, work.subject, wanted)
    await settle_member(session, work.subject, host.name)
    return host


async def release_host(session: Session, work: Work) -> None:
    await placement.release(session, work.op, work.subject)


async def make_ports(session: Session, work: Work) -> dict[str, Any]:
    host = work.done["host"]
    project = work.op.actor.project_id or ""
    home = Home(work.subject, project, work.params["hostname"], host["name"], host["zone"])
    nics = await make_nics(session, work.op, home, work.params["nics"], work.params["groups"])
    return {"nics": msgspec.to_builtins(nics)}


async def drop_ports(session: Session, work: Work) -> None:
    await drop_nics(session, work.op, work.subject)


async def publish_intent(session: Session, work: Work) -> dict[str, Any]:
    host = work.done["host"]
    where = {"host": host["name"], "host_id": host["id"], "availability_zone": host["zone"]}
    if not await next_task(session, work.op, work.subject, [Task.SCHEDULING], Task.SPAWNING, **where):
        raise Conflict("The server is being deleted.")
    server = await session.first(_SERVER, {"server": work.subject})
    nics = msgspec.convert(work.done["ports"]["nics"], list[Nic])
    await publish_guest(
        session, work.op, server.id, host["name"], spec_for(server, nics), details_for(server, nics), work.operation_id
    )
    return {}


def spec_for(server: Any, nics: list[Nic]) -> GuestSpec:
    """The guest a server wants."""
    image = server.image
    return GuestSpec(
        name=server.name,
        vcpus=server.vcpus,
        memory_mb=server.memory_mb,
        root_gb=server.disk_gb,
        image=ImageRef(image["id"], image["disk_format"], image["size"], image["os_hash"]) if image else None,
        nics=tuple(Card(nic.port_id, nic.mac, nic.mtu) for nic in nics),
        config_drive=server.config_drive,
    )


def details_for(server: Any, nics: list[Nic]) -> MetadataSpec:
    """What the guest may learn of its server."""
    return MetadataSpec(
        hostname=server.hostname,
        project_id=server.project_id,
        availability_zone=server.availability_zone or "",
        launch_index=server.launch_index,
        reservation_id=server.reservation_id,
        instance_type=server.flavor["original_name"],
        image_ref=server.image_id or "",
        keys=((server.key_name, server.key_data),) if server.key_name else (),
        properties=server.properties,
        user_data=server.user_data,
        admin_pass=server.admin_pass,
        tags=tuple((nic.mac, nic.tag) for nic in nics if nic.tag),
    )


async def withdraw_intent(session: Session, work: Work) -> None:
    guest = await get_guest(session, work.subject)
    if guest is not None and guest.wanted:  # else a deletion waits for its end already
        await change_guest(session, work.op, guest, None, operation_id=None)


async def give_up(session: Session, work: Work) -> None:
    fault = fault_document(work.fault, work.op.clock.now())
    nowhere = {"host": None, "host_id": None, "power": "none"}
    await end_task(
        session, work.op, work.subject, [Task.SCHEDULING, Task.SPAWNING], State.ERROR, fault=fault, **nowhere
    )


CREATE_SERVER = Saga(
    "server.create",
    (
        Step("host", claim_host, undo=release_host),
        Step("ports", make_ports, undo=drop_ports),
        Step("intent", publish_intent, undo=withdraw_intent),
    ),
    give_up=give_up,
    awaits=True,
    deadline_s=600,
)
