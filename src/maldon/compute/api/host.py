"""Hosts, in the words that the API had for them until 2.42."""

from maldon.compute.api.offered import offered
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.placement import service as placement
from maldon.web.request import Reply, Request, json

UNTIL = (2, 42)


async def index(request: Request, op: Op) -> Reply:
    op.may("os_compute_api:os-hosts:list")
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


async def show(request: Request, op: Op) -> Reply:
    op.may("os_compute_api:os-hosts:show")
    offered(op, until=UNTIL)
    name = request.path["name"]
    async with op.db.read() as session:
        host = next((host for host in await placement.hosts(session, op) if host.name == name), None)
    if host is None:
        raise NotFound(f"Compute host {name} could not be found.", kind="ComputeHostNotFound")
    numbers = {
        "(total)": (host.vcpus, host.memory_mb, host.disk_gb),
        "(used_now)": (host.used_vcpus, host.used_memory_mb, host.used_disk_gb),
    }
    shown = [
        {"resource": {"host": name, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}}
        for project, (cpu, memory_mb, disk_gb) in numbers.items()
    ]
    return json({"host": shown})
