"""Two domains with one of each thing, and somebody for every role in every scope: whom the matrix is tried with.

Everything really happens but the end: what would be committed is rolled back, so that every asker finds the same cloud.
"""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from maldon.identity.matrix import ROLES, SCOPES
from maldon.identity.models.application_credential import access_rule, application_credential
from maldon.identity.models.oauth1 import access_token, request_token
from maldon.identity.models.trust import trust, trust_role
from maldon.identity.routes import SERVICE
from maldon.identity.service import CredentialKeys
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import CloudError
from maldon.web.app import App, Surroundings
from maldon.web.front import Front
from tests.identity_cloud import Identity, identity_cloud

DAY = 24 * 60 * 60 * SECOND


class Undone(CloudError):
    """It would have been committed."""

    status, code = 418, "undone"


class Undoing:
    """The database, in which no request leaves a trace."""

    def __init__(self, db: Any) -> None:
        self._db, self.read = db, db.read

    @contextlib.asynccontextmanager
    async def begin(self):
        async with self._db.begin() as session:
            yield session
            raise Undone("It would have been done.")


@dataclass
class Place:
    """What lies in one domain: the values of a path's variables."""

    things: dict[str, str]


@dataclass
class World:
    """Two domains with one of each thing, and somebody for every role in every scope, at home in the first."""

    keystone: Identity
    home: Place
    abroad: Place
    askers: dict[tuple[str, str], tuple[Identity, dict[str, str]]]

    def things(self, far: str, own: dict[str, str]) -> dict[str, str]:
        """The values of variables that are the asker's own, in its scope, or elsewhere."""
        if far == "all":
            return self.abroad.things
        return self.home.things | (own if far == "self" else {})


async def place(keystone: Identity, name: str, shared: dict[str, str]) -> Place:
    domain_id = (await keystone.make("domain", name=name))["id"]
    made = {
        noun: (await keystone.make(noun, name=f"{name} {noun}", domain_id=domain_id))["id"]
        for noun in ("user", "group", "project")
    }
    await keystone("PUT", f"/groups/{made['group']}/users/{made['user']}")
    await keystone("PUT", f"/projects/{made['project']}/tags/t")
    await keystone("PUT", f"/projects/{made['project']}/users/{made['user']}/roles/{shared['role_id']}")
    body = {"service_id": shared["service_id"], "resource_name": "r", "resource_limit": 1}
    limit = (await keystone("POST", "/limits", {"limits": [{**body, "project_id": made["project"]}]})).json["limits"]
    things = {f"{noun}_id": id_ for noun, id_ in made.items()}
    things |= {"domain_id": domain_id, "limit_id": limit[0]["id"]}
    config = {"config": {"ldap": {"url": "ldap://a.test"}}}
    assert (await keystone("PUT", f"/domains/{domain_id}/config", config)).status == 201
    for path in (
        f"OS-EP-FILTER/endpoint_groups/{shared['endpoint_group_id']}/projects/{made['project']}",
        f"OS-EP-FILTER/projects/{made['project']}/endpoints/{shared['endpoint_id']}",
    ):
        assert (await keystone("PUT", f"/{path}")).status == 204
    return Place(shared | things | await belongings(keystone, made["user"], shared | things))


async def belongings(keystone: Identity, user_id: str, things: dict[str, str]) -> dict[str, str]:
    """One of each thing that is a user's own: by the API where an admin can make it, else as rows."""
    blob = json.dumps({"access": user_id, "secret": "s"})
    own = {"user_id": user_id, "project_id": things["project_id"]}
    credential = await keystone.make("credential", **own, type="ec2", blob=blob)
    project, role_id, sealed = things["project_id"], things["role_id"], keystone.cloud.kit[CredentialKeys].hide("s")
    names = ("application_credential", "access_rule", "access_token", "trust", "request_token")
    ids = {name: f"{name[:12]}-{user_id[:32]}" for name in names}
    by = {
        "id": ids["access_token"],
        "consumer_id": things["consumer_id"],
        "sealed": sealed,
        "expires_at": keystone.cloud.clock.now() + DAY,
    }
    given = {"trustor_user_id": user_id, "trustee_user_id": things["trustee"], "project_id": project}
    rows = {
        application_credential: own
        | {"id": ids["application_credential"], "name": "a", "secret": "-", "unrestricted": True, "ruled": False},
        access_rule: {"id": ids["access_rule"], "user_id": user_id, "service": "s", "method": "GET", "path": "/"},
        access_token: own | by | {"role_ids": [role_id]},
        request_token: by | {"id": ids["request_token"], "project_id": project},
        trust: given | {"id": ids["trust"], "impersonation": True, "redelegation_count": 0},
        trust_role: {"trust_id": ids["trust"], "role_id": role_id},
    }
    async with keystone.cloud.db.begin() as session:
        for table, values in rows.items():
            await session.run(insert(table).values(**values))
    return {
        "user_id": user_id,
        "credential_id": credential["id"],
        "ec2_credential_id": user_id,
        **{f"{name}_id": id_ for name, id_ in ids.items()},
    }


