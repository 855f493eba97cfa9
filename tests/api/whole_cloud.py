"""Every service in one process with the real identity, and one of each thing, made by HTTP as users make them.

`whole` gives the cloud; `ROUTES` every route of every service as the route tables say them; `Whole.at` the address of a
route with its variables filled by things that exist. A variable is filled by the segment before it: a new kind of thing
needs a line in `Whole.things`, and the tests say so. Run as a program it walks every route once, logging to stdout.
"""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import func, select

from maldon.compute import service as compute
from maldon.drivers.keyvalue.memory import MemoryKeyValue
from maldon.identity import service as identity
from maldon.image import service as image
from maldon.network import service as network
from maldon.placement import service as placement
from maldon.runtime.process import SERVICES
from maldon.store.schema import metadata
from tests.api.good_bodies import (
    BYTES,
    PUBLIC_KEY,
    ROUTES,
    SECRET,
    START,
    USER_DATA,
    Case,
    Route,
    cases,
    ec2_blob,
    least,
    server_body,
    takes_body,
)
from tests.harness import Answer, Cloud, cloud
from tests.identity_cloud import DRIVERS
from tests.oauth1 import signed
from tests.servers_rig import Host, Rig

QUICK = identity.IdentitySettings(hash_memory_kib=64, hash_passes=1)
NEWEST = {"compute": "compute 2.96", "placement": "placement 1.39"}
# Where a secret is told, and to whom: the node that runs a guest; whoever made a server or a key; an operator.
MAY_SHOW = re.compile(
    r"GET /compute/agent/v1/hosts/{host}/guests node|POST /compute/v2.1/servers member"
    r"|POST /identity/v3/users/{user_id}/application_credentials member"
    r"|GET /compute/v2.1/servers/(detail|{id}) admin"
    r"|\w+ /identity/v3/(users/{user_id}/)?credentials.* admin"
)
REVOKE = "DELETE /identity/v3/auth/tokens"


