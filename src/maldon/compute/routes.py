"""The compute API: servers and what hangs on them, the catalogue around them, and the node agents' own calls.

Three tables, read top down: `SERVERS` here, `CATALOGUE` (flavors, keys, limits, hosts) in routes_catalogue.py, `AGENT`
(what node agents ask and report; never spoken by users) below. A noun has one file name on every shelf: api, schemas,
views, policies, models, and verbs (what can be done with it, each inside a transaction that the handler opens).
"""

from maldon.compute.api import (
    agent,
    instance_action,
    interface,
    server,
    server_action,
    server_address,
    server_metadata,
    server_tag,
    version,
)
from maldon.compute.policies.server import RULES as SERVER_RULES
from maldon.compute.routes_catalogue import CATALOGUE, CATALOGUE_RULES
from maldon.web.dialects import COMPUTE
from maldon.web.microversion import Versions
from maldon.web.policy import Rule
from maldon.web.service import PUBLIC, Routes, Service

VERSIONS = Versions("compute", (2, 1), (2, 96), "X-OpenStack-Nova-API-Version")

_P = "os_compute_api:"

SERVERS: Routes = {
    "/": {"GET": (version.index, PUBLIC)},
    "/v2": {"GET": (version.show_past, PUBLIC)},
    "/v2/": {"GET": (version.show_past, PUBLIC)},
    "/v2.1": {"GET": (version.show, PUBLIC)},
    "/v2.1/": {"GET": (version.show, PUBLIC)},
    "/v2.1/servers": {
        "GET": (server.index, _P + "servers:index"),
        "POST": (server.create, _P + "servers:create"),
    },
    "/v2.1/servers/detail": {"GET": (server.detail, _P + "servers:detail")},
    "/v2.1/servers/{id}": {
        "GET": (server.show, _P + "servers:show"),
        "PUT": (server.update, _P + "servers:update"),
        "DELETE": (server.delete, _P + "servers:delete"),
    },
    "/v2.1/servers/{id}/action": {"POST": (server_action.act, _P + "servers:show")},
    "/v2.1/servers/{id}/metadata": {
        "GET": (server_metadata.index, _P + "server-metadata:index"),
        "POST": (server_metadata.merge, _P + "server-metadata:create"),
        "PUT": (server_metadata.replace, _P + "server-metadata:update_all"),
    },
    "/v2.1/servers/{id}/metadata/{key}": {
        "GET": (server_metadata.show, _P + "server-metadata:show"),
        "PUT": (server_metadata.put, _P + "server-metadata:update"),
        "DELETE": (server_metadata.delete, _P + "server-metadata:delete"),
    },
    "/v2.1/servers/{id}/tags": {
        "GET": (server_tag.index, _P + "os-server-tags:index"),
        "PUT": (server_tag.replace, _P + "os-server-tags:update_all"),
        "DELETE": (server_tag.clear, _P + "os-server-tags:delete_all"),
    },
    "/v2.1/servers/{id}/tags/{tag}": {
        "GET": (server_tag.show, _P + "os-server-tags:show"),
        "PUT": (server_tag.put, _P + "os-server-tags:update"),
        "DELETE": (server_tag.delete, _P + "os-server-tags:delete"),
    },
    "/v2.1/servers/{id}/ips": {"GET": (server_address.index, _P + "ips:index")},
    "/v2.1/servers/{id}/ips/{label}": {"GET": (server_address.show, _P + "ips:show")},
    "/v2.1/servers/{id}/os-security-groups": {
        "GET": (server_address.security_groups, _P + "os-security-groups:list"),
    },
    "/v2.1/servers/{id}/os-volume_attachments": {
        "GET": (server_address.volume_attachments, _P + "os-volumes-attachments:index"),
    },
    "/v2.1/servers/{id}/os-interface": {
        "GET": (interface.index, _P + "os-attach-interfaces:list"),
        "POST": (interface.attach, _P + "os-attach-interfaces:create"),
    },
    "/v2.1/servers/{id}/os-interface/{port}": {
        "GET": (interface.show, _P + "os-attach-interfaces:show"),
        "DELETE": (interface.detach, _P + "os-attach-interfaces:delete"),
    },
    "/v2.1/servers/{id}/os-instance-actions": {
        "GET": (instance_action.index, _P + "os-instance-actions:list"),
    },
    "/v2.1/servers/{id}/os-instance-actions/{request_id}": {
        "GET": (instance_action.show, _P + "os-instance-actions:show"),
    },
}

AGENT: Routes = {
    "/agent/v1/hosts/{host}": {"POST": (agent.report, agent.RULE)},
    "/agent/v1/hosts/{host}/guests": {
        "GET": (agent.guests, agent.RULE),
        "POST": (agent.observed_guests, agent.RULE),
    },
    "/agent/v1/hosts/{host}/wiring": {
        "GET": (agent.wiring, agent.RULE),
        "POST": (agent.observed_wires, agent.RULE),
    },
    "/agent/v1/hosts/{host}/jobs/{job}": {"POST": (agent.job, agent.RULE)},
}

RULES: tuple[Rule, ...] = (*SERVER_RULES, *CATALOGUE_RULES)

SERVICE = Service(
    name="compute",
    prefix="/compute",
    port=8774,
    routes={**SERVERS, **CATALOGUE, **AGENT},
    rules=RULES,
    dialect=COMPUTE,
    ends_in_slash=False,
    versions=VERSIONS,
)
