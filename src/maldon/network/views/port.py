"""How ports look, and who sees which."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import or_, select

from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session
from maldon.network.collection import ASKER, Below, Collection, Where
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, port_groups, ports
from maldon.network.views.standard import standard

BINDING = "get_port:binding:host_id"


# One's own ports, and every port of one's own networks.
_OWN = select(networks.c.id).where(networks.c.project_id == ASKER)
VISIBLE = or_(ports.c.project_id == ASKER, ports.c.network_id.in_(_OWN))
FIXED_IPS = Below(select(fixed_ips).order_by(fixed_ips.c.position, fixed_ips.c.ip_address), fixed_ips.c.port_id)
GROUPS = Below(select(port_groups).order_by(port_groups.c.group_id), port_groups.c.port_id)


def port(row: Any, fixed: Iterable[Any], groups: Iterable[str], *, binding: bool) -> dict[str, Any]:
    """One port; where it is bound is shown to those who run hosts."""
    item = {
        **standard(row),
        "network_id": row.network_id,
        "mac_address": row.mac_address,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "fixed_ips": [{"subnet_id": f.subnet_id, "ip_address": f.ip_address} for f in fixed],
        "security_groups": list(groups),
        "port_security_enabled": row.port_security_enabled,
        "allowed_address_pairs": row.address_pairs,
        "extra_dhcp_opts": row.dhcp_opts,
        "binding:vnic_type": row.vnic_type,
    }
    if binding:
        item["binding:host_id"] = row.host
        item["binding:profile"] = row.profile
        item["binding:vif_type"] = "tap" if row.host else "unbound"
        item["binding:vif_details"] = {"port_filter": True} if row.host else {}
    return item


async def shape(session: Session, op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows with their addresses and groups."""
    ids = [row.id for row in rows]
    fixed = await FIXED_IPS.of(session, ids)
    groups = await GROUPS.of(session, ids)
    binding = op.can(BINDING)
    return [
        port(row, fixed.get(row.id, ()), [g.group_id for g in groups.get(row.id, ())], binding=binding) for row in rows
    ]


def _fixed(_op: Op, values: Sequence[str]) -> Where:
    """fixed_ips=ip_address=…, =subnet_id=…, =ip_address_substr=…: kinds must all fit, values of a kind are either."""
    wanted: dict[str, list[str]] = {}
    for value in values:
        name, _, text = value.partition("=")
        if name not in {"ip_address", "subnet_id", "ip_address_substr"}:
            raise BadRequest(f"fixed_ips wants ip_address=, subnet_id= or ip_address_substr=, not {value[:80]!r}.")
        wanted.setdefault(name, []).append(text)
    found = select(fixed_ips.c.port_id)
    for name, texts in wanted.items():
        if name == "ip_address_substr":
            found = found.where(or_(*(fixed_ips.c.ip_address.contains(t, autoescape=True) for t in texts)))
        else:
            found = found.where(fixed_ips.c[name].in_(texts))
    return ports.c.id.in_(found)


def _groups(_op: Op, values: Sequence[str]) -> Where:
    return ports.c.id.in_(select(port_groups.c.port_id).where(port_groups.c.group_id.in_(values)))


def _host(op: Op, values: Sequence[str]) -> Where:
    return ports.c.host.in_(values) if op.can(BINDING) else ports.c.id.is_(None)


PORTS = Collection(
    "port",
    "ports",
    "Port",
    ports,
    VISIBLE,
    shape,
    {"fixed_ips": _fixed, "security_groups": _groups, "binding:host_id": _host},
    {"binding:vnic_type": "vnic_type"},
)
