"""The matrix of roles, scopes and routes: what the page says is what the API does, asked of every route by HTTP."""

import pytest

from maldon.identity.matrix import NOTHING, REACHES, cell, guarded_routes, reach
from maldon.identity.routes import SERVICE
from tests.harness import Answer
from tests.identity_cloud import Identity
from tests.identity_world import World, body_of, identity_world, undoing

LISTS_OF_DOMAIN = {"/v3/users", "/v3/groups", "/v3/projects"}
CONFINED = {*LISTS_OF_DOMAIN, "/v3/domains", "/v3/role_assignments", "/v3/limits"}
OF_ONES_OWN = {"/v3/credentials"}  # a list that shows what the asker may see, and refuses nobody
# What is answered, beside the usual, to whoever may ask: here the signatures are wrong, nothing is signed any more, the
# role is not the asker's to hand on, and the token is not for a project.
OTHERWISE = {
    "/v3/ec2tokens": {401},
    "/v3/s3tokens": {401},
    "/v3/auth/tokens/OS-PKI/revoked": {410},
    "/v3/OS-OAUTH1/authorize/{request_token_id}": {401},
    "/v3/users/{user_id}/application_credentials": {400},
}


@pytest.fixture
async def world(tmp_path):
    async with identity_world(tmp_path) as made:
        yield made


async def ask(world: World, asker: Identity, own: dict[str, str], method: str, path: str, far: str) -> Answer:
    """One route, about things that lie so far."""
    things = world.things(far, own)
    if "/OS-EC2/" in path:
        things = things | {"credential_id": things["ec2_credential_id"]}
    url = path.removeprefix("/v3").format_map(things)
    if path in LISTS_OF_DOMAIN and method == "GET":
        url += f"?domain_id={things['domain_id']}"
    subject = asker.token if far == "self" else world.keystone.token
    return await asker(method, url, body_of(method, path, things), X_Subject_Token=subject)


def refused(got: Answer) -> bool:
    """By a rule; what is immutable, say, is refused by no rule."""
    return got.status == 403 and (not got.body or "Policy doesn't allow" in got.json["error"]["message"])


def shows(world: World, got: Answer, path: str, far: str, own: dict[str, str]) -> bool:
    """Whether an answer reaches so far: what is told of a list that shows to each what each may see."""
    if path in OF_ONES_OWN:
        return world.things(far, own)["credential_id"] in str(got.json)
    if far != "all" or path not in CONFINED:
        return True
    ids = {id_ for name, id_ in world.abroad.things.items() if id_ != world.home.things[name]}
    listed = next(value for name, value in got.json.items() if name != "links")
    return any(id_ in str(listed) for id_ in ids)


async def seen(
    world: World, asker: Identity, own: dict[str, str], method: str, path: str, rule: str
) -> tuple[str, list[str]]:
    """How far the asker gets, and what is wrong with the answers."""
    reached, wrong = NOTHING, []
    for far in REACHES:
        got = await ask(world, asker, own, method, path, far)
        if not refused(got):
            if got.status not in {200, 201, 204, 403, 404, 409, 418, *OTHERWISE.get(path, ())}:
                wrong.append(f"{far}: {got.status} {got.body[:100]!r}")
            if method != "GET" or shows(world, got, path, far, own):
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
    for (scope, role), (asker, own) in world.askers.items():
        harmless = undoing(asker)
        for method, path, rule in guarded_routes(SERVICE):
            reached, faults = await seen(world, harmless, own, method, path, rule)
            wanted = reach(policy, rule, role, scope)
            if method == "GET" and path in CONFINED and wanted == "all" and confined(path, scope, role):
                wanted = "scope"
            asked += 1
            wrong += [f"{scope} {role}: {method} {path}: {fault}" for fault in faults]
            if reached != wanted:
                wrong.append(f"{scope} {role}: {method} {path} ({rule}): reaches {reached}, not {wanted}")
    assert not wrong, f"{len(wrong)} of {asked}:\n" + "\n".join(wrong)
    assert asked == len(world.askers) * len([*guarded_routes(SERVICE)])


def test_an_operators_rules_change_the_matrix():
    from maldon.web.policy import Policy

    rules = [rule for rule in SERVICE.rules if rule.name.endswith("_user")]
    assert cell(Policy(rules), "identity:create_user", "domain") == "manager: scope, admin: all"
    stricter = Policy(rules, {"identity:create_user": "role:admin and domain_id:%(target.user.domain_id)s"})
    assert cell(stricter, "identity:create_user", "domain") == "admin: scope"
    assert cell(stricter, "identity:create_user", "system") == NOTHING