@contextlib.asynccontextmanager
async def identity_world(folder: Path) -> AsyncIterator[World]:
    """The world, on SQLite."""
    async with identity_cloud(str(folder / "cloud.db"), folder) as keystone:
        shared = {
            "role_id": await keystone.id_of("role", "member"),
            "implied_role_id": await keystone.id_of("role", "reader"),
            "service_id": await keystone.id_of("service", "nova"),
            "region_id": "RegionOne",
            "tag": "t",
            "group": "ldap",
            "option": "url",
            "trustee": await keystone.id_of("user", "node"),
        }
        shared["endpoint_id"] = (await keystone("GET", "/endpoints")).json["endpoints"][0]["id"]
        registered = {"service_id": shared["service_id"], "resource_name": "r", "default_limit": 1}
        made = await keystone("POST", "/registered_limits", {"registered_limits": [registered]})
        shared["registered_limit_id"] = made.json["registered_limits"][0]["id"]
        shared |= await _shared(keystone, shared)
        home, abroad = [await place(keystone, name, shared) for name in ("home", "abroad")]
        askers = {}
        for scope, role in itertools.product(SCOPES, ROLES):
            askers[scope, role] = await somebody(keystone, home.things, scope, role)
        yield World(keystone, home, abroad, askers)


async def _shared(keystone: Identity, shared: dict[str, str]) -> dict[str, str]:
    """Things of the whole cloud that have no domain."""
    filters = {"service_id": shared["service_id"]}
    group = await keystone.make("endpoint_group", "OS-EP-FILTER/endpoint_groups", name="eg", filters=filters)
    policy = await keystone.make("policy", "policies", type="text/plain", blob="b")
    consumer = await keystone.make("consumer", "OS-OAUTH1/consumers", description="c")
    at = f"/policies/{policy['id']}/OS-ENDPOINT-POLICY"
    service = f"services/{shared['service_id']}"
    for path in (f"endpoints/{shared['endpoint_id']}", service, f"{service}/regions/{shared['region_id']}"):
        assert (await keystone("PUT", f"{at}/{path}")).status == 204
    return {"endpoint_group_id": group["id"], "policy_id": policy["id"], "consumer_id": consumer["id"]}


async def somebody(keystone: Identity, home: dict[str, str], scope: str, role: str) -> tuple[Identity, dict[str, str]]:
    """Whoever has a role in a scope, and what is that one's own."""
    name = f"{scope} {role}"
    made = await keystone.make("user", name=name, password="pw", domain_id=home["domain_id"])
    role_id = await keystone.id_of("role", role)
    where = {"system": "/system"}.get(scope) or f"/{scope}s/{home[f'{scope}_id']}"
    assert (await keystone("PUT", f"{where}/users/{made['id']}/roles/{role_id}")).status == 204
    asked = {"all": True} if scope == "system" else {"id": home[f"{scope}_id"]}
    got = await keystone.login(name, "pw", {scope: asked}, domain={"id": home["domain_id"]})
    assert got.status == 201, got.body
    own = await belongings(keystone, made["id"], home)
    return keystone.as_(got.headers["x-subject-token"]), own


def undoing(asker: Identity) -> Identity:
    """The same asker of the same cloud, where nothing is committed."""
    cloud = asker.cloud
    verifier = next(thing for thing in cloud.kit.values() if hasattr(thing, "verified"))
    around = Surroundings(
        Undoing(cloud.db),
        cloud.wakes.wake,
        cloud.clock,
        cloud.policy,
        verifier,
        "http://cloud.test/identity",
        cloud.kit,
    )
    front = Front({"identity": App(SERVICE, around)}, {}, dict)
    return replace(asker, cloud=replace(cloud, front=front))