@dataclass
class Whole:
    """`tokens` by who holds them; `things` what a path's variable is filled with, by the segment before it."""

    cloud: Cloud
    tokens: dict[str, str] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)

    async def ask(self, who: str, method: str, url: str, json: Any = None, **more: Any) -> Answer:
        """One request at the newest microversion, unless a header says another."""
        more.setdefault("OpenStack_API_Version", NEWEST.get(url.split("/")[1]))
        return await self.cloud.as_(self.tokens[who])(method, url, json, **more)

    async def make(self, who: str, url: str, body: Any, **headers: str) -> Any:
        """POST; the one thing in the answer."""
        got = await self.ask(who, "POST", url, body, **headers)
        assert got.status in {200, 201, 202}, (url, got.status, got.body)
        return got.json if url.startswith("/image") else next(iter(got.json.values()))

    def variables(self, route: Route) -> list[str]:
        """The key into `things` of every variable of the path, in order."""
        parts = (route.service.prefix + route.path).split("/")
        return [self._key(route, parts[n - 1]) for n in range(1, len(parts)) if parts[n].startswith("{")]

    def _key(self, route: Route, segment: str) -> str:
        special = f"{route.service.name}:{segment}"
        return special if special in self.things else segment

    def at(self, route: Route, **instead: str) -> str:
        """The route's address with things that exist, or with those given `instead`, by variable."""
        parts = (route.service.prefix + route.path).split("/")
        keys = tuple(parts)
        for n, part in enumerate(keys):
            if part.startswith("{"):
                name, key = part.strip("{}"), self._key(route, keys[n - 1])
                parts[n] = instead[name] if name in instead else self.things[key]
        return "/".join(parts)

    async def census(self) -> dict[str, int]:
        """How many rows every table has."""
        async with self.cloud.db.read() as session:
            return {
                name: await session.scalar(select(func.count()).select_from(table))
                for name, table in metadata.tables.items()
            }

    async def state(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        async with self.cloud.db.read() as session:
            return {
                name: sorted(map(repr, await session.all(select(table)))) for name, table in metadata.tables.items()
            }

    async def login(self, user: str, password: str, project: str | None = None) -> str:
        who = {"name": user, "domain": {"id": "default"}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if project:
            auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
        got = await self.cloud.as_("")("POST", "/identity/v3/auth/tokens", {"auth": auth})
        assert got.status == 201, got.body
        return got.headers["x-subject-token"]


@contextlib.asynccontextmanager
async def whole(url: str, home: Path) -> AsyncIterator[Whole]:
    """The cloud with one of each thing."""
    keys = identity.TokenKeys(home / "fernet-keys", QUICK.active_keys)
    secrets = identity.CredentialKeys(home / "credential-keys")
    kit = [
        QUICK,
        identity.Passwords(QUICK),
        identity.Directories(DRIVERS, MemoryKeyValue(), secrets),
        secrets,
        image.ImageSettings(),
        image.FileStore(home / "images"),
        network.NetworkSettings(),
        placement.PlacementSettings(),
        compute.ComputeSettings(console_wait_s=0.0, wiring_pause_s=0.0),
        compute.WiringBoard(),
    ]

    def make_verifier(db: Any, clock: Any) -> identity.TokenVerifier:
        return identity.TokenVerifier(db, keys, clock, QUICK)

    async with cloud(url, SERVICES.values(), sagas=compute.SAGAS, kit=kit, make_verifier=make_verifier) as made:
        made.kit[type(made.wakes)] = made.wakes
        got = Whole(made)
        await identity.bootstrap(made.op(), START)
        await compute.ensure_flavors(made.op())
        made.clock.advance(1)
        await _people(got)
        await _identity_things(got)
        await _network_things(got)
        await _image_things(got)
        await _compute_things(got)
        yield got


async def _people(w: Whole) -> None:
    """Tokens: of an admin, a member and a reader of demo, a member of another project, a node; dead ones."""
    w.tokens["expired"] = await w.login("admin", START.admin_password, "admin")
    w.cloud.clock.advance(QUICK.token_lifetime_s + 1)
    w.tokens |= {
        "admin": await w.login("admin", START.admin_password, "admin"),
        "member": await w.login("demo", START.demo_password, "demo"),
        "node": await w.login("node", START.node_password, "service"),
        "revoked": await w.login("admin", START.admin_password, "admin"),
        "none": "",
        "garbage": "gAAAAAB" + "x" * 200,
    }
    dead = {"X_Subject_Token": w.tokens["revoked"]}
    assert (await w.ask("admin", "DELETE", "/identity/v3/auth/tokens", **dead)).status == 204
    ids = {}
    for plural in ("projects", "roles", "users"):
        listed = (await w.ask("admin", "GET", f"/identity/v3/{plural}")).json[plural]
        ids |= {f"{plural}:{one['name']}": one["id"] for one in listed}
    other = await w.make("admin", "/identity/v3/projects", {"project": {"name": "other"}})
    w.things["demo"], w.things["other"] = ids["projects:demo"], other["id"]
    w.things["demo user"] = ids["users:demo"]
    for name, role, project in (("reader", "reader", w.things["demo"]), ("other", "member", other["id"])):
        user = await w.make("admin", "/identity/v3/users", {"user": {"name": name, "password": f"{SECRET}-{name}"}})
        grant = f"/identity/v3/projects/{project}/users/{user['id']}/roles/{ids[f'roles:{role}']}"
        assert (await w.ask("admin", "PUT", grant)).status == 204
        w.tokens[name] = await w.login(name, f"{SECRET}-{name}", "other" if name == "other" else "demo")


async def _identity_things(w: Whole) -> None:
    for one, body in {
        "domain": {"name": "a domain"},
        "project": {"name": "a project", "tags": ["a-tag"]},
        "user": {"name": "a user", "password": f"{SECRET}-user"},
        "group": {"name": "a group"},
        "role": {"name": "a role"},
        "service": {"name": "a service", "type": "a-type"},
        "region": {"id": "a-region"},
    }.items():
        w.things[f"{one}s"] = (await w.make("admin", f"/identity/v3/{one}s", {one: body}))["id"]
    endpoint = {"service_id": w.things["services"], "interface": "public", "url": "http://a.test"}
    w.things["endpoints"] = (await w.make("admin", "/identity/v3/endpoints", {"endpoint": endpoint}))["id"]
    registered = {"service_id": w.things["services"], "resource_name": "things", "default_limit": 9}
    own = {"service_id": w.things["services"], "resource_name": "things", "resource_limit": 5}
    for plural, body in (("registered_limits", registered), ("limits", {**own, "project_id": w.things["demo"]})):
        made = await w.ask("admin", "POST", f"/identity/v3/{plural}", {plural: [body]})
        assert made.status == 201, made.body
        w.things[plural] = made.json[plural][0]["id"]
    w.things["implies"] = (await w.make("admin", "/identity/v3/roles", {"role": {"name": "implied"}}))["id"]
    w.things["tags"] = "a-tag"
    w.things |= {"config": "ldap", "{group}": "url"}
    config = {"config": {"ldap": {"url": "ldap://a.test", "password": f"{SECRET}-ldap"}}}
    got = await w.ask("admin", "PUT", f"/identity/v3/domains/{w.things['domains']}/config", config)
    assert got.status == 201, got.body
    t = w.things
    for path in (
        f"groups/{t['groups']}/users/{t['users']}",
        f"roles/{t['roles']}/implies/{t['implies']}",
        f"projects/{t['projects']}/users/{t['users']}/roles/{t['roles']}",
        f"projects/{t['demo']}/users/{t['demo user']}/roles/{t['roles']}",
    ):
        assert (await w.ask("admin", "PUT", f"/identity/v3/{path}")).status in {201, 204}
    own = {"user_id": t["users"], "project_id": t["projects"], "type": "ec2", "blob": ec2_blob("an-access-key")}
    t["credentials"] = (await w.make("admin", "/identity/v3/credentials", {"credential": own}))["id"]
    t["OS-EC2"] = "an-access-key"
    await _endpoint_things(w)
    await _oauth1_things(w)
    await _delegated_things(w)


async def _delegated_things(w: Whole) -> None:
    """A trust that demo's member gives the user, and an application credential of that user's."""
    t = w.things
    trust = {
        "trustor_user_id": t["demo user"],
        "trustee_user_id": t["users"],
        "impersonation": False,
        "project_id": t["demo"],
        "roles": [{"id": t["roles"]}],
    }
    t["trusts"] = (await w.make("member", "/identity/v3/OS-TRUST/trusts", {"trust": trust}))["id"]
    w.tokens["user"] = await w.login("a user", f"{SECRET}-user", "a project")
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
    body = {"name": "a credential", "secret": f"{SECRET}-app", "access_rules": [rule]}
    at = f"/identity/v3/users/{t['users']}/application_credentials"
    made = await w.make("user", at, {"application_credential": body})
    t["application_credentials"], t["access_rules"] = made["id"], made["access_rules"][0]["id"]


async def _oauth1_things(w: Whole) -> None:
    """A consumer, a request token of it that nobody has authorized, an access token for what the admin may do."""
    t, root = w.things, "/identity/v3/OS-OAUTH1"
    made = await w.make("admin", f"{root}/consumers", {"consumer": {"description": "d"}})
    t["consumers"] = made["id"]
    roles = (await w.ask("admin", "GET", "/identity/v3/roles?name=admin")).json["roles"]
    project = (await w.ask("admin", "GET", "/identity/v3/projects?name=admin")).json["projects"][0]["id"]
    t["admin role"] = roles[0]["id"]

    async def ask(step: str, **more: str) -> dict[str, str]:
        path = f"/OS-OAUTH1/{step}"
        header = signed("POST", path, w.cloud.clock.now(), made["id"], made["secret"], **more)
        sent = {"Authorization": header, "Requested_Project_Id": project}
        got = await w.ask("none", "POST", f"/identity/v3{path}", **sent)
        assert got.status == 201, got.body
        return dict(parse_qsl(got.body.decode()))

    asked = await ask("request_token")
    yes = await w.ask("admin", "PUT", f"{root}/authorize/{asked['oauth_token']}", {"roles": [{"name": "admin"}]})
    verifier = yes.json["token"]["oauth_verifier"]
    secrets = {"token": asked["oauth_token"], "token_secret": asked["oauth_token_secret"]}
    t["access_tokens"] = (await ask("access_token", verifier=verifier, **secrets))["oauth_token"]
    t["authorize"] = (await ask("request_token"))["oauth_token"]


async def _endpoint_things(w: Whole) -> None:
    """An endpoint group and a policy, each given to something that whoever else is here does not see."""
    t = w.things
    group = {"endpoint_group": {"name": "eg", "filters": {"service_id": t["services"]}}}
    policy = {"policy": {"type": "text/plain", "blob": "b"}}
    t["endpoint_groups"] = (await w.make("admin", "/identity/v3/OS-EP-FILTER/endpoint_groups", group))["id"]
    t["policies"] = (await w.make("admin", "/identity/v3/policies", policy))["id"]
    for path in (
        f"OS-EP-FILTER/endpoint_groups/{t['endpoint_groups']}/projects/{t['projects']}",
        f"OS-EP-FILTER/projects/{t['projects']}/endpoints/{t['endpoints']}",
        f"policies/{t['policies']}/OS-ENDPOINT-POLICY/endpoints/{t['endpoints']}",
        f"policies/{t['policies']}/OS-ENDPOINT-POLICY/services/{t['services']}",
        f"policies/{t['policies']}/OS-ENDPOINT-POLICY/services/{t['services']}/regions/{t['regions']}",
    ):
        assert (await w.ask("admin", "PUT", f"/identity/v3/{path}")).status == 204


async def _network_things(w: Whole) -> None:
    t = w.things

    async def make(who: str, one: str, plural: str, **values: Any) -> str:
        t[plural] = (await w.make(who, f"/network/v2.0/{plural}", {one: values}))["id"]
        return t[plural]

    t["public"] = await make("admin", "network", "networks", name="public", **{"router:external": True})
    await make("admin", "subnet", "subnets", network_id=t["public"], ip_version=4, cidr="172.24.4.0/24")
    await make("member", "network", "networks", name="private")
    pools = [{"start": "10.0.0.100", "end": "10.0.0.254"}]  # what is asked for by address is not in it
    await make(
        "member", "subnet", "subnets",
        network_id=t["networks"], ip_version=4, cidr="10.0.0.0/24", allocation_pools=pools,
    )  # fmt: skip
    await make("member", "subnetpool", "subnetpools", name="pool", prefixes=["10.9.0.0/16"], default_prefixlen=24)
    await make("member", "security_group", "security-groups", name="a group")
    rule = {"security_group_id": t["security-groups"], "direction": "ingress", "protocol": "tcp"}
    await make("member", "security_group_rule", "security-group-rules", **rule)
    gateway = {"network_id": t["public"]}
    await make("member", "router", "routers", name="router", external_gateway_info=gateway)
    leg = await w.ask(
        "member", "PUT", f"/network/v2.0/routers/{t['routers']}/add_router_interface", {"subnet_id": t["subnets"]}
    )
    assert leg.status == 200, leg.body
    for who in ("admin", "reader", "other"):  # a project has its default group once it is looked for
        await w.ask(who, "GET", "/network/v2.0/security-groups")
    t["spare subnet"] = (
        await w.make(
            "member",
            "/network/v2.0/subnets",
            {"subnet": {"network_id": t["networks"], "ip_version": 4, "cidr": "10.1.0.0/24"}},
        )
    )["id"]
    nic = {"network_id": t["networks"], "fixed_ips": [{"subnet_id": t["subnets"]}]}
    await make("member", "port", "ports", name="port", **nic)
    t["spare port"] = (await w.make("member", "/network/v2.0/ports", {"port": nic}))["id"]
    await make("member", "floatingip", "floatingips", floating_network_id=t["public"], port_id=t["ports"])
    for plural in ("networks", "subnets", "subnetpools", "ports", "routers", "floatingips", "security-groups"):
        tagged = await w.ask("member", "PUT", f"/network/v2.0/{plural}/{t[plural]}/tags/a-tag")
        assert tagged.status == 201, tagged.body
    t |= {"network-ip-availabilities": t["networks"], "extensions": "router", "quotas": t["demo"]}


async def _image_things(w: Whole) -> None:
    t = w.things
    body = {"name": "i", "disk_format": "raw", "container_format": "bare", "tags": ["a-tag"]}
    for name in ("images", "queued", "to stage", "staged"):
        t[name] = (await w.make("member", "/image/v2/images", {**body, "name": name}))["id"]
    for name, way in (("images", "file"), ("staged", "stage")):
        got = await w.ask("member", "PUT", f"/image/v2/images/{t[name]}/{way}", body=b"x" * 1000, Content_Type=BYTES)
        assert got.status == 204, got.body
    await w.make("member", f"/image/v2/images/{t['images']}/members", {"member": t["other"]})
    t |= {"members": t["other"], "schemas": "image"}


async def _compute_things(w: Whole) -> None:
    t = w.things
    rig = Rig(w.cloud, t["images"], t["networks"], "42")
    host = Host(rig, "host-a", who=w.tokens["node"])
    assert (await host.report()).status == 204
    key = {"name": "a-key", "public_key": PUBLIC_KEY, "type": "ssh"}
    t["os-keypairs"] = (await w.make("member", "/compute/v2.1/os-keypairs", {"keypair": key}))["name"]
    server = server_body(w.things, key_name="a-key", name="a" * 40 + "!", tags=["a-tag"])
    t["servers"] = (await w.make("member", "/compute/v2.1/servers", server))["id"]
    await rig.run()
    await host.converge()
    at = f"/compute/v2.1/servers/{t['servers']}"
    got = await w.ask("member", "GET", at)
    assert got.json["server"]["status"] == "ACTIVE", got.body
    flavor = {"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
    t["flavors"] = (await w.make("admin", "/compute/v2.1/flavors", {"flavor": flavor}))["id"]
    spec = await w.ask(
        "admin", "POST", f"/compute/v2.1/flavors/{t['flavors']}/os-extra_specs", {"extra_specs": {"k": "v"}}
    )
    assert spec.status == 200, spec.body
    action = (await w.ask("member", "GET", f"{at}/os-instance-actions")).json["instanceActions"][0]
    nic = (await w.ask("member", "GET", f"{at}/os-interface")).json["interfaceAttachments"][0]
    provider = (await w.ask("admin", "GET", "/placement/resource_providers")).json["resource_providers"][0]
    services = (await w.ask("admin", "GET", "/compute/v2.1/os-services")).json["services"]
    hypervisors = (await w.ask("admin", "GET", "/compute/v2.1/os-hypervisors")).json["hypervisors"]
    group = {"server_group": {"name": "a-group", "policy": "affinity"}}
    aggregate = {"aggregate": {"name": "an-aggregate"}}
    t |= {
        "os-server-groups": (await w.make("member", "/compute/v2.1/os-server-groups", group))["id"],
        "os-aggregates": str((await w.make("admin", "/compute/v2.1/os-aggregates", aggregate))["id"]),
        "os-services": next(one["id"] for one in services if one["binary"] == "nova-compute"),
        "os-hypervisors": hypervisors[0]["id"],
        "os-hosts": "host-a",
        "os-simple-tenant-usage": t["demo"],
        "compute:extensions": "os-keypairs",
        "metadata": "k",
        "ips": "private",
        "os-interface": nic["port_id"],
        "os-instance-actions": action["request_id"],
        "os-extra_specs": "k",
        "os-quota-sets": t["demo"],
        "os-quota-class-sets": "default",
        "hosts": "host-a",
        "jobs": "no-job",
        "resource_providers": provider["uuid"],
        "inventories": "VCPU",
        "allocations": t["servers"],
        "resource_classes": "VCPU",
        "traits": "HW_CPU_X86_AVX",
    }
    agents = (await w.ask("admin", "GET", "/network/v2.0/agents")).json["agents"]
    t["agents"] = agents[0]["id"] if agents else "none"


async def walk(w: Whole) -> AsyncIterator[tuple[Route, str, Answer]]:
    """Every route once by every sort of person: reading first, then writing, then deleting."""
    good, order = cases(w.things), ["HEAD", "GET", "POST", "PATCH", "PUT", "DELETE"]

    def turn(route: Route) -> Any:
        """Parts are deleted before the whole, and the token last of all."""
        return order.index(route.method), route.key == REVOKE, -len(route.path) * (route.method == "DELETE")

    for route in sorted(ROUTES, key=turn):
        case = good.get(route.key, Case(None))
        data = {"body": case.body} if isinstance(case.body, bytes) else {"json": case.body}
        if case.version:
            data["OpenStack_API_Version"] = case.version
        for who in ("none", "reader", "other", "member", "node", "admin"):
            w.cloud.clock.advance(0.001)  # a token that is as old as a change of its user's password is refused
            if route.method in {"GET", "HEAD"} or who == least(route) or (least(route) == "admin" and who == "none"):
                got = await w.ask(
                    who,
                    route.method,
                    w.at(route, **case.things),
                    Content_Type=case.content if case.body is not None else None,
                    X_Subject_Token=w.tokens["member"],
                    **data,
                )
                yield route, who, got


async def _main(home: Path) -> None:
    """Write down what is secret, what was shown to whom it is none of their business, and good bodies refused."""
    secrets, wrong = [("a password or user data", SECRET), ("user data", USER_DATA)], []
    async with whole(str(home / "cloud.db"), home) as made:
        pair = {"keypair": {"name": "made-here"}}
        key = await made.make("member", "/compute/v2.1/os-keypairs", pair, OpenStack_API_Version="compute 2.1")
        secrets += [("a private key", line) for line in key["private_key"].splitlines()[1:-1]]
        secrets += [("a token", token) for token in made.tokens.values() if token]
        async for route, who, got in walk(made):
            body = got.body.decode(errors="replace")
            if token := got.headers.get("x-subject-token"):
                secrets.append(("a token", token))
            shown = {what for what, secret in secrets if secret in body}
            if shown and not MAY_SHOW.fullmatch(f"{route.key} {who}"):
                wrong.append(f"{route.key} shows {who} {shown}: {body[:300]}")
            if takes_body(route) and who == least(route) and got.status >= 300 and got.status != 501:
                wrong.append(f"{route.key} refuses its good body: {got.status} {body[:300]}")
    text = json.dumps({"secrets": secrets, "wrong": wrong})
    await asyncio.to_thread((home / "walked.json").write_text, text)


if __name__ == "__main__":
    from maldon.runtime.log import set_up

    set_up("json", "debug")
    asyncio.run(_main(Path(sys.argv[1])))
