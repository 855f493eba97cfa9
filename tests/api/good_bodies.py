"""What every route of every service takes: one good body each, and the least of those who may send it.

The route tables are the services' own, so a test misses a new route that takes a body. The values of `things` (see
whole_cloud.py) stand in the bodies where they refer to something that exists.
"""

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from maldon.identity import service as identity
from maldon.runtime.process import SERVICES
from maldon.web.service import PUBLIC, Service

SECRET = "sEcReT"
USER_DATA = base64.b64encode(f"#!/bin/sh\n# {SECRET}".encode()).decode()
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1y3rgZ5X2rO7qWyDWZDxVtfyoTYJEPP3h1cbiKbCtT somebody@somewhere"
BYTES = "application/octet-stream"
PATCH = "application/openstack-images-v2.1-json-patch"
START = identity.Bootstrap(
    f"{SECRET}-admin",
    f"{SECRET}-demo",
    f"{SECRET}-node",
    {s.name: (s.name, f"http://cloud.test{s.prefix}") for s in SERVICES.values()},
)
# Who may at least change something, by the first pattern that a route's key fits.
LEAST = (
    (r"POST /identity/v3/auth/tokens", "none"),
    (r"DELETE /identity/v3/auth/tokens", "reader"),
    (r"POST /identity/v3/users/{user_id}/password", "none"),
    (r"(POST|DELETE) /identity/v3/OS-TRUST/trusts.*", "member"),
    (r"POST /identity/v3/users/{user_id}/application_credentials", "member"),
    (r"\w+ /identity/.*", "admin"),
    (r"\w+ /placement/.*", "admin"),
    (r"\w+ /compute/agent/.*", "node"),
    (r"\w+ /compute/v2.1/(flavors|os-quota|os-services|os-aggregates|os-hosts).*", "admin"),
    (r"\w+ /network/v2.0/quotas.*", "admin"),
    (r"PUT /image/v2/images/{id}/members/{member_id}", "other"),
    (r"\w+ /compute/v2.1/os-keypairs.*", "reader"),
    (r".*", "member"),
)
BODYLESS = (
    r"POST /identity/v3/OS-OAUTH1/(request|access)_token",  # signed in their headers
    r"PUT /identity/v3/(OS-EP-FILTER|policies/{policy_id}/OS-ENDPOINT-POLICY)/.*",
    r"PUT /identity/.*/(roles/{role_id}|inherited_to_projects|tags/{tag}|users/{user_id}|implies/{implied_role_id})",
    r"PUT /(image|network|compute)/.*/tags/{tag}",
    r"POST /image/.*/actions/(de|re)activate",
)


@dataclass(frozen=True)
class Route:
    """One method of one path of one service."""

    service: Service
    method: str
    path: str
    rule: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.service.prefix}{self.path}"


ROUTES = tuple(
    Route(service, method, path, rule)
    for service in SERVICES.values()
    for path, methods in service.routes.items()
    for method, (_, rule) in methods.items()
)


def server_body(t: Mapping[str, str], **more: Any) -> dict[str, Any]:
    server = {
        "name": "s",
        "imageRef": t["images"],
        "flavorRef": "42",
        "networks": [{"uuid": t["networks"]}],
        "metadata": {"k": "v"},
        "user_data": USER_DATA,
        "adminPass": f"{SECRET}-pass",
        "config_drive": True,
        "security_groups": [{"name": "default"}],
        "min_count": 1,
        "max_count": 1,
        "OS-DCF:diskConfig": "AUTO",
        "description": "d",
        "accessIPv4": "1.2.3.4",
    }
    return {"server": server | more}


@dataclass(frozen=True)
class Case:
    """A body that a route takes. `things` stand for those of the cloud in the path; no `version` is the newest."""

    body: Any
    content: str = "application/json"
    things: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


def cases(t: Mapping[str, str]) -> dict[str, Case]:
    """One good body for every route that takes one, by the route's key."""
    found = {
        **_identity_cases(t),
        **_credential_cases(t),
        **_endpoint_cases(t),
        **_image_cases(t),
        **_network_cases(t),
        **_compute_cases(t),
    }
    refused = {"name": "x", "resources": {"VCPU": 1}}  # placement is not written by hand: 501, whatever is sent
    found |= {
        route.key: Case(refused)
        for route in ROUTES
        if route.service.name == "placement" and route.method in {"POST", "PUT"}
    }
    return found


