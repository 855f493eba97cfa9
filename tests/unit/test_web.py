"""The wrapper around handlers: tokens, rules, microversions, bodies and errors."""

import asyncio
import itertools

import msgspec
import pytest

from maldon.kernel.errors import NotFound, QuotaExceeded, Stale
from maldon.kernel.op import Op
from maldon.web.dialects import COMPUTE
from maldon.web.microversion import Versions
from maldon.web.policy import Rule
from maldon.web.request import CutOff, Reply, Request, json, streamed
from maldon.web.service import AUTHENTICATED, PUBLIC, Service
from tests.harness import cloud


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: int = 1


async def make(request: Request, op: Op) -> Reply:
    thing = await request.load(Thing)
    op.may("things:make")
    return json({"thing": thing, "who": op.actor.user_id, "version": op.version, "base": request.base}, 202)


async def forgetful(_request: Request, _op: Op) -> Reply:
    return json({"secret": 1})


async def show(request: Request, op: Op) -> Reply:
    op.may("things:show", {"project_id": request.path["id"]})
    raise NotFound("There is no such thing.", internal="looked everywhere")


async def full(_request: Request, _op: Op) -> Reply:
    raise QuotaExceeded("The quota for things is 3.")


async def broken(_request: Request, _op: Op) -> Reply:
    raise ZeroDivisionError


def contended():
    """A handler that is too late twice; it says what it was given at its third turn."""
    tried = itertools.count(1)

    async def handle(request: Request, op: Op) -> Reply:
        op.may("things:make")
        streams = request.method == "PUT"
        got = b"".join([piece async for piece in request.stream]) if streams else await request.body()
        if next(tried) < 3:
            raise Stale("Somebody was quicker.")
        return json(got.decode())

    return handle


async def hello(_request: Request, _op: Op) -> Reply:
    return json("hello")


cut_off, endless = asyncio.Event(), asyncio.Event()


async def swallow(request: Request, op: Op) -> Reply:
    op.may("things:make")
    try:
        return json(sum([len(piece) async for piece in request.stream]))
    except CutOff:
        cut_off.set()
        raise


async def forever(_request: Request, _op: Op) -> Reply:
    async def zeros():
        try:
            for _ in itertools.count():
                yield bytes(10)
                await asyncio.sleep(0)
        finally:
            endless.set()

    return streamed(zeros(), 1 << 60, "application/octet-stream", ())


SERVICE = Service(
    "things",
    "/things",
    1,
    {
        "/v1": {"GET": (hello, PUBLIC)},
        "/v1/things": {"POST": (make, "things:make"), "GET": (forgetful, "things:make")},
        "/v1/things/{id}": {"GET": (show, "things:show")},
        "/v1/bytes": {"PUT": (swallow, "things:make"), "GET": (forever, AUTHENTICATED)},
        "/v1/full": {"GET": (full, AUTHENTICATED)},
        "/v1/broken": {"GET": (broken, AUTHENTICATED)},
        "/v1/contended": {verb: (contended(), "things:make") for verb in ("GET", "POST", "PUT")},
    },
    (Rule("things:make", "role:member", "Make."), Rule("things:show", "project_id:%(project_id)s", "Show.")),
    COMPUTE,
    Versions("things", (2, 1), (2, 9), "X-Things-API-Version"),
)


@pytest.fixture
async def things(tmp_path):
    async with cloud(str(tmp_path / "db"), [SERVICE]) as made:
        yield made


