"""Whatever is sent to whichever route, the answer is a refusal in the shape of this API, never a fault of ours."""

import pytest

from maldon.identity.routes import ROUTES
from maldon.web.service import PUBLIC
from tests.identity_cloud import DEMO_USER, identity_cloud

GUARDED = [(m, path) for path, methods in ROUTES.items() for m, (_, rule) in methods.items() if rule != PUBLIC]
NOUNS = {
    "domains": "domain",
    "projects": "project",
    "users": "user",
    "groups": "group",
    "roles": "role",
    "services": "service",
    "endpoints": "endpoint",
    "regions": "region",
}

CORE = {*NOUNS, "v3", "implies", "tags", "system", "OS-INHERIT", "inherited_to_projects", "role_assignments"}
CORE_ROUTES = [  # those whose bodies need no more than a name; tests/api/test_bad_input.py knows good bodies for all
    (m, path) for m, path in GUARDED
    if {part for part in path.split("/") if part and not part.startswith("{")} <= CORE
]  # fmt: skip


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


def filled(path, value="none"):
    parts = (value if part.startswith("{") else part for part in path.removeprefix("/v3").split("/"))
    return "/".join(parts)


def refused(got, *statuses):
    """An error of this API with one of the statuses."""
    if got.body:
        error = got.json["error"]
        assert (error["code"], sorted(error)) == (got.status, ["code", "message", "title"])
    return got.status in statuses


async def test_every_route_wants_a_token(keystone):
    for method, path in GUARDED:
        for token in ("", "nonsense", "gAAAAA" + "x" * 100):
            got = await keystone.as_(token)(method, filled(path), {} if method in {"POST", "PUT", "PATCH"} else None)
            assert refused(got, 401), (method, path)


async def test_an_expired_token_opens_nothing(keystone):
    keystone.cloud.clock.advance(3600)
    for method, path in GUARDED:
        got = await keystone(method, filled(path), {} if method in {"POST", "PUT", "PATCH"} else None)
        assert refused(got, 401), (method, path)


async def test_ids_that_are_nobody_s_are_refused(keystone):
    wrong = []
    for value in ("none", "n" * 255, "n" * 256, "%00", "%ff", "ünï", "a'b\"c;--"):
        for method, path in CORE_ROUTES:
            if "{" in path and (method, path) != ("PUT", "/v3/regions/{region_id}"):  # which makes one
                body = {noun: {} for noun in NOUNS.values()} | {"tags": []}
                got = await keystone(method, filled(path, value), body if method not in {"GET", "HEAD"} else None)
                if not refused(got, *((400, 404) if "tag" in path else (404,))):
                    wrong.append((method, path, value, got.status))
    assert wrong == []


BAD_BODIES = [
    b"",
    b"null",
    b"[]",
    b"{",
    b'"text"',
    b"{}",
    b'{"NOUN": null}',
    b'{"NOUN": []}',
    b'{"NOUN": "text"}',
    b'{"NOUN": {"name": 1, "type": 1, "id": 1, "url": 1}}',
    b'{"NOUN": {"name": "", "type": "", "id": "", "url": ""}}',
    b'{"NOUN": {"name": " ", "type": " ", "id": " ", "url": " "}}',
    b'{"NOUN": {"name": "a\\u0000", "type": "b", "id": "c"}}',
    b'{"NOUN": {"name": "\\ud800", "type": "b", "id": "c"}}',
    b'{"NOUN": {"name": "' + b"n" * 256 + b'", "type": "' + b"t" * 256 + b'", "id": "' + b"i" * 256 + b'"}}',
    b'{"NOUN": {"name": "a", "type": "b", "id": "c", "description": 1, "enabled": "x", "further": {"a": 1}}}',
    b'{"NOUN": {"name": "a", "type": "b", "id": "c", "further": "' + b"x" * 20_000 + b'"}}',
    b'{"NOUN": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
]


@pytest.mark.parametrize("plural", NOUNS)
async def test_a_body_that_makes_no_sense_is_refused(keystone, plural):
    for body in BAD_BODIES:
        content = body.replace(b"NOUN", NOUNS[plural].encode())
        got = await keystone.cloud.as_(keystone.token)(
            "POST", f"/identity/v3/{plural}", body=content, Content_Type="application/json"
        )
        assert refused(got, 400), content[:80]
    huge = b'{"' + NOUNS[plural].encode() + b'": {"name": "' + b"x" * (1 << 20) + b'"}}'
    for content, headers, status in (
        (huge, {"Content_Type": "application/json"}, 413),
        (b"<a/>", {"Content_Type": "text/xml"}, 400),
    ):
        got = await keystone.cloud.as_(keystone.token)("POST", f"/identity/v3/{plural}", body=content, **headers)
        assert refused(got, status)


async def test_bad_changes_are_refused(keystone):
    made = {
        "domain": await keystone.make("domain", name="a"),
        "project": await keystone.make("project", name="a"),
        "user": await keystone.make("user", name="a"),
        "group": await keystone.make("group", name="a"),
        "role": await keystone.make("role", name="a"),
        "service": await keystone.make("service", name="a", type="a"),
        "region": await keystone.make("region", id="a"),
    }
    for noun, thing in made.items():
        bad = [{"description": "x" * 20_000}, {"further": "x" * 20_000}, []]
        bad += [{"name": n} for n in (None, 1, "", "n" * 256)] if noun not in {"region", "service"} else []
        bad += [{"enabled": "yes"}, {"enabled": None}] if noun not in {"region", "group", "role"} else []
        for inner in bad:
            got = await keystone("PATCH", f"/{noun}s/{thing['id']}", {noun: inner})
            assert refused(got, 400), (noun, inner)


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=99999999999", "marker=none", "name=%00", "name=%ff"])
async def test_bad_queries_are_refused(keystone, query):
    for plural in NOUNS:
        assert refused(await keystone("GET", f"/{plural}?{query}"), 400), plural
    assert refused(await keystone("GET", "/projects?" + "a" * 9000), 400)


async def test_a_member_of_a_project_may_not_run_the_cloud(keystone):
    demo, wrong = await keystone.logged_in("demo", DEMO_USER), []
    bodies = {
        noun: {"name": "x", "type": "x", "service_id": "x", "interface": "public", "url": "http://x"}
        for noun in NOUNS.values()
    }
    for method, path in CORE_ROUTES:
        if "/regions" in path and method in {"GET", "HEAD"}:
            continue
        got = await demo(method, filled(path), {**bodies, "tags": []} if method in {"POST", "PUT", "PATCH"} else None)
        if not refused(got, 403):
            wrong.append((method, path, got.status))
    assert wrong == []


async def test_the_longest_password_allowed_is_4096_characters(keystone):
    await keystone.make("user", name="long", password="p" * 4096)
    assert (await keystone.login("long", "p" * 4096)).status == 201
    assert (await keystone.login("long", "p" * 4095)).status == 401
    assert (await keystone("POST", "/users", {"user": {"name": "longer", "password": "p" * 4097}})).status == 400
