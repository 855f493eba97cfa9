"""Hosts, in the words that the API had for them until 2.42."""

from maldon.compute.api.offered import offered
from maldon.compute.schemas import host as schemas
from maldon.kernel.errors import NotFound, NotOffered
from maldon.kernel.op import Op, Session
from maldon.placement import service as placement
from maldon.placement.service import Host
from maldon.web.request import Reply, Request, json

_P = "os_compute_api:os-hosts:"
UNTIL = (2, 42)


async def index(request: Request, op: Op) -> Reply:
    op.may(_P + "list")
    offered(op, until=UNTIL)
    zone = request.param("zone")
    async with op.db.read() as session:
        known = await placement.hosts(session, op)
    shown = [
        {"host_name": host.name, "service": "compute", "zone": host.availability_zone}
        for host in known
        if not zone or zone == host.availability_zone
    ]
    return json({"hosts": shown})


async def _named(session: Session, request: Request, op: Op) -> Host:
    name = request.path["name"]
    for host in await placement.hosts(session, op):
        if host.name == name:
            return host
    raise NotFound(f"Compute host {name} could not be found.", kind="ComputeHostNotFound")


async def show(request: Request, op: Op) -> Reply:
    op.may(_P + "show")
    offered(op, until=UNTIL)
    async with op.db.read() as session:
        host = await _named(session, request, op)
    numbers = {
        "(total)": (host.vcpus, host.memory_mb, host.disk_gb),
        "(used_now)": (host.used_vcpus, host.used_memory_mb, host.used_disk_gb),
    }
    shown = [
        {"resource": {"host": host.name, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}}
        for project, (cpu, memory_mb, disk_gb) in numbers.items()
    ]
    return json({"host": shown})


async def update(request: Request, op: Op) -> Reply:
    op.may(_P + "update")
    offered(op, until=UNTIL)
    enabled, maintenance = schemas.update(await request.load(schemas.UpdateHost))
    async with op.db.begin() as session:
        host = await _named(session, request, op)
        if maintenance is not None:
            raise NotOffered("Hosts have no maintenance mode; disable them, so that nothing is placed there.")
        host = await placement.set_host(session, op, host.id, enabled=enabled, disabled_reason=None)
    return json({"host": host.name, "status": "enabled" if host.enabled else "disabled"})


async def power(request: Request, op: Op) -> Reply:
    """Startup, shutdown and reboot: nothing here has its hand on a host's switch."""
    op.may(_P + "power")
    offered(op, until=UNTIL)
    async with op.db.read() as session:
        await _named(session, request, op)
    raise NotOffered("Hosts are not started, shut down or rebooted by this cloud.")
