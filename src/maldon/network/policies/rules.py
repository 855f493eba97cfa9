"""Who may do what in the network API. Real rule names; defaults in the spirit of secure RBAC.

A reader of a project reads what is its own, a member changes it, an admin everything. What touches the wires, other
projects or the safety of a network needs the network's owner or an admin.
"""

from maldon.web.policy import Rule

ADMIN = "role:admin"
_READ = "role:admin or (role:reader and project_id:%(project_id)s)"
_WRITE = "role:admin or (role:member and project_id:%(project_id)s)"
_NETWORK_OWNER = "role:admin or (role:member and project_id:%(network:project_id)s)"
_ANY_READER = "role:admin or role:reader"

_NOUNS = {
    "network": "networks",
    "subnet": "subnets",
    "subnetpool": "subnetpools",
    "port": "ports",
    "router": "routers",
    "floatingip": "floatingips",
    "security_group": "security_groups",
    "security_group_rule": "security_group_rules",
}
_ADMIN_ATTRIBUTES = {
    "network": (
        "shared",
        "router:external",
        "is_default",
        *(f"provider:{p}" for p in ("network_type", "physical_network", "segmentation_id")),
    ),
    "subnetpool": ("shared", "is_default"),
    "port": ("binding:host_id", "binding:profile"),
    "router": ("external_gateway_info:enable_snat", "external_gateway_info:external_fixed_ips"),
    "floatingip": ("floating_ip_address",),
}
_OWNER_ATTRIBUTES = {
    "port": (
        "device_owner",
        "mac_address",
        "fixed_ips:ip_address",
        "port_security_enabled",
        "allowed_address_pairs",
    ),
}


def _rules() -> list[Rule]:
    rules = []
    for one, many in _NOUNS.items():
        shown = one.replace("_", " ")
        rules += [
            Rule(f"get_{one}", _READ, f"See a {shown}."),
            Rule(f"create_{one}", _WRITE, f"Make a {shown}."),
            Rule(f"update_{one}", _WRITE, f"Change a {shown}."),
            Rule(f"delete_{one}", _WRITE, f"Take a {shown} away."),
            Rule(f"get_{many}_tags", _READ, f"See the tags of a {shown}."),
            Rule(f"update_{many}_tags", _WRITE, f"Change the tags of a {shown}."),
            Rule(f"delete_{many}_tags", _WRITE, f"Take tags off a {shown}."),
        ]
    for check, table in ((ADMIN, _ADMIN_ATTRIBUTES), (_NETWORK_OWNER, _OWNER_ATTRIBUTES)):
        for one, attributes in table.items():
            for verb, does in (("create", "Make"), ("update", "Change")):
                for name in attributes:
                    rules.append(Rule(f"{verb}_{one}:{name}", check, f"{does} a {one} with {name} given."))
    return rules


RULES = (
    *_rules(),
    Rule("get_network:provider:segmentation_id", ADMIN, "See what wires a network runs on."),
    Rule("get_port:binding:host_id", ADMIN, "See where a port is bound."),
    Rule("add_router_interface", _WRITE, "Plug a subnet or port into a router."),
    Rule("remove_router_interface", _WRITE, "Unplug a subnet or port from a router."),
    Rule("add_extraroutes", _WRITE, "Add static routes to a router."),
    Rule("remove_extraroutes", _WRITE, "Take static routes from a router."),
    Rule("get_quota", _READ, "See a project's network quotas."),
    Rule("update_quota", ADMIN, "Change a project's network quotas."),
    Rule("delete_quota", ADMIN, "Give a project the default network quotas."),
    Rule("get_agent", ADMIN, "See the agents."),
    Rule("get_availability_zone", _ANY_READER, "See the availability zones."),
    Rule("get_network_ip_availability", ADMIN, "See how many addresses of networks are used."),
    Rule("get_extension", _ANY_READER, "See what extensions there are."),
    Rule("get_service_provider", _ANY_READER, "See the service providers."),
)
GUARDED = {one: frozenset((*_ADMIN_ATTRIBUTES.get(one, ()), *_OWNER_ATTRIBUTES.get(one, ()))) for one in _NOUNS}
