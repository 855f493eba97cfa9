"""How security groups and rules look, and who sees which."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from sqlalchemy import or_, select

from maldon.kernel.op import Op, Session
from maldon.network.collection import ASKER, Below, Collection
from maldon.network.models.security_group import security_group_rules as rules
from maldon.network.models.security_group import security_groups as groups
from maldon.network.views.standard import owned, standard

_RULES = Below(select(rules).order_by(rules.c.created_at, rules.c.id), rules.c.security_group_id)
# One's own rules and those of one's own groups.
_OWN = select(groups.c.id).where(groups.c.project_id == ASKER)
RULE_VISIBLE = or_(rules.c.project_id == ASKER, rules.c.security_group_id.in_(_OWN))


def rule(row: Any) -> dict[str, Any]:
    prefix = row.remote_ip_prefix
    return {
        **owned(row),
        "security_group_id": row.security_group_id,
        "direction": row.direction,
        "ethertype": row.ethertype,
        "protocol": row.protocol,
        "port_range_min": row.port_range_min,
        "port_range_max": row.port_range_max,
        "remote_ip_prefix": prefix,
        "normalized_cidr": str(ip_network(prefix, strict=False)) if prefix else None,
        "remote_group_id": row.remote_group_id,
        "remote_address_group_id": None,
    }


def group(row: Any, its_rules: Iterable[Any]) -> dict[str, Any]:
    return {
        **standard(row),
        "stateful": row.stateful,
        "shared": False,
        "security_group_rules": [rule(one) for one in its_rules],
    }


async def shape(session: Session, _op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows with their rules."""
    ids = [row.id for row in rows]
    below = await _RULES.of(session, ids)
    return [group(row, below.get(row.id, ())) for row in rows]


SECURITY_GROUPS = Collection(
    "security_group", "security_groups", "SecurityGroup", groups, groups.c.project_id == ASKER, shape
)


async def rule_shape(_session: Session, _op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [rule(row) for row in rows]


RULES = Collection("security_group_rule", "security_group_rules", "SecurityGroupRule", rules, RULE_VISIBLE, rule_shape)
