"""What a node reports of its wires becomes the status of ports, routers and floating IPs."""

from collections.abc import Sequence

from sqlalchemy import bindparam, or_, select, update

from maldon.kernel.op import Op, Session
from maldon.network.models.port import ports
from maldon.network.models.router import floating_ips, routers
from maldon.network.verbs.dhcp import dhcp_port_id
from maldon.ports.agent import ObservedWire

_STATUS = (
    update(ports)
    .where(
        ports.c.id.in_(bindparam("ids", expanding=True)),
        ports.c.host == bindparam("where"),
        ports.c.status != bindparam("seen"),
    )
    .values(status=bindparam("seen"), updated_at=bindparam("now", type_=ports.c.updated_at.type))
)


async def record_wires(session: Session, op: Op, host_name: str, wires: Sequence[ObservedWire]) -> None:
    """Write down what the host observed of what is still its own; nothing is written that is so already."""
    for up in (True, False):
        status = "ACTIVE" if up else "DOWN"
        there = [wire for wire in wires if wire.up is up]
        port_ids = [w.id for w in there if w.kind == "port"]
        port_ids += [dhcp_port_id(w.id, host_name) for w in there if w.kind == "network"]
        router_ids = [w.id for w in there if w.kind == "router"]
        if port_ids:
            told = {"ids": port_ids, "where": host_name, "seen": status, "now": op.clock.now()}
            await session.run(_STATUS, told)
        if router_ids:
            await _record_routers(session, op, host_name, router_ids, status)


async def _record_routers(session: Session, op: Op, host: str, ids: Sequence[str], status: str) -> None:
    """A router carries its legs and floating IPs with it."""
    now = op.clock.now()
    mine = select(routers.c.id).where(routers.c.id.in_(ids), routers.c.host == host)
    ids = [row.id for row in await session.all(mine)]
    if not ids:
        return
    await session.run(
        update(routers).where(routers.c.id.in_(ids), routers.c.status != status).values(status=status, updated_at=now)
    )
    leading = select(floating_ips.c.floating_port_id).where(floating_ips.c.router_id.in_(ids))
    legs = or_(ports.c.device_id.in_(ids), ports.c.id.in_(leading))
    await session.run(update(ports).where(legs, ports.c.status != status).values(status=status, updated_at=now))
    await session.run(
        update(floating_ips)
        .where(floating_ips.c.router_id.in_(ids), floating_ips.c.status != status)
        .values(status=status, updated_at=now)
    )
