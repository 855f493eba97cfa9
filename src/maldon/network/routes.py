"""The network API v2.0: what answers where, and by which rule."""

from types import ModuleType

from maldon.network.api import (
    agent,
    extension,
    floating_ip,
    ip_availability,
    network,
    port,
    quota,
    router,
    security_group,
    subnet,
    subnet_pool,
)
from maldon.network.api.tag import tag_routes
from maldon.network.policies.rules import RULES as POLICIES
from maldon.network.views.network import NETWORKS
from maldon.network.views.port import PORTS
from maldon.network.views.router import FLOATING_IPS, ROUTERS
from maldon.network.views.security_group import RULES, SECURITY_GROUPS
from maldon.network.views.subnet import SUBNET_POOLS, SUBNETS
from maldon.web.dialects import NETWORK
from maldon.web.service import PUBLIC, Handler, Service

Table = dict[str, dict[str, tuple[Handler, str]]]


def _crud(path: str, one: str, handlers: ModuleType) -> Table:
    """The five usual calls of a collection."""
    return {
        path: {"GET": (handlers.listing, f"get_{one}"), "POST": (handlers.create, f"create_{one}")},
        f"{path}/{{id}}": {
            "GET": (handlers.shown, f"get_{one}"),
            "PUT": (handlers.update, f"update_{one}"),
            "DELETE": (handlers.delete, f"delete_{one}"),
        },
    }


V2 = "/v2.0"
ROUTES: Table = {
    "/": {"GET": (extension.versions, PUBLIC)},
    V2: {"GET": (extension.resources, PUBLIC)},
    f"{V2}/extensions": {"GET": (extension.listing, "get_extension")},
    f"{V2}/extensions/{{alias}}": {"GET": (extension.shown, "get_extension")},
    **_crud(f"{V2}/networks", "network", network),
    **tag_routes(f"{V2}/networks", NETWORKS),
    **_crud(f"{V2}/subnets", "subnet", subnet),
    **tag_routes(f"{V2}/subnets", SUBNETS),
    **_crud(f"{V2}/subnetpools", "subnetpool", subnet_pool),
    **tag_routes(f"{V2}/subnetpools", SUBNET_POOLS),
    **_crud(f"{V2}/ports", "port", port),
    **tag_routes(f"{V2}/ports", PORTS),
    **_crud(f"{V2}/routers", "router", router),
    **tag_routes(f"{V2}/routers", ROUTERS),
    f"{V2}/routers/{{id}}/add_router_interface": {"PUT": (router.add_interface, "add_router_interface")},
    f"{V2}/routers/{{id}}/remove_router_interface": {"PUT": (router.remove_interface, "remove_router_interface")},
    f"{V2}/routers/{{id}}/add_extraroutes": {"PUT": (router.add_routes, "add_extraroutes")},
    f"{V2}/routers/{{id}}/remove_extraroutes": {"PUT": (router.remove_routes, "remove_extraroutes")},
    **_crud(f"{V2}/floatingips", "floatingip", floating_ip),
    **tag_routes(f"{V2}/floatingips", FLOATING_IPS),
    **_crud(f"{V2}/security-groups", "security_group", security_group),
    **tag_routes(f"{V2}/security-groups", SECURITY_GROUPS),
    f"{V2}/security-group-rules": {
        "GET": (security_group.list_rules, "get_security_group_rule"),
        "POST": (security_group.create_rule, "create_security_group_rule"),
    },
    f"{V2}/security-group-rules/{{id}}": {
        "GET": (security_group.show_rule, "get_security_group_rule"),
        "PUT": (security_group.update_rule, "update_security_group_rule"),
        "DELETE": (security_group.delete_rule, "delete_security_group_rule"),
    },
    **tag_routes(f"{V2}/security-group-rules", RULES),
    f"{V2}/quotas": {"GET": (quota.listing, "get_quota")},
    f"{V2}/quotas/{{project}}": {
        "GET": (quota.shown, "get_quota"),
        "PUT": (quota.update, "update_quota"),
        "DELETE": (quota.reset, "delete_quota"),
    },
    f"{V2}/quotas/{{project}}/default": {"GET": (quota.defaults, "get_quota")},
    f"{V2}/quotas/{{project}}/details.json": {"GET": (quota.details, "get_quota")},
    f"{V2}/quotas/{{project}}/details": {"GET": (quota.details, "get_quota")},
    f"{V2}/agents": {"GET": (agent.listing, "get_agent")},
    f"{V2}/agents/{{id}}": {"GET": (agent.shown, "get_agent")},
    f"{V2}/availability_zones": {"GET": (agent.zones, "get_availability_zone")},
    f"{V2}/service-providers": {"GET": (agent.providers, "get_service_provider")},
    f"{V2}/network-ip-availabilities": {"GET": (ip_availability.listing, "get_network_ip_availability")},
    f"{V2}/network-ip-availabilities/{{id}}": {"GET": (ip_availability.shown, "get_network_ip_availability")},
}

SERVICE = Service("network", "/network", 9696, ROUTES, POLICIES, NETWORK)
