"""A server's addresses by network, its security groups, and its volumes, of which there are none yet."""

from maldon.compute.verbs.nics import nets_of, security_groups_of
from maldon.compute.verbs.server import find_server
from maldon.compute.views.security_group import security_group
from maldon.compute.views.server import bare
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json


async def index(request: Request, op: Op) -> Reply:
    return json({"addresses": await _addresses(request, op, "index")})


async def show(request: Request, op: Op) -> Reply:
    label, addresses = request.path["label"], await _addresses(request, op, "show")
    if label not in addresses:
        raise NotFound("Network label not found")
    return json({label: addresses[label]})


async def _addresses(request: Request, op: Op, rule: str) -> dict[str, list[dict[str, object]]]:
    async with op.db.read() as session:
        server = await find_server(session, op, request.path["id"], f"os_compute_api:ips:{rule}")
        nets = await nets_of(session, [server.id])
    addresses = nets[server.id].addresses if server.id in nets else {}
    return bare(addresses)


async def security_groups(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        server = await find_server(session, op, request.path["id"], "os_compute_api:os-security-groups:list")
        found = await security_groups_of(session, server.id)
    return json({"security_groups": [security_group(group) for group in found]})


async def volume_attachments(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        await find_server(session, op, request.path["id"], "os_compute_api:os-volumes-attachments:index")
    return json({"volumeAttachments": []})
