"""Hostile and careless input to every route of every service: refused in the API's own words, and nothing is changed.

The routes are the services' own tables. Violations are collected, one line each, and shown together.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maldon.web.service import PUBLIC
from tests.api import hostile
from tests.api.good_bodies import BYTES, PATCH, PUBLIC_KEY, ROUTES, SECRET, Case, Route, cases, least, takes_body
from tests.api.whole_cloud import Whole, whole
from tests.harness import Answer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
by_service = pytest.mark.parametrize("service", sorted({r.service.name for r in ROUTES}))
NOTHING = Case(None)
JSON_ROUTES = [route for route in ROUTES if takes_body(route)]
MUTATING = [route for route in ROUTES if route.method in {"POST", "PUT", "PATCH", "DELETE"} and route.rule != PUBLIC]
READING = [route for route in ROUTES if route.method == "GET"]
# Where the client names what it makes or asks about, any name goes.
FREE = (
    "tags",
    "metadata",
    "os-extra_specs",
    "os-quota-sets",
    "os-quota-class-sets",
    "quotas",
    "hosts",
    "os-hosts",
    "jobs",
)
FREE_IDS = re.compile(
    rf".*/({'|'.join(FREE)})/{{\w+}}(/[\w.]+)?|\w+ /placement/allocations/{{id}}|PUT /identity/v3/regions/{{region_id}}"
)
# A member of another project may make things of its own, and look after its own keys.
OTHERS_TOO = re.compile(
    r"POST /network/v2.0/(networks|subnetpools|routers|security-groups)|POST /image/v2/images"
    r"|POST /compute/v2.1/(os-keypairs|os-server-groups)|\w+ /identity/v3/(auth/tokens|users/{user_id}/password)"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory):
    home = tmp_path_factory.mktemp("whole")
    async with whole(str(home / "cloud.db"), home) as made:
        yield made


def report(wrong: list[str]) -> None:
    """Fail with one line for every violation."""
    assert not wrong, f"{len(wrong)} violations:\n" + "\n".join(dict.fromkeys(wrong))


def misshapen(route: Route, got: Answer) -> str:
    """What is wrong with an error's form; "" when nothing is."""
    if bad := [f"{k}: {v!r}" for k, v in got.headers.items() if not (v.isascii() and v.isprintable())]:
        return f"what no header may hold: {bad}"
    if got.status >= 400 and SECRET.encode() in got.body:
        return f"{got.status} tells a secret: {got.body[:200]!r}"
    if got.status >= 500 and got.headers.get("x-maldon-error") != "not-offered":
        return f"{got.status} {got.body[:200]!r}"
    if got.status < 400 or (route.method == "HEAD" and not got.body):
        return ""
    if not any(h in got.headers for h in ("x-openstack-request-id", "x-compute-request-id")):
        return "no request id in the headers"
    if got.status == 401 and "www-authenticate" not in got.headers:
        return "401 without WWW-Authenticate"
    return "" if hostile.shaped(route.service.name, got) else f"{got.status} in a foreign shape: {got.body[:200]!r}"


async def send(w: Whole, route: Route, who: str, case: Case = NOTHING, **more: Any) -> Answer:
    """The case's body, or another, to the route's own things, or others."""
    at, raw = more.pop("at", None) or w.at(route, **case.things), more.pop("raw", None)
    if raw is None and case.body is not None:
        raw = case.body if isinstance(case.body, bytes) else hostile.encoded(case.body)
    more.setdefault("Content_Type", case.content if raw is not None else None)
    if case.version:
        more.setdefault("OpenStack_API_Version", case.version)
    return await w.ask(who, route.method, at, body=raw, **more)


async def test_every_route_can_be_asked(cloud):
    """Every variable has a thing, every route that takes a body has a good one: else the rest proves nothing."""
    good = cases(cloud.things)
    wrong = [f"{r.key}: no thing for {v}" for r in ROUTES for v in cloud.variables(r) if v not in cloud.things]
    wrong += [f"{r.key}: no good body in good_bodies.py" for r in JSON_ROUTES if r.key not in good]
    wrong += [f"{key}: no such route" for key in good.keys() - {r.key for r in ROUTES}]
    report(wrong)