def _identity_cases(t: Mapping[str, str]) -> dict[str, Case]:
    user = {"name": "demo", "domain": {"id": "default"}, "password": START.demo_password}
    scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
    option = {"options": {"immutable": False}}
    made = {
        "domain": {"name": "d2", "description": "d", "enabled": False, **option},
        "project": {"name": "p2", "description": "d", "enabled": True, "domain_id": "default", "tags": ["b"], **option},
        "user": {
            "name": "u2",
            "password": f"{SECRET}-u2",
            "domain_id": "default",
            "enabled": True,
            "default_project_id": t["demo"],
        },
        "group": {"name": "g2", "description": "d", "domain_id": "default"},
        "role": {"name": "r2", "description": "d", **option},
        "service": {"name": "s2", "type": "t2", "description": "d", "enabled": True},
        "endpoint": {
            "service_id": t["services"],
            "interface": "admin",
            "url": "http://b.test",
            "region_id": t["regions"],
            "enabled": True,
        },
        "region": {"id": "r2", "description": "d", "parent_region_id": t["regions"]},
    }
    changed = {
        "domain": {"description": "e", "enabled": True},
        "project": {"description": "e", "enabled": True, "tags": ["a-tag", "c"]},
        "user": {"name": "u3", "password": f"{SECRET}-u3", "enabled": True},
        "group": {"name": "g3", "description": "e"},
        "role": {"name": "r3", "description": "e"},
        "service": {"name": "s3", "type": "t3", "enabled": True},
        "endpoint": {"interface": "admin", "url": "http://c.test", "enabled": True},
        "region": {"description": "e"},
    }
    registered = {
        "service_id": t["services"],
        "region_id": t["regions"],
        "resource_name": "r",
        "default_limit": 5,
        "description": "d",
    }
    limit = {
        "service_id": t["services"],
        "resource_name": "things",
        "resource_limit": 5,
        "description": "d",
        "domain_id": t["domains"],
    }
    change = {"password": f"{SECRET}-new", "original_password": f"{SECRET}-user"}
    trust = {
        "trustor_user_id": t["demo user"],
        "trustee_user_id": t["users"],
        "impersonation": True,
        "project_id": t["demo"],
        "roles": [{"id": t["roles"]}],
        "expires_at": "2030-01-31T12:00:00Z",
        "allow_redelegation": True,
        "redelegation_count": 1,
    }
    credential = {
        "name": "c2",
        "secret": f"{SECRET}-app",
        "description": "d",
        "expires_at": "2030-01-31T12:00:00Z",
        "roles": [{"id": t["roles"]}],
        "unrestricted": False,
        "access_rules": [{"service": "compute", "method": "GET", "path": "/v2.1/servers/*"}],
    }
    return {
        "POST /identity/v3/auth/tokens": Case({"auth": auth}),
        "POST /identity/v3/OS-TRUST/trusts": Case({"trust": trust}),
        "POST /identity/v3/users/{user_id}/application_credentials": Case(
            {"application_credential": credential}, things={"user_id": t["demo user"]}
        ),
        **{f"POST /identity/v3/{one}s": Case({one: body}) for one, body in made.items()},
        **{f"PATCH /identity/v3/{one}s/{{{one}_id}}": Case({one: body}) for one, body in changed.items()},
        "POST /identity/v3/registered_limits": Case({"registered_limits": [registered]}),
        "PATCH /identity/v3/registered_limits/{registered_limit_id}": Case({"registered_limit": {"default_limit": 7}}),
        "POST /identity/v3/limits": Case({"limits": [limit]}),
        "PATCH /identity/v3/limits/{limit_id}": Case({"limit": {"resource_limit": 7, "description": "e"}}),
        "PATCH /identity/v3/projects/{project_id}/cascade": Case({"project": {"enabled": False}}),
        "PUT /identity/v3/projects/{project_id}/tags": Case({"tags": ["a-tag", "b"]}),
        "POST /identity/v3/users/{user_id}/password": Case({"user": change}),
        "PUT /identity/v3/domains/{domain_id}/config": Case({"config": {"ldap": {"url": "ldap://a.test"}}}),
        "PATCH /identity/v3/domains/{domain_id}/config": Case({"config": {"ldap": {"page_size": 10}}}),
        "PATCH /identity/v3/domains/{domain_id}/config/{group}": Case({"config": {"ldap": {"use_tls": True}}}),
        "PATCH /identity/v3/domains/{domain_id}/config/{group}/{option}": Case({"config": {"url": "ldap://b.test"}}),
        "PUT /identity/v3/regions/{region_id}": Case({"region": {"description": "d"}}, things={"region_id": "r4"}),
    }


