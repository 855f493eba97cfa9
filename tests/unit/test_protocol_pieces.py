"""What leaves a connection: head and pieces of an answer, whatever kind of bytes they are; and when it is closed."""

import asyncio
import gc

import pytest
import uvicorn
from uvicorn.server import ServerState

from maldon.runtime.exchange import Exchange
from maldon.runtime.protocol import Protocol
from maldon.web.request import AT_HAND

GET = b"GET /box HTTP/1.1\r\nHost: here\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written, one entry for each call."""

    def __init__(self):
        super().__init__()
        self.written, self.closed, self.vectors = [], False, 0

    def write(self, data):
        self.written.append(bytes(data))

    def writelines(self, pieces):
        self.written.append(b"".join(pieces))
        self.vectors += 1

    pause_reading = resume_reading = lambda self: None

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


def connected(app, **options):
    """A connection to `app`."""
    config = uvicorn.Config(app, loop="none", http=Protocol, ws="none", lifespan="off", log_config=None, **options)
    config.load()
    protocol, wire = Protocol(config=config, server_state=ServerState(), app_state={}), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def answering(headers, *bodies, status=200):
    """An application that says these headers and bodies."""

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await asyncio.sleep(0)
        for number, body in enumerate(bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    return app


async def answered(app, asked=GET):
    protocol, wire = connected(app)
    protocol.data_received(asked)
    await asyncio.sleep(0.01)
    return wire


@pytest.mark.parametrize("kind", [bytes, memoryview])
async def test_the_head_leaves_with_the_first_piece(kind):
    wire = await answered(answering([(b"content-length", b"9")], kind(b"one"), kind(b"HTTP/1"), status=201))
    assert wire.written == [b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\none", b"HTTP/1"]
    assert not wire.closed


async def test_a_long_piece_is_not_copied_and_arrives():
    body = b"x" * 100_000
    wire = await answered(answering([(b"content-length", b"100000")], body))
    assert b"".join(wire.written).endswith(b"\r\n\r\n" + body)
    assert wire.vectors == 1


async def test_a_body_of_unknown_length_is_chunked():
    wire = await answered(answering([], b"one", memoryview(b"fourteen bytes"), b""))
    head, _, body = b"".join(wire.written).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\none\r\ne\r\nfourteen bytes\r\n0\r\n\r\n"


async def test_a_head_is_answered_with_no_body_and_the_length_of_one():
    wire = await answered(answering([(b"content-length", b"3")], b"one"), GET.replace(b"GET", b"HEAD"))
    assert wire.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"]


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_may_tell_a_length(status):
    wire = await answered(answering([(b"content-length", b"3")], b"", status=status))
    assert wire.written[0].endswith(b"\r\ncontent-length: 3\r\n\r\n")
    assert not wire.closed


async def test_a_name_stays_as_it_is_written():
    wire = await answered(answering([(b"X-Object-Meta-Colour", b"blue"), (b"content-length", b"0")], b""))
    assert b"X-Object-Meta-Colour: blue\r\n" in wire.written[0]


@pytest.mark.parametrize(
    "header", [(b"x-a", b"b\r\nx-c: d"), (b"x-a", b"\0"), (b"x a", b"b"), (b"x-a:", b"b"), (b"x-a\r\nx-c", b"d")]
)
async def test_what_would_break_the_head_is_not_sent(header):
    wire = await answered(answering([header, (b"content-length", b"0")], b""))
    assert wire.written[0].startswith(b"HTTP/1.1 500 ")
    assert b"x-c" not in wire.written[0]
    assert wire.closed


@pytest.mark.parametrize("bodies", [[b"four"], [b"on"], [b"one", b"two"]])
async def test_a_body_that_is_not_as_long_as_announced_ends_the_connection(bodies):
    wire = await answered(answering([(b"content-length", b"3")], *bodies))
    assert wire.closed


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1\r\nConnection: close"])
async def test_a_client_that_wants_no_more_is_let_go(version):
    wire = await answered(answering([(b"content-length", b"0")], b""), GET.replace(b"HTTP/1.1", version))
    assert b"connection: close" in wire.written[0]
    assert wire.closed


async def test_what_was_sent_in_one_piece_is_answered_in_turn():
    wire = await answered(answering([(b"content-length", b"1")], b"1"), GET * 3)
    assert b"".join(wire.written).count(b"HTTP/1.1 200 OK") == 3


async def test_a_body_that_came_with_its_head_is_at_hand_once():
    found = []

    async def app(scope, receive, send):
        at_hand = scope["extensions"][AT_HAND]
        found.extend([at_hand(), at_hand()])
        await answering([(b"content-length", b"0")], b"")(scope, receive, send)

    await answered(app, b"PUT /box HTTP/1.1\r\nContent-Length: 3\r\n\r\none")
    assert found == [b"one", None]
    await answered(app, b"PUT /box HTTP/1.1\r\nContent-Length: 4\r\n\r\none")
    assert found[2:] == [None, None]


async def test_nothing_is_left_to_the_collector():
    protocol, _ = connected(answering([(b"content-length", b"0")], b""))
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            protocol.data_received(GET)
            await asyncio.sleep(0.01)
        assert sum(isinstance(one, Exchange) for one in gc.get_objects()) == 1
    finally:
        gc.enable()


async def test_a_connection_that_asks_nothing_more_is_closed_and_one_that_does_is_not():
    protocol, wire = connected(answering([(b"content-length", b"0")], b""), timeout_keep_alive=1)
    protocol.timeout_keep_alive = 0.2
    for _ in range(4):
        protocol.data_received(GET)
        await asyncio.sleep(0.1)
    assert not wire.closed
    assert len(wire.written) == 4
    await asyncio.sleep(0.4)
    assert wire.closed
