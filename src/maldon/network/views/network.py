"""How networks look, and who sees which."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, or_, select

from maldon.kernel.op import Op, Session
from maldon.network.collection import ASKER, Below, Collection, Where
from maldon.network.models.network import networks
from maldon.network.models.subnet import subnets
from maldon.network.views.standard import standard
from maldon.web.request import truth

PROVIDER = "get_network:provider:segmentation_id"


# The project's own networks, shared ones and external ones.
VISIBLE = or_(networks.c.project_id == ASKER, networks.c.shared.is_(True), networks.c.external.is_(True))
_SUBNETS = Below(select(subnets.c.id, subnets.c.network_id).order_by(subnets.c.created_at), subnets.c.network_id)


def network(row: Any, subnet_ids: list[str], *, provider: bool) -> dict[str, Any]:
    """One network; its wires are shown to those who run them."""
    item = {
        **standard(row),
        "admin_state_up": row.admin_state_up,
        "status": "ACTIVE",
        "shared": row.shared,
        "router:external": row.external,
        "subnets": subnet_ids,
        "mtu": row.mtu,
        "port_security_enabled": row.port_security_enabled,
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
    }
    if row.external:
        item["is_default"] = row.is_default
    if provider:
        item["provider:network_type"] = "flat" if row.external else "vxlan"
        item["provider:physical_network"] = "external" if row.external else None
        item["provider:segmentation_id"] = None if row.external else row.vni
    return item


async def shape(session: Session, op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows with the ids of their subnets."""
    ids = [row.id for row in rows]
    below = await _SUBNETS.of(session, ids)
    provider = op.can(PROVIDER)
    return [network(row, [s.id for s in below.get(row.id, ())], provider=provider) for row in rows]


def _type(_op: Op, values: Sequence[str]) -> Where:
    kinds = [networks.c.external.is_(kind == "flat") for kind in values if kind in {"flat", "vxlan"}]
    return or_(*kinds) if kinds else func.coalesce(networks.c.id, "") == ""


def _number(_op: Op, values: Sequence[str]) -> Where:
    numbers = [int(v) for v in values if v.isascii() and v.isdigit() and len(v) < 9]
    return and_(networks.c.external.is_(False), networks.c.vni.in_(numbers))


def _physical(_op: Op, values: Sequence[str]) -> Where:
    return networks.c.external.is_("external" in values)


def _status(_op: Op, values: Sequence[str]) -> Where:
    return networks.c.id.is_not(None) if "ACTIVE" in values else networks.c.id.is_(None)


def _subnets(_op: Op, values: Sequence[str]) -> Where:
    return networks.c.id.in_(select(subnets.c.network_id).where(subnets.c.id.in_(values)))


def _external(_op: Op, values: Sequence[str]) -> Where:
    return networks.c.external.in_([truth(v, "router:external") for v in values])


NETWORKS = Collection(
    "network",
    "networks",
    "Network",
    networks,
    VISIBLE,
    shape,
    {
        "provider:network_type": _type,
        "provider:segmentation_id": _number,
        "provider:physical_network": _physical,
        "status": _status,
        "subnets": _subnets,
        "router:external": _external,
    },
)