def ec2_blob(access: str) -> str:
    return json.dumps({"access": access, "secret": SECRET})


def _credential_cases(t: Mapping[str, str]) -> dict[str, Case]:
    own = {"user_id": t["users"], "project_id": t["projects"], "type": "ec2", "blob": ec2_blob("another")}
    params = {"SignatureVersion": "2", "Timestamp": "2023-11-14T23:13:20"}
    signed = _signature("POST\nec2.test\n/\nSignatureVersion=2&Timestamp=2023-11-14T23%3A13%3A20")
    headers = {"Host": "ec2.test"}
    place = {"host": "ec2.test", "verb": "POST", "path": "/", "headers": headers, "body_hash": "e3b0"}
    text = "GET\n\n\nTue, 14 Nov 2023 23:13:20 +0000\n/bucket"
    token = base64.b64encode(text.encode()).decode()
    who = {"access": t["OS-EC2"]}
    return {
        "POST /identity/v3/credentials": Case({"credential": own}),
        "PATCH /identity/v3/credentials/{credential_id}": Case({"credential": {"blob": ec2_blob(t["OS-EC2"])}}),
        "POST /identity/v3/users/{user_id}/credentials/OS-EC2": Case({"tenant_id": t["projects"]}),
        "POST /identity/v3/ec2tokens": Case({"credentials": {**who, "signature": signed, "params": params, **place}}),
        "POST /identity/v3/s3tokens": Case({"credentials": {**who, "signature": _signature(text), "token": token}}),
    }


def _signature(text: str) -> str:
    return base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha1")).decode()


def _endpoint_cases(t: Mapping[str, str]) -> dict[str, Case]:
    groups, policies = "/identity/v3/OS-EP-FILTER/endpoint_groups", "/identity/v3/policies"
    filters = {"service_id": t["services"], "region_id": t["regions"], "interface": "public"}
    group = {"name": "eg2", "description": "d", "filters": filters}
    policy = {"type": "application/json", "blob": {"a": ["role:b"]}}
    return {
        f"POST {groups}": Case({"endpoint_group": group}),
        f"PATCH {groups}/{{endpoint_group_id}}": Case({"endpoint_group": group}),
        f"POST {policies}": Case({"policy": policy}),
        "POST /identity/v3/OS-OAUTH2/token": Case(_form(t), "application/x-www-form-urlencoded"),
        "POST /identity/v3/OS-OAUTH1/consumers": Case({"consumer": {"description": "d"}}),
        "PATCH /identity/v3/OS-OAUTH1/consumers/{consumer_id}": Case({"consumer": {"description": "e"}}),
        "PUT /identity/v3/OS-OAUTH1/authorize/{request_token_id}": Case({"roles": [{"id": t["admin role"]}]}),
        f"PATCH {policies}/{{policy_id}}": Case({"policy": {**policy, "blob": "text"}}),
    }


def _form(t: Mapping[str, str]) -> bytes:
    client = {"client_id": t["application_credentials"], "client_secret": f"{SECRET}-app"}
    return urlencode({"grant_type": "client_credentials", **client}).encode()


