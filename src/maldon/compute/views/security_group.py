"""How the security groups of a server look: only what they let in is told, and all ports are numbers."""

from typing import Any

from maldon.network.service import GroupSeen, RuleSeen


def security_group(group: GroupSeen) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": [_rule(group.id, rule) for rule in group.rules],
    }


def _rule(group_id: str, rule: RuleSeen) -> dict[str, Any]:
    first, last = rule.port_min, rule.port_max
    if rule.protocol and first is None and last is None:
        first, last = (1, 65535) if rule.protocol in {"tcp", "udp"} else (-1, -1)
    name, project_id = rule.group or ("", "")
    return {
        "id": rule.id,
        "parent_group_id": group_id,
        "ip_protocol": rule.protocol,
        "from_port": first,
        "to_port": last,
        "ip_range": {} if rule.group else {"cidr": rule.cidr},
        "group": {"name": name, "tenant_id": project_id} if rule.group else {},
    }