def body_of(method: str, path: str, things: dict[str, str]) -> Any:
    """A good body for a route that takes one."""
    domain, amount = {"name": "n", "domain_id": things["domain_id"]}, {"resource_limit": 1}
    registered = {"service_id": things["service_id"], "resource_name": "new", "default_limit": 1}
    limit = {"service_id": things["service_id"], "resource_name": "r", "domain_id": things["domain_id"], **amount}
    endpoint = {"service_id": things["service_id"], "interface": "public", "url": "http://a.test"}
    changes = {noun: {noun: {}} for noun in ("domain", "user", "group", "role", "service", "endpoint", "region")}
    return {
        "POST /v3/domains": {"domain": {"name": "n"}},
        "POST /v3/projects": {"project": domain},
        "POST /v3/users": {"user": domain},
        "POST /v3/groups": {"group": domain},
        "POST /v3/roles": {"role": {"name": "n"}},
        "POST /v3/services": {"service": {"type": "n"}},
        "POST /v3/endpoints": {"endpoint": endpoint},
        "POST /v3/regions": {"region": {"id": "n"}},
        "PUT /v3/regions/{region_id}": {"region": {}},
        "POST /v3/registered_limits": {"registered_limits": [registered]},
        "POST /v3/limits": {"limits": [limit]},
        "PATCH /v3/limits/{limit_id}": {"limit": amount},
        "PATCH /v3/registered_limits/{registered_limit_id}": {"registered_limit": {"default_limit": 2}},
        "PATCH /v3/projects/{project_id}": {"project": {}},
        "PATCH /v3/projects/{project_id}/cascade": {"project": {"enabled": False}},
        "PUT /v3/projects/{project_id}/tags": {"tags": ["b"]},
        **{f"PATCH /v3/{noun}s/{{{noun}_id}}": change for noun, change in changes.items()},
        **_more_bodies(things),
    }.get(f"{method} {path}")


def _more_bodies(things: dict[str, str]) -> dict[str, Any]:
    """The same for the extensions."""
    blob = json.dumps({"access": "new", "secret": "s"})
    user_id, project_id = things["user_id"], things["project_id"]
    trust = {"trustor_user_id": user_id, "trustee_user_id": things["trustee"], "impersonation": False}
    role = {"id": things["role_id"]}
    signed = {"access": user_id, "signature": "c2ln"}
    place = {"host": "h", "verb": "GET", "path": "/", "params": {"SignatureVersion": "2"}, "headers": {}}
    group, policy = "/v3/OS-EP-FILTER/endpoint_groups", "/v3/policies"
    config, at = {"config": {"ldap": {"url": "ldap://b.test"}}}, "/v3/domains/{domain_id}/config"
    return {
        "POST /v3/credentials": {"credential": {"user_id": user_id, "type": "cert", "blob": "b"}},
        "PATCH /v3/credentials/{credential_id}": {"credential": {"blob": blob}},
        "POST /v3/users/{user_id}/credentials/OS-EC2": {"tenant_id": project_id},
        "POST /v3/ec2tokens": {"credentials": {**signed, **place}},
        "POST /v3/s3tokens": {"credentials": {**signed, "token": "R0VU"}},
        "POST /v3/OS-TRUST/trusts": {"trust": {**trust, "project_id": project_id, "roles": [role]}},
        "POST /v3/users/{user_id}/application_credentials": {"application_credential": {"name": "new"}},
        f"POST {group}": {"endpoint_group": {"name": "n", "filters": {"interface": "public"}}},
        f"PATCH {group}/{{endpoint_group_id}}": {"endpoint_group": {"name": "n"}},
        f"POST {policy}": {"policy": {"type": "n", "blob": "b"}},
        f"PATCH {policy}/{{policy_id}}": {"policy": {"blob": "c"}},
        "POST /v3/OS-OAUTH1/consumers": {"consumer": {}},
        "PATCH /v3/OS-OAUTH1/consumers/{consumer_id}": {"consumer": {"description": "d"}},
        "PUT /v3/OS-OAUTH1/authorize/{request_token_id}": {"roles": [role]},
        f"PUT {at}": config,
        f"PATCH {at}": config,
        f"PATCH {at}/{{group}}": config,
        f"PATCH {at}/{{group}}/{{option}}": {"config": {"url": "ldap://b.test"}},
    }