def _image_cases(t: Mapping[str, str]) -> dict[str, Case]:
    body = {
        "name": "j",
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "private",
        "min_disk": 1,
        "min_ram": 1,
        "protected": False,
        "os_hidden": False,
        "tags": ["a"],
        "a_property": "v",
    }
    patch = [
        {"op": "replace", "path": "/name", "value": "k"},
        {"op": "add", "path": "/a_property", "value": "v"},
        {"op": "replace", "path": "/min_ram", "value": 1},
    ]
    at = "/image/v2/images"
    return {
        f"POST {at}": Case(body),
        f"PATCH {at}/{{id}}": Case(patch, PATCH),
        f"PUT {at}/{{id}}/file": Case(b"x" * 1000, BYTES, {"id": t["queued"]}),
        f"PUT {at}/{{id}}/stage": Case(b"x" * 1000, BYTES, {"id": t["to stage"]}),
        f"POST {at}/{{id}}/import": Case({"method": {"name": "glance-direct"}}, things={"id": t["staged"]}),
        f"POST {at}/{{id}}/members": Case({"member": t["projects"]}),
        f"PUT {at}/{{id}}/members/{{member_id}}": Case({"status": "accepted"}),
    }


def _network_cases(t: Mapping[str, str]) -> dict[str, Case]:
    route = {"destination": "10.77.0.0/16", "nexthop": "10.0.0.77"}
    words = {"name": "n", "description": "d"}
    made = {
        "network": {**words, "admin_state_up": True, "mtu": 1400, "port_security_enabled": True},
        "subnet": {
            **words,
            "network_id": t["networks"],
            "ip_version": 4,
            "cidr": "10.2.0.0/24",
            "gateway_ip": "10.2.0.1",
            "allocation_pools": [{"start": "10.2.0.9", "end": "10.2.0.99"}],
            "dns_nameservers": ["10.2.0.2"],
            "host_routes": [{"destination": "10.3.0.0/24", "nexthop": "10.2.0.3"}],
            "enable_dhcp": True,
        },
        "subnetpool": {**words, "prefixes": ["10.8.0.0/16"], "default_prefixlen": 24, "min_prefixlen": 20},
        "port": {
            **words,
            "network_id": t["networks"],
            "admin_state_up": True,
            "mac_address": "fa:16:3e:00:00:01",
            "fixed_ips": [{"subnet_id": t["subnets"], "ip_address": "10.0.0.99"}],
            "security_groups": [t["security-groups"]],
            "device_id": "x",
            "device_owner": "test:x",
            "allowed_address_pairs": [{"ip_address": "10.0.0.98"}],
            "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
            "binding:vnic_type": "normal",
        },
        "router": {**words, "admin_state_up": True, "external_gateway_info": {"network_id": t["public"]}},
        "floatingip": {
            "description": "d",
            "floating_network_id": t["public"],
            "port_id": t["spare port"],
        },
        "security_group": {**words, "stateful": True},
        "security_group_rule": {
            "description": "d",
            "security_group_id": t["security-groups"],
            "direction": "ingress",
            "ethertype": "IPv4",
            "protocol": "udp",
            "port_range_min": 1,
            "port_range_max": 2,
            "remote_ip_prefix": "10.0.0.0/8",
        },
    }
    changed = {
        "network": {**words, "admin_state_up": True, "mtu": 1400},
        "subnet": {**words, "dns_nameservers": ["10.0.0.2"], "enable_dhcp": True},
        "subnetpool": {**words, "default_prefixlen": 25},
        "port": {**words, "admin_state_up": True, "security_groups": [t["security-groups"]]},
        "router": {**words, "admin_state_up": True},
        "floatingip": {"description": "d", "port_id": t["ports"]},
        "security_group": words,
        "security_group_rule": {"description": "d"},
    }
    plural = {one: f"/network/v2.0/{one.replace('_', '-')}s" for one in made}
    tags = {"tags": ["a-tag", "b"]}
    return {
        **{f"POST {plural[one]}": Case({one: body}) for one, body in made.items()},
        **{f"PUT {plural[one]}/{{id}}": Case({one: body}) for one, body in changed.items()},
        **{f"{method} {path}/{{id}}/tags": Case(tags) for path in plural.values() for method in ("PUT", "POST")},
        "PUT /network/v2.0/routers/{id}/add_router_interface": Case({"subnet_id": t["spare subnet"]}),
        "PUT /network/v2.0/routers/{id}/remove_router_interface": Case({"subnet_id": t["spare subnet"]}),
        "PUT /network/v2.0/routers/{id}/add_extraroutes": Case({"router": {"routes": [route]}}),
        "PUT /network/v2.0/routers/{id}/remove_extraroutes": Case({"router": {"routes": [route]}}),
        "PUT /network/v2.0/quotas/{project}": Case({"quota": {"network": 50, "port": 50}}),
    }


