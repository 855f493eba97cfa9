"""Availability zones: the zones that hosts are in. A zone is available while one of its hosts is enabled."""

from collections.abc import Callable
from typing import Any

from maldon.kernel.clock import micros_text
from maldon.kernel.op import Op
from maldon.placement import service as placement
from maldon.placement.service import Host
from maldon.web.request import Reply, Request, json

_P = "os_compute_api:os-availability-zone:"


async def index(_request: Request, op: Op) -> Reply:
    op.may(_P + "list")
    return await _zones(op, lambda _hosts: None)


async def detail(_request: Request, op: Op) -> Reply:
    op.may(_P + "detail")
    return await _zones(op, lambda hosts: {host.name: {"nova-compute": _state(host)} for host in hosts})


async def _zones(op: Op, view: Callable[[list[Host]], Any]) -> Reply:
    async with op.db.read() as session:
        known = await placement.hosts(session, op)
    zones: dict[str, list[Host]] = {}
    for host in known:
        zones.setdefault(host.availability_zone, []).append(host)
    shown = [
        {"zoneName": name, "zoneState": {"available": any(host.enabled for host in hosts)}, "hosts": view(hosts)}
        for name, hosts in sorted(zones.items())
    ]
    return json({"availabilityZoneInfo": shown})


def _state(host: Host) -> dict[str, Any]:
    return {"available": host.alive, "active": host.enabled, "updated_at": micros_text(host.last_seen)}