@pytest.mark.parametrize("who", ["none", "garbage", "expired", "revoked"])
async def test_without_a_good_token_nothing_is_said_or_done(cloud, who):
    good, wrong, before = cases(cloud.things), [], await cloud.state()
    for route in ROUTES:
        if route.rule == PUBLIC:
            continue
        got = await send(cloud, route, who, good.get(route.key, NOTHING))
        if got.status != 401:
            wrong.append(f"{route.key}: {got.status}")
        elif fault := misshapen(route, got):
            wrong.append(f"{route.key}: {fault}")
    report(wrong + hostile.changes(before, await cloud.state()))


@by_service
async def test_bodies_that_make_no_sense(cloud, service):
    good, wrong = cases(cloud.things), []
    for route in JSON_ROUTES:
        case = good[route.key]
        if route.service.name != service or isinstance(case.body, bytes):
            continue
        before = await cloud.census()
        tries = [(name, raw, case.content, status) for name, raw, status in hostile.raw(route)]
        tries += [
            (f"{'.'.join(map(str, where))} = {name}", raw, case.content, {400, 403, 404, 409, 413})
            for where, name, raw in hostile.spoilt(route, case.body)
        ]
        whole_body = hostile.encoded(case.body)
        tries += [
            (f"as {kind}", whole_body, kind, {400, 415}) for kind in ("text/xml", "application/x-www-form-urlencoded")
        ]
        for name, raw, content, allowed in tries:
            got = await send(cloud, route, least(route), case, raw=raw, Content_Type=content)
            fault = misshapen(route, got)
            if not fault and got.status not in allowed and got.status != 501:
                fault = f"{got.status} {got.body[:80]!r}"
            if fault:
                wrong.append(f"{route.key}: {name}: {fault}")
        wrong += [f"{route.key}: {line}" for line in hostile.changes(before, await cloud.census())]
    report(wrong)


async def test_uploads_of_the_wrong_kind(cloud):
    good, wrong = cases(cloud.things), []
    for route in JSON_ROUTES:
        case = good[route.key]
        if case.content == BYTES:
            for content in ("application/json", "text/plain"):
                got = await send(cloud, route, least(route), case, Content_Type=content)
                if got.status != 415 or misshapen(route, got):
                    wrong.append(f"{route.key} as {content}: {got.status} {misshapen(route, got)}")
        if case.content == PATCH:
            got = await send(cloud, route, least(route), case, Content_Type="application/json")
            if got.status != 415 or misshapen(route, got):
                wrong.append(f"{route.key} as JSON: {got.status} {misshapen(route, got)}")
    report(wrong)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"])  # an agent POSTs its host
async def test_ids_of_nothing(cloud, method):
    good, wrong = cases(cloud.things), []
    for route in ROUTES:
        case = good.get(route.key, NOTHING)
        for name in re.findall(r"{(\w+)}", route.path) if route.method == method else ():
            free = FREE_IDS.fullmatch(route.key) or name in {"tag", "key"}
            before = await cloud.census()
            for bad in hostile.IDS:
                got = await send(cloud, route, least(route), case, at=cloud.at(route, **case.things | {name: bad}))
                fault = misshapen(route, got)
                if method == "PUT" and got.status == 201:
                    await cloud.ask(least(route), "DELETE", cloud.at(route, **case.things | {name: bad}))
                if not fault and got.status < 400 and not free:
                    fault = f"{got.status} {got.body[:80]!r}"
                if fault:
                    wrong.append(f"{route.key}: {name} = {bad[:40]}: {fault}")
            if not free:
                wrong += [f"{route.key}: {line}" for line in hostile.changes(before, await cloud.census())]
            asker = least(route) if method == "GET" else "reader"  # it may be another route: a list, a creation
            got = await send(cloud, route, asker, case, at=cloud.at(route, **case.things | {name: ""}))
            if fault := misshapen(route, got):
                wrong.append(f"{route.key}: empty: {fault}")
    report(wrong)


