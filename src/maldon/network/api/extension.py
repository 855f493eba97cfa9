"""Discovery: the version, its resources, and the extensions. Only what is truly honoured is named here."""

from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.network.collection import narrowed
from maldon.web.request import Reply, Request, json

_SINCE = "2026-01-01T00:00:00-00:00"
EXTENSIONS = {
    "agent": ("agent", "The agents of the cloud's hosts."),
    "agent-resources-synced": ("Agent's Resource View Synced to Placement", "Shown, never set."),
    "allowed-address-pairs": ("Allowed Address Pairs", "Further addresses a port may send from."),
    "availability_zone": ("Availability Zone", "Zones of agents."),
    "binding": ("Port Binding", "Where a port is bound."),
    "empty-string-filtering": ("Empty String Filtering Extension", "An empty value is a filter too."),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "Source NAT of a gateway on or off."),
    "external-net": ("Neutron external network", "Networks that lead out of the cloud."),
    "extra_dhcp_opt": ("Neutron Extra DHCP options", "Options a port's DHCP answers carry."),
    "extraroute": ("Neutron Extra Route", "Static routes of routers."),
    "extraroute-atomic": ("Atomically add/remove extra routes", "Static routes one by one."),
    "ip-substring-filtering": ("IP address substring filtering", "Ports by a part of their address."),
    "net-mtu": ("Network MTU", "The largest packet of a network."),
    "net-mtu-writable": ("Network MTU (writable)", "The largest packet of a network may be chosen."),
    "network-ip-availability": ("Network IP Availability", "How many addresses are used."),
    "pagination": ("Pagination support", "Lists page by marker."),
    "port-security": ("Port Security", "Filters of a port on or off."),
    "port-security-groups-filtering": ("Port filtering on security groups", "Ports by security group."),
    "project-id": ("project_id field enabled", "project_id beside tenant_id."),
    "provider": ("Provider Network", "What wires a network runs on."),
    "quota_details": ("Quota details management support", "Limit and use of quotas."),
    "quotas": ("Quota management support", "Limits of a project."),
    "revision-if-match": ("If-Match constraints based on revision_number", "A change names the revision it saw."),
    "router": ("Neutron L3 Router", "Routers and floating IPs."),
    "router_availability_zone": ("Router Availability Zone", "Routers in chosen zones."),
    "security-group": ("security-group", "Security groups and rules."),
    "security-groups-normalized-cidr": ("Normalized CIDR field for security group rules", "The range meant."),
    "service-type": ("Neutron Service Type Management", "Service providers; there are none."),
    "sorting": ("Sorting support", "Lists sort by any attribute."),
    "standard-attr-description": ("standard-attr-description", "Words on every resource."),
    "standard-attr-revisions": ("Resource revision numbers", "A number that grows with every change."),
    "standard-attr-tag": ("Tag support for resources with standard attribute", "Tags on every resource."),
    "standard-attr-timestamp": ("Resource timestamps", "When a resource was made and changed."),
    "subnet_allocation": ("Subnet Allocation", "Subnets cut from pools."),
}
RESOURCES = {
    "network": "networks",
    "subnet": "subnets",
    "subnetpool": "subnetpools",
    "port": "ports",
    "router": "routers",
    "floatingip": "floatingips",
    "security-group": "security-groups",
    "security-group-rule": "security-group-rules",
    "extension": "extensions",
    "agent": "agents",
    "quota": "quotas",
    "availability_zone": "availability_zones",
    "service-provider": "service-providers",
    "network-ip-availability": "network-ip-availabilities",
}


async def versions(request: Request, _op: Op) -> Reply:
    link = {"rel": "self", "href": f"{request.base}/v2.0/"}
    return json({"versions": [{"id": "v2.0", "status": "CURRENT", "updated": "2016-01-01T00:00:00Z", "links": [link]}]})


async def resources(request: Request, _op: Op) -> Reply:
    items = [
        {"name": one, "collection": many, "links": [{"rel": "self", "href": f"{request.base}/v2.0/{many}"}]}
        for one, many in RESOURCES.items()
    ]
    return json({"resources": items})


def _extension(alias: str) -> dict[str, object]:
    name, words = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": words, "updated": _SINCE, "links": []}


async def listing(request: Request, op: Op) -> Reply:
    op.may("get_extension")
    return json({"extensions": narrowed([_extension(alias) for alias in EXTENSIONS], request.params("fields"))})


async def shown(request: Request, op: Op) -> Reply:
    op.may("get_extension")
    alias = request.path["alias"]
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", kind="ExtensionNotFound")
    return json({"extension": _extension(alias)})