async def test_a_body_reaches_its_handler_with_the_version_in_force(things):
    got = await things("POST", "/things/v1/things", {"name": "a"}, OpenStack_API_Version="compute 2.99, things 2.7")
    assert (got.status, got.json) == (
        202,
        {"thing": {"name": "a", "size": 1}, "who": "u-demo", "version": [2, 7], "base": "http://cloud.test/things"},
    )
    assert got.headers["openstack-api-version"] == "things 2.7"
    assert got.headers["x-things-api-version"] == "2.7"
    assert got.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "fault"),
    [
        ("POST", "/things", {"name": 1}, {}, 400, "badRequest"),
        ("POST", "/things", {"name": "a", "colour": "red"}, {}, 400, "badRequest"),
        ("POST", "/things", {"name": "a\x00"}, {}, 400, "badRequest"),
        ("POST", "/things", {"name": "a" * 2_000_000}, {}, 413, "overLimit"),
        ("POST", "/things", {"name": "a"}, {"Content_Type": "text/xml"}, 415, "badMediaType"),
        ("POST", "/things", {"name": "a"}, {"X_Auth_Token": "nobody"}, 401, "error"),
        ("POST", "/things", {"name": "a"}, {"X_Auth_Token": "reader"}, 403, "forbidden"),
        ("POST", "/things", {"name": "a"}, {"OpenStack_API_Version": "things two"}, 400, "badRequest"),
        ("POST", "/things", {"name": "a"}, {"OpenStack_API_Version": "things 2.10"}, 406, "computeFault"),
        ("GET", "/things", None, {}, 500, "computeFault"),
        ("GET", "/things/x", None, {}, 403, "forbidden"),
        ("GET", "/things/" + "d" * 32, None, {}, 404, "itemNotFound"),
        ("GET", "/things/%00", None, {}, 404, "itemNotFound"),
        ("GET", "/full", None, {}, 403, "forbidden"),
        ("GET", "/broken", None, {}, 500, "computeFault"),
        ("GET", "/nowhere", None, {}, 404, "itemNotFound"),
        ("DELETE", "/things", None, {}, 405, "badMethod"),
    ],
)
async def test_a_refusal_has_the_shape_of_its_api(things, method, path, body, headers, status, fault):
    got = await things(method, "/things/v1" + path, body, **headers)
    assert (got.status, list(got.json)) == (status, [fault])
    assert got.json[fault]["code"] == status
    assert "looked" not in got.body.decode()


async def test_a_wrong_method_is_told_the_right_ones(things):
    allowed = [(await things(method, "/things/v1/things")).headers["allow"] for method in ("DELETE", "OPTIONS")]
    assert allowed == ["GET, OPTIONS, POST"] * 2
    assert (await things("OPTIONS", "/things/v1/things")).status == 200


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"X_Forwarded_Proto": "https", "X_Forwarded_Host": "a.test:8443"}, "https://a.test:8443/things"),
        ({"Forwarded": 'proto=HTTPS; host="a.test", host=b.test', "X_Forwarded_Host": "c"}, "https://a.test/things"),
        ({"Forwarded": "nonsense", "X_Forwarded_Proto": "gopher"}, "http://cloud.test/things"),
    ],
)
async def test_a_proxy_says_how_the_client_reached_it(things, headers, base):
    assert (await things("POST", "/things/v1/things", {"name": "a"}, **headers)).json["base"] == base


async def test_malformed_json_is_refused(things):
    for body in (b"{", b"[" * 100_000, b"\xff", b'{"name": "\\ud800"}'):
        got = await things("POST", "/things/v1/things", body=body, Content_Type="application/json")
        assert got.status == 400


async def test_somebody_being_quicker_is_tried_again(things):
    assert (await things("GET", "/things/v1/contended")).json == ""


async def test_what_is_tried_again_has_the_same_body_again(things):
    assert (await things("POST", "/things/v1/contended", "x" * 100_000)).json == f'"{"x" * 100_000}"'


async def test_a_body_that_went_by_as_a_stream_is_not_tried_again(things):
    assert [(await things("PUT", "/things/v1/contended", "x")).status for _ in range(3)] == [409, 409, 200]


async def test_the_root_of_a_service_needs_no_token(things):
    assert (await things.as_("")("GET", "/things/v1/")).json == "hello"
    assert (await things.as_("")("GET", "/things/v1/full")).status == 401


async def talk(things, method, *events):
    """One request whose body comes as these events; what was sent back."""
    headers = [(b"x-auth-token", b"demo"), (b"host", b"cloud.test")]
    scope = {"type": "http", "method": method, "path": "/things/v1/bytes", "headers": headers, "query_string": b""}
    scope |= {"scheme": "http", "http_version": "1.1", "server": None, "asgi": {"version": "3.0"}}
    waiting, sent = list(events), []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    async with asyncio.timeout(10):
        await things.front(scope, receive, send)
    return sent


PIECE = {"type": "http.request", "body": b"abc", "more_body": True}
LAST = {"type": "http.request", "body": b"de"}
GONE = {"type": "http.disconnect"}


async def test_a_body_in_pieces_is_whole_only_with_its_last_piece(things):
    whole = await talk(things, "PUT", PIECE, PIECE, LAST)
    assert (whole[0]["status"], whole[1]["body"]) == (200, b"8")
    assert not cut_off.is_set()
    cut = await talk(things, "PUT", PIECE, PIECE, GONE)
    assert (cut[0]["status"], cut_off.is_set()) == (400, True)


async def test_a_stream_ends_when_nobody_listens_any_more(things):
    await talk(things, "GET", LAST, GONE)
    assert endless.is_set()