@by_service
async def test_queries_that_make_no_sense(cloud, service):
    wrong, before = [], await cloud.state()
    for route in READING:
        if route.service.name != service:
            continue
        who = "admin" if least(route) != "node" else "node"
        at = cloud.at(route)
        for query in hostile.QUERIES:
            begun = time.process_time()
            got = await send(cloud, route, who, at=f"{at}?{query}", X_Subject_Token=cloud.tokens["member"])
            if time.process_time() - begun > 5:
                wrong.append(f"{route.key}?{query[:60]}: takes {time.process_time() - begun:.0f} s of CPU")
            if fault := misshapen(route, got):
                wrong.append(f"{route.key}?{query[:60]}: {fault}")
        everything, one = await send(cloud, route, who, at=at), await send(cloud, route, who, at=f"{at}?limit=1")
        if hostile.entries(one) == 1 < hostile.entries(everything):
            for query in hostile.PAGING:
                got = await send(cloud, route, who, at=f"{at}?{query}")
                if got.status not in {400, 404}:
                    wrong.append(f"{route.key}?{query[:60]}: {got.status} {got.body[:80]!r}")
    report(wrong + hostile.changes(before, await cloud.state()))


async def test_headers_that_make_no_sense(cloud):
    good, wrong = cases(cloud.things), []
    for route in ROUTES:
        if route.method == "DELETE":
            continue
        for headers in hostile.HEADERS:
            at = cloud.at(route, **dict.fromkeys(re.findall(r"{(\w+)}", route.path), "no-such-thing"))
            got = await send(cloud, route, "reader", good.get(route.key, NOTHING), at=at, **headers)
            if fault := misshapen(route, got):
                wrong.append(f"{route.key} with {str(headers)[:100]}: {fault}")
    report(wrong)


async def test_microversions_that_do_not_exist(cloud):
    good, wrong = cases(cloud.things), []
    for route in ROUTES:
        versions = route.service.versions
        if versions is None or route.rule == PUBLIC or least(route) == "node":
            continue
        before = await cloud.census()
        for text, status in hostile.microversions(versions.service):
            tries = [{"OpenStack_API_Version": f"{versions.service} {text}"}]
            if versions.legacy_header:
                tries.append({"OpenStack_API_Version": None, versions.legacy_header.replace("-", "_"): text})
            for headers in tries:
                got = await send(cloud, route, "admin", good.get(route.key, NOTHING), **headers)
                if got.status != status or misshapen(route, got):
                    wrong.append(f"{route.key} with {headers}: {got.status}, not {status} {misshapen(route, got)}")
        wrong += [f"{route.key}: {line}" for line in hostile.changes(before, await cloud.census())]
    report(wrong)


@by_service
async def test_whoever_lacks_the_role_changes_nothing(cloud, service):
    good, wrong = cases(cloud.things), []
    for route in MUTATING:
        if route.service.name != service:
            continue
        for who in hostile.weaker(least(route)):
            if who == "other" and OTHERS_TOO.fullmatch(route.key):
                continue
            case, before = good.get(route.key, NOTHING), await cloud.state()
            subject = cloud.tokens["node"]
            got = await send(cloud, route, who, case, X_Subject_Token=subject)
            foreign = {400} if route.key == "POST /compute/v2.1/servers" else set()  # "no such network" is 400 there
            if got.status not in {403, 404} | foreign or misshapen(route, got):
                wrong.append(f"{route.key} by {who}: {got.status} {misshapen(route, got)} {got.body[:100]!r}")
            wrong += [f"{route.key} by {who}: {line}" for line in hostile.changes(before, await cloud.state())]
    report(wrong)


