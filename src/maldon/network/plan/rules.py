"""What a security group rule may say, and when two say the same. Pure."""

from ipaddress import ip_network
from typing import Any

from maldon.kernel.errors import BadRequest

PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
_WITH_PORTS = {6, 17, 33, 132, 136}
_ICMP = {1, 58}
_ONLY_V6 = {41, 43, 44, 58, 59, 60}
_ANYWHERE = {"0.0.0.0/0", "::/0"}


def number_of(protocol: str | None) -> int | None:
    """A protocol's number; None is any. Raises BadRequest."""
    if protocol is None:
        return None
    if protocol.isascii() and protocol.isdigit() and int(protocol) <= 255:
        return int(protocol)
    if protocol not in PROTOCOLS:
        raise BadRequest(
            f"Security group rule protocol {protocol} not supported. Only protocol values [None, "
            f"{', '.join(sorted(PROTOCOLS))}] and integer representations [0 to 255] are supported.",
            kind="SecurityGroupRuleInvalidProtocol",
        )
    return PROTOCOLS[protocol]


def checked(rule: dict[str, Any]) -> dict[str, Any]:
    """The rule with its values in their one form. Raises BadRequest for one that makes no sense."""
    protocol = rule["protocol"]
    protocol = None if protocol in {None, "", "any"} else str(protocol).lower()
    number = number_of(protocol)
    ethertype = {"ipv4": "IPv4", "ipv6": "IPv6"}.get(str(rule["ethertype"]).lower())
    if ethertype is None:
        raise BadRequest(
            f"Security group rule for ethertype '{rule['ethertype']}' not supported. Allowed values are "
            "['IPv4', 'IPv6'].",
            kind="SecurityGroupRuleInvalidEtherType",
        )
    if ethertype == "IPv4" and number in _ONLY_V6:
        raise BadRequest(
            f"Invalid ethertype {ethertype} for protocol {protocol}.",
            kind="SecurityGroupEthertypeConflictWithProtocol",
        )
    _check_ports(number, protocol, rule["port_range_min"], rule["port_range_max"])
    prefix = rule["remote_ip_prefix"]
    if prefix is not None and rule["remote_group_id"] is not None:
        raise BadRequest(
            "Only remote_ip_prefix or remote_group_id may be provided.",
            kind="SecurityGroupRemoteGroupAndRemoteIpPrefix",
        )
    return {**rule, "protocol": protocol, "ethertype": ethertype, "remote_ip_prefix": _prefix(prefix, ethertype)}


def _prefix(prefix: str | None, ethertype: str) -> str | None:
    if not prefix:
        return None
    try:
        network = ip_network(prefix, strict=False)
    except ValueError:
        raise BadRequest(f"Invalid CIDR {prefix} given as IP prefix.", kind="InvalidCIDR") from None
    if f"IPv{network.version}" != ethertype:
        raise BadRequest(
            f"Conflicting value ethertype {ethertype} for CIDR {prefix}.",
            kind="SecurityGroupRuleParameterConflict",
        )
    return prefix if "/" in prefix else str(network)


def _check_ports(number: int | None, protocol: str | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if number is None:
        raise BadRequest(
            "Must also specify protocol if port range is given.", kind="SecurityGroupProtocolRequiredWithPorts"
        )
    if number in _ICMP:
        _check_icmp(low, high)
    elif number not in _WITH_PORTS:
        raise BadRequest(
            f"Port range cannot be specified for protocol {protocol}. Port range is only supported for "
            "TCP, UDP, UDPLITE, SCTP and DCCP.",
            kind="SecurityGroupInvalidProtocolForPort",
        )
    else:
        _check_range(low, high)


def _check_range(low: int | None, high: int | None) -> None:
    for value in (low, high):
        if value is not None and not 1 <= value <= 65535:
            raise BadRequest(f"Invalid value for port {value}.", kind="SecurityGroupInvalidPortValue")
    if low is None or high is None or low > high:
        raise BadRequest(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max, and both given.",
            kind="SecurityGroupInvalidPortRange",
        )


def _check_icmp(low: int | None, high: int | None) -> None:
    if low is None:
        raise BadRequest(
            f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing.",
            kind="SecurityGroupMissingIcmpType",
        )
    for name, value in (("type (port-range-min)", low), ("code (port-range-max)", high)):
        if value is not None and not 0 <= value <= 255:
            raise BadRequest(
                f"Invalid value for ICMP {name}: {value}. It must be 0 to 255.", kind="SecurityGroupInvalidIcmpValue"
            )


def fingerprint(rule: dict[str, Any]) -> str:
    """Equal for rules that let the same packets through."""
    prefix = rule["remote_ip_prefix"]
    remote = str(ip_network(prefix, strict=False)) if prefix else ""
    parts = (
        rule["direction"],
        rule["ethertype"],
        number_of(rule["protocol"]),
        rule["port_range_min"],
        rule["port_range_max"],
        "" if remote in _ANYWHERE else remote,
        rule["remote_group_id"],
    )
    return "|".join("" if part is None else str(part) for part in parts)
