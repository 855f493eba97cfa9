"""The matrix of role, scope and route: what the page says is what the API does, asked of every route by HTTP.

Everything really happens but the end: what would be committed is rolled back, so that every asker finds the same cloud.
"""

import contextlib
import itertools
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from maldon.identity.matrix import NOTHING, REACHES, ROLES, SCOPES, cell, guarded_routes, reach
from maldon.identity.routes import SERVICE
from maldon.kernel.errors import CloudError
from maldon.web.app import Surroundings, build
from maldon.web.front import Front
from tests.harness import Answer
from tests.identity_cloud import Identity, identity_cloud

# Nouns with tests of their own about who may, whose things this file does not make.
ELSEWHERE = re.compile(
    r"/v3/(credentials|OS-(?!INHERIT)|policies|ec2tokens|s3tokens|domains/(\{domain_id\}/)?config|auth/tokens/OS)"
    r"|/v3/users/\{user_id\}/(credentials|application_credentials|access_rules|OS-)|.*/OS-(?!INHERIT)"
)
LISTS_OF_DOMAIN = {"/v3/users", "/v3/groups", "/v3/projects"}
CONFINED = {*LISTS_OF_DOMAIN, "/v3/domains", "/v3/role_assignments", "/v3/limits"}


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
    askers: dict[tuple[str, str], tuple[Identity, str]]

    def things(self, far: str, user_id: str) -> dict[str, str]:
        """The values of variables that are the asker's own, in its scope, or elsewhere."""
        if far == "all":
            return self.abroad.things
        return self.home.things | ({"user_id": user_id} if far == "self" else {})


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
    return Place(shared | things | {"domain_id": domain_id, "limit_id": limit[0]["id"]})


@pytest.fixture
async def world(tmp_path):
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
        shared = {
            "role_id": await keystone.id_of("role", "member"),
            "implied_role_id": await keystone.id_of("role", "reader"),
            "service_id": await keystone.id_of("service", "nova"),
            "region_id": "RegionOne",
            "tag": "t",
        }
        shared["endpoint_id"] = (await keystone("GET", "/endpoints")).json["endpoints"][0]["id"]
        registered = {"service_id": shared["service_id"], "resource_name": "r", "default_limit": 1}
        made = await keystone("POST", "/registered_limits", {"registered_limits": [registered]})
        shared["registered_limit_id"] = made.json["registered_limits"][0]["id"]
        home, abroad = [await place(keystone, name, shared) for name in ("home", "abroad")]
        askers = {}
        for scope, role in itertools.product(SCOPES, ROLES):
            askers[scope, role] = await somebody(keystone, home.things, scope, role)
        yield World(keystone, home, abroad, askers)


async def somebody(keystone: Identity, home: dict[str, str], scope: str, role: str) -> tuple[Identity, str]:
    """Whoever has a role in a scope, and the user's id."""
    name = f"{scope} {role}"
    made = await keystone.make("user", name=name, password="pw", domain_id=home["domain_id"])
    role_id = await keystone.id_of("role", role)
    where = {"system": "/system"}.get(scope) or f"/{scope}s/{home[f'{scope}_id']}"
    assert (await keystone("PUT", f"{where}/users/{made['id']}/roles/{role_id}")).status == 204
    asked = {"all": True} if scope == "system" else {"id": home[f"{scope}_id"]}
    got = await keystone.login(name, "pw", {scope: asked}, domain={"id": home["domain_id"]})
    assert got.status == 201, got.body
    return keystone.as_(got.headers["x-subject-token"]), made["id"]


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
    front = Front({"identity": build(SERVICE, around)}, {}, dict)
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
    }.get(f"{method} {path}")


async def ask(world: World, asker: Identity, user_id: str, method: str, path: str, far: str) -> Answer:
    """One route, about things that lie so far."""
    things = world.things(far, user_id)
    url = path.removeprefix("/v3").format_map(things)
    if path in LISTS_OF_DOMAIN and method == "GET":
        url += f"?domain_id={things['domain_id']}"
    subject = asker.token if far == "self" else world.keystone.token
    return await asker(method, url, body_of(method, path, things), X_Subject_Token=subject)


def refused(got: Answer) -> bool:
    """By a rule; what is immutable, say, is refused by no rule."""
    return got.status == 403 and (not got.body or "Policy doesn't allow" in got.json["error"]["message"])


def shows_abroad(world: World, got: Answer) -> bool:
    """Whether a list holds something of the other domain."""
    ids = {id_ for name, id_ in world.abroad.things.items() if id_ != world.home.things[name]}
    listed = next(value for name, value in got.json.items() if name != "links")
    return any(id_ in str(listed) for id_ in ids)


async def seen(world: World, asker: Identity, user_id: str, method: str, path: str, rule: str) -> tuple[str, list[str]]:
    """How far the asker gets, and what is wrong with the answers."""
    reached, wrong = NOTHING, []
    for far in REACHES:
        got = await ask(world, asker, user_id, method, path, far)
        if not refused(got):
            if got.status not in {200, 201, 204, 403, 404, 409, 418}:
                wrong.append(f"{far}: {got.status} {got.body[:100]!r}")
            if not (far == "all" and method == "GET" and path in CONFINED) or shows_abroad(world, got):
                reached = far
        elif got.body and rule not in got.json["error"]["message"]:
            wrong.append(f"{far}: the refusal does not name {rule}: {got.body!r}")
    return reached, wrong


def confined(path: str, scope: str, role: str) -> bool:
    """Whether a list shows less than its rule says: a domain's token sees that, anybody the own limits."""
    if path == "/v3/limits":
        return role != "admin" and scope != "system"
    return scope == "domain"


@pytest.mark.timeout(300)
async def test_the_api_allows_what_the_matrix_says(world):
    policy, wrong, asked = world.keystone.cloud.policy, [], 0
    for (scope, role), (asker, user_id) in world.askers.items():
        harmless = undoing(asker)
        for method, path, rule in guarded_routes(SERVICE):
            if ELSEWHERE.match(path):
                continue
            reached, faults = await seen(world, harmless, user_id, method, path, rule)
            wanted = reach(policy, rule, role, scope)
            if method == "GET" and path in CONFINED and wanted == "all" and confined(path, scope, role):
                wanted = "scope"
            asked += 1
            wrong += [f"{scope} {role}: {method} {path}: {fault}" for fault in faults]
            if reached != wanted:
                wrong.append(f"{scope} {role}: {method} {path} ({rule}): reaches {reached}, not {wanted}")
    assert not wrong, f"{len(wrong)} of {asked}:\n" + "\n".join(wrong)
    assert asked > 900


def test_an_operators_rules_change_the_matrix():
    from maldon.web.policy import Policy

    rules = [rule for rule in SERVICE.rules if rule.name.endswith("_user")]
    assert cell(Policy(rules), "identity:create_user", "domain") == "manager: scope, admin: all"
    stricter = Policy(rules, {"identity:create_user": "role:admin and domain_id:%(target.user.domain_id)s"})
    assert cell(stricter, "identity:create_user", "domain") == "admin: scope"
    assert cell(stricter, "identity:create_user", "system") == NOTHING