def _compute_cases(t: Mapping[str, str]) -> dict[str, Case]:
    v2, agent = "/compute/v2.1", "/compute/agent/v1/hosts/{host}"
    flavor = {"name": "g", "ram": 64, "vcpus": 1, "disk": 1, "swap": 1, "rxtx_factor": 1.0, "description": "d"}
    capacity = {
        "hypervisor_type": "fake",
        "hypervisor_version": 1,
        "vcpus": 4,
        "memory_mb": 4608,
        "disk_gb": 40,
        "cpu_info": "{}",
    }
    key = {"name": "k2", "public_key": PUBLIC_KEY, "type": "ssh"}
    change = {"name": "b", "description": "d", "accessIPv4": "1.2.3.4"}
    return {
        f"POST {v2}/servers": Case(server_body(t)),
        f"PUT {v2}/servers/{{id}}": Case({"server": change}),
        f"POST {v2}/servers/{{id}}/action": Case({"addSecurityGroup": {"name": "a group"}}),
        f"POST {v2}/servers/{{id}}/metadata": Case({"metadata": {"k": "v"}}),
        f"PUT {v2}/servers/{{id}}/metadata": Case({"metadata": {"k": "v"}}),
        f"PUT {v2}/servers/{{id}}/metadata/{{key}}": Case({"meta": {"k": "v"}}),
        f"PUT {v2}/servers/{{id}}/tags": Case({"tags": ["a-tag", "b"]}),
        f"POST {v2}/servers/{{id}}/os-interface": Case({"interfaceAttachment": {"net_id": t["networks"]}}),
        f"POST {v2}/flavors": Case({"flavor": flavor}),
        f"PUT {v2}/flavors/{{id}}": Case({"flavor": {"description": "d"}}),
        f"POST {v2}/flavors/{{id}}/action": Case({"addTenantAccess": {"tenant": t["demo"]}}),
        f"POST {v2}/flavors/{{id}}/os-extra_specs": Case({"extra_specs": {"k": "v"}}),
        f"PUT {v2}/flavors/{{id}}/os-extra_specs/{{key}}": Case({"k": "v"}),
        f"POST {v2}/os-keypairs": Case({"keypair": key}),
        f"PUT {v2}/os-quota-sets/{{id}}": Case({"quota_set": {"cores": 50, "force": True}}),
        f"PUT {v2}/os-quota-class-sets/{{id}}": Case({"quota_class_set": {"cores": 50}}),
        f"POST {v2}/os-server-groups": Case({"server_group": {"name": "g", "policy": "anti-affinity"}}),
        f"PUT {v2}/os-services/{{id}}": Case({"status": "disabled", "disabled_reason": "r"}),
        f"PUT {v2}/os-hosts/{{name}}": Case({"status": "enable"}, version="compute 2.42"),
        f"POST {v2}/os-aggregates": Case({"aggregate": {"name": "h", "availability_zone": "z"}}),
        f"PUT {v2}/os-aggregates/{{id}}": Case({"aggregate": {"name": "i"}}),
        f"POST {v2}/os-aggregates/{{id}}/action": Case({"set_metadata": {"metadata": {"k": "v"}}}),
        f"POST {v2}/os-aggregates/{{id}}/images": Case({"cache": [{"id": t["images"]}]}),
        f"POST {agent}": Case({"capacity": capacity, "tunnel_ip": "10.9.0.1", "version": "1"}),
        f"POST {agent}/guests": Case([{"id": t["servers"], "revision": 1, "power": "running", "hard_boots": 1}]),
        f"POST {agent}/wiring": Case([{"kind": "port", "id": t["os-interface"], "up": True}]),
        f"POST {agent}/jobs/{{job}}": Case({"output": "o", "error": "e"}),
    }


def least(route: Route) -> str:
    """Who, in tests, may do it with the least power: none, reader, member, other, node or admin."""
    return "none" if route.rule == PUBLIC else next(who for form, who in LEAST if re.fullmatch(form, route.key))


def takes_body(route: Route) -> bool:
    return route.method in {"POST", "PUT", "PATCH"} and not any(re.fullmatch(form, route.key) for form in BODYLESS)