async def test_nobody_reads_what_is_another_projects(cloud):
    """Whoever is only in another project sees no id of demo's things: not by their ids, not in lists."""
    mine = {k: v for k, v in cloud.things.items() if k in hostile.OF_DEMO}
    wrong = []
    for route in READING:
        if route.rule == PUBLIC or least(route) == "node":
            continue
        got = await send(cloud, route, "other", X_Subject_Token=cloud.tokens["member"])
        if fault := misshapen(route, got):
            wrong.append(f"{route.key}: {fault}")
        if got.status == 200:
            found = [name for name, id_ in mine.items() if id_.encode() in got.body and id_ not in cloud.at(route)]
            found = [name for name in found if (name, route.service.name) != ("demo", "image")]  # who shares an image
            wrong += [f"{route.key} shows {found} of another project"] if found else []
            if set(cloud.variables(route)) & hostile.OF_DEMO:
                wrong.append(f"{route.key}: 200 for another project's {cloud.variables(route)}: {got.body[:80]!r}")
    report(wrong)


async def test_any_change_of_a_good_body_is_taken_or_refused(cloud):
    """Hypothesis puts any JSON anywhere into good bodies: no answer is our fault, and every refusal is in shape."""
    good = cases(cloud.things)
    bodies = [(route, good[route.key]) for route in JSON_ROUTES if not isinstance(good[route.key].body, bytes)]
    tries: list[tuple[Route, Case, Any]] = []

    @settings(max_examples=1500, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(bodies), st.data())
    def draw(one: tuple[Route, Case], data: Any) -> None:
        where, _ = data.draw(st.sampled_from([((), None), *hostile.spots(one[1].body)]))
        value = data.draw(hostile.ANY_JSON)
        tries.append((*one, hostile.put(one[1].body, where, value) if where else value))

    draw()
    wrong = []
    for route, case, body in tries:
        got = await send(cloud, route, least(route), replace(case, body=body))
        if fault := misshapen(route, got):
            wrong.append(f"{route.key}: {hostile.encoded(body)[:300]!r}: {fault}")
    report(wrong)


async def test_what_databases_dislike(database_url, tmp_path):
    """Integers and texts beyond the columns, NUL, half surrogates, characters of four bytes: never our fault."""
    wrong = []
    async with whole(database_url, tmp_path) as cloud:
        good = cases(cloud.things)
        for route in JSON_ROUTES:
            case = good[route.key]
            for where, name, raw in hostile.unfit(case.body) if not isinstance(case.body, bytes) else ():
                got = await send(cloud, route, least(route), case, raw=raw)
                if fault := misshapen(route, got):
                    wrong.append(f"{route.key}: {'.'.join(map(str, where))} = {name}: {fault}")
        for route in READING:
            who = least(route) if least(route) in {"node", "other"} else "admin"
            for query in hostile.UNFIT_QUERIES:
                got = await send(cloud, route, who, at=f"{cloud.at(route)}?{query}")
                if fault := misshapen(route, got):
                    wrong.append(f"{route.key}?{query[:60]}: {fault}")
            for name in re.findall(r"{(\w+)}", route.path):
                for bad in ("%F0%9F%92%A9", "9" * 40, "a%20", "x" * 255):
                    got = await send(cloud, route, who, at=cloud.at(route, **{name: bad}))
                    if fault := misshapen(route, got):
                        wrong.append(f"{route.key}: {name} = {bad}: {fault}")
    report(wrong)


async def test_secrets_stay_secret(tmp_path):
    """A cloud is walked from end to end; its log and what others may read hold no password, token, key or user data."""
    walked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.api.whole_cloud", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    logged, _ = await walked.communicate()
    assert walked.returncode == 0
    seen = json.loads((tmp_path / "walked.json").read_text())
    lines = logged.decode().splitlines()
    assert len(lines) > len(ROUTES)
    wrong = [f"logged {what}: {line[:300]}" for line in lines for what, secret in seen["secrets"] if secret in line]
    report(wrong + seen["wrong"])


