"""Long bodies, read past the parser: what the application gets, and that the connection goes on afterwards."""

import asyncio
import hashlib
import os
import socket
from contextlib import asynccontextmanager

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from maldon.runtime.bulk import LEAST, PATIENCE_S, PIECE
from maldon.runtime.protocol import Protocol

BODY = os.urandom(3 * PIECE + 17)
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


async def digest(_scope, receive, send):
    """Answers with the number of pieces and the MD5 of all of them."""
    md5, pieces, more = hashlib.md5(), 0, True
    while more:
        event = await receive()
        assert event["type"] == "http.request"
        md5.update(event["body"])
        pieces, more = pieces + 1, event["more_body"]
    await answer(send, f"{pieces} {md5.hexdigest()}".encode())


async def answer(send, body, status=200):
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": length})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connection(app, **options):
    """The two ends of a connection to it, as a client has them."""
    config = uvicorn.Config(app, loop="none", http=Protocol, ws="none", lifespan="off", log_config=None, **options)
    config.load()

    def make():
        return Protocol(config=config, server_state=ServerState(), app_state={})

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


def head(length, more=""):
    return f"PUT /x HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n{more}\r\n".encode()


async def read_answer(reader):
    lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).lower().split(b"\r\n")
    (length,) = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")]
    return int(lines[0].split()[1]), await reader.readexactly(length)


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine in a loop of either kind."""

    def runs(coroutine):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(coroutine, 60))

    return runs


@pytest.mark.parametrize("size", [0, 1000, LEAST - 1, LEAST, LEAST + 70_000, PIECE, PIECE + 1, len(BODY)])
@pytest.mark.parametrize("cut", [0, 1, 100, 70_000])
def test_bodies_arrive_and_the_next_request_follows_at_once(run, size, cut):
    async def scenario():
        async with connection(digest) as (reader, writer):
            for _ in range(2):
                body = BODY[:size]
                writer.write(head(size) + body[:cut])
                await writer.drain()
                await asyncio.sleep(0.01)
                writer.write(body[cut:] + head(3) + b"end")  # two requests in a row
                status, said = await read_answer(reader)
                assert (status, said.split()[1].decode()) == (200, hashlib.md5(body).hexdigest())
                assert int(said.split()[0]) <= (2 + size // PIECE if size > 2 * LEAST else 8)
                assert await read_answer(reader) == (200, b"1 " + hashlib.md5(b"end").hexdigest().encode())

    run(scenario())


def test_a_client_that_waits_to_be_told(run):
    async def scenario():
        async with connection(digest) as (reader, writer):
            writer.write(head(len(BODY), "Expect: 100-continue\r\n"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(BODY)
            assert (await read_answer(reader))[1].split()[1].decode() == hashlib.md5(BODY).hexdigest()

    run(scenario())


@pytest.mark.parametrize(
    "more", ["Transfer-Encoding: chunked\r\n", f"Content-Length: {LEAST}\r\n", "Content-Length: 5\r\n"]
)
def test_a_length_that_is_not_the_only_word_is_no_length(run, more):
    """Two opinions of where a body ends are how one request is smuggled in another."""

    async def scenario():
        async with connection(digest) as (reader, writer):
            writer.write(head(LEAST * 2, more) + b"5\r\nbytes\r\n0\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"400"
            await reader.read()

    run(scenario())


def test_who_is_refused_early_may_ask_again(run):
    async def refuse(scope, receive, send):
        await (digest(scope, receive, send) if scope["method"] == "GET" else answer(send, b"no", 401))

    async def scenario():
        async with connection(refuse) as (reader, writer):
            writer.write(head(len(BODY)) + BODY[:5])
            assert await read_answer(reader) == (401, b"no")
            writer.write(BODY[5:] + b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert await read_answer(reader) == (200, b"1 " + hashlib.md5().hexdigest().encode())

    run(scenario())


def test_who_goes_on_sending_after_the_answer_is_not_idle(run):
    async def refuse(_scope, _receive, send):
        await answer(send, b"no", 401)

    async def scenario():
        async with connection(refuse, timeout_keep_alive=1) as (reader, writer):
            writer.write(head(len(BODY)))
            assert await read_answer(reader) == (401, b"no")
            step = len(BODY) // 8 + 1
            for at in range(0, len(BODY), step):
                await asyncio.sleep(0.3)
                writer.write(BODY[at : at + step])
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert await read_answer(reader) == (401, b"no")

    run(scenario())


def test_who_closes_and_is_refused_hears_it(run):
    async def refuse(_scope, _receive, send):
        await answer(send, b"no", 401)

    async def scenario():
        async with connection(refuse) as (reader, writer):
            writer.write(head(len(BODY), "Connection: close\r\n") + BODY)
            assert await read_answer(reader) == (401, b"no")
            assert await reader.read() == b""

    run(scenario())


def test_a_body_that_is_cut_off_is_no_body(run):
    async def scenario():
        events, ended = [], asyncio.Event()

        async def collect(_scope, receive, _send):
            while not events or events[-1]["type"] == "http.request":
                events.append(await receive())
            ended.set()

        async with connection(collect) as (_, writer):
            writer.write(head(len(BODY)) + BODY[: PIECE + 100])
            await writer.drain()
            writer.close()
            await ended.wait()
        assert events[-1]["type"] == "http.disconnect"
        assert all(event.get("more_body", True) for event in events)

    run(scenario())


def test_what_trickles_in_is_told_of(run):
    async def scenario():
        events = asyncio.Queue()

        async def collect(_scope, receive, _send):
            while (event := await receive())["type"] == "http.request":
                await events.put(event)

        async with connection(collect) as (_, writer):
            writer.write(head(len(BODY)) + b"some")
            await writer.drain()
            await asyncio.sleep(PATIENCE_S + 0.05)
            writer.write(b"more")
            event = await asyncio.wait_for(events.get(), 5)
            assert (event["body"], event["more_body"]) == (b"somemore", True)

    run(scenario())


def test_what_waits_for_the_application_is_bounded(run):
    async def scenario():
        begun, go_on = asyncio.Event(), asyncio.Event()
        sizes = []

        async def slow(_scope, receive, send):
            begun.set()
            await go_on.wait()
            more = True
            while more:
                event = await receive()
                sizes.append(len(event["body"]))
                more = event["more_body"]
            await answer(send, b"")

        async with connection(slow) as (reader, writer):
            writer.write(head(len(BODY)) + BODY)
            await begun.wait()
            await asyncio.sleep(0.2)
            go_on.set()
            assert (await read_answer(reader))[0] == 200
        assert sum(sizes) == len(BODY)
        assert max(sizes) == PIECE

    run(scenario())