async def test_nothing_is_joined_to_another_projects_things(cloud):
    """A member of another project names demo's things in the bodies of its own: they are as good as absent."""
    t, net = cloud.things, "/network/v2.0"
    own = {
        one: (await cloud.make("other", f"{net}/{one}s", {one: {"name": "own"}}))["id"] for one in ("network", "router")
    }
    subnet = {"network_id": own["network"], "ip_version": 4, "cidr": "10.5.0.0/24"}
    own["subnet"] = (await cloud.make("other", f"{net}/subnets", {"subnet": subnet}))["id"]
    own["port"] = (await cloud.make("other", f"{net}/ports", {"port": {"network_id": own["network"]}}))["id"]
    own["group"] = (await cloud.make("other", f"{net}/security-groups", {"security_group": {"name": "own"}}))["id"]
    public = {"floating_network_id": t["public"]}
    own["floatingip"] = (await cloud.make("other", f"{net}/floatingips", {"floatingip": public}))["id"]
    rule = {"security_group_id": own["group"], "direction": "ingress", "remote_group_id": t["security-groups"]}
    server = {"name": "s", "imageRef": t["queued"], "flavorRef": "42", "networks": [{"uuid": own["network"]}]}
    image = server | {"imageRef": t["images"]}  # that one is shared with the other project
    leg = f"{net}/routers/{own['router']}/add_router_interface"
    group = t["security-groups"]
    key = {"name": "x", "public_key": PUBLIC_KEY, "type": "ssh", "user_id": t["demo user"]}
    tries = (
        ("POST", f"{net}/ports", {"port": {"network_id": own["network"], "security_groups": [group]}}),
        ("PUT", f"{net}/ports/{own['port']}", {"port": {"security_groups": [group]}}),
        ("PUT", f"{net}/ports/{own['port']}", {"port": {"fixed_ips": [{"subnet_id": t["subnets"]}]}}),
        ("POST", f"{net}/subnets", {"subnet": {**subnet, "cidr": None, "subnetpool_id": t["subnetpools"]}}),
        ("PUT", leg, {"subnet_id": t["subnets"]}),
        ("PUT", leg, {"port_id": t["spare port"]}),
        ("PUT", f"{net}/routers/{own['router']}", {"router": {"external_gateway_info": {"network_id": t["networks"]}}}),
        ("POST", f"{net}/floatingips", {"floatingip": {**public, "port_id": t["spare port"]}}),
        ("PUT", f"{net}/floatingips/{own['floatingip']}", {"floatingip": {"port_id": t["spare port"]}}),
        ("POST", f"{net}/security-group-rules", {"security_group_rule": rule}),
        ("POST", f"{net}/networks", {"network": {"project_id": t["demo"]}}),
        ("POST", "/image/v2/images", {"name": "x", "owner": t["demo"]}),
        ("POST", "/compute/v2.1/servers", {"server": server}),
        ("POST", "/compute/v2.1/servers", {"server": image | {"networks": [{"uuid": t["networks"]}]}}),
        ("POST", "/compute/v2.1/servers", {"server": image | {"networks": [{"port": t["spare port"]}]}}),
        ("POST", "/compute/v2.1/servers", {"server": image | {"key_name": t["os-keypairs"]}}),
        ("POST", "/compute/v2.1/servers", {"server": image | {"security_groups": [{"name": group}]}}),
        ("POST", "/compute/v2.1/servers", {"server": image | {"flavorRef": t["flavors"]}}),
        (
            "POST",
            "/compute/v2.1/servers",
            {"server": image, "os:scheduler_hints": {"group": t["os-server-groups"]}},
        ),
        ("POST", "/compute/v2.1/os-keypairs", {"keypair": key}),
    )
    wrong, before = [], await cloud.state()
    for method, url, body in tries:
        got = await cloud.ask("other", method, url, body)
        if got.status not in {400, 403, 404, 409}:
            wrong.append(f"{method} {url} {body}: {got.status} {got.body[:120]!r}")
    report(wrong + hostile.changes(before, await cloud.state()))
    assert (await cloud.ask("other", "POST", "/compute/v2.1/servers", {"server": image})).status == 202
