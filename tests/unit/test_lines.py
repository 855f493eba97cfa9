"""Small calls to another node over kept connections."""

import asyncio
import contextlib

import pytest

from maldon.objectstore.storage.lines import Lines

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


class Other:
    """Somebody who answers each request with whatever `answers` says of its body; None hangs up."""

    def __init__(self, answers):
        self.answers, self.serving, self.heads = answers, [], []

    @property
    def connections(self):
        return len(self.serving)

    async def serve(self, reader, writer):
        self.serving.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                body = await reader.readexactly(int(head.lower().rpartition(b"content-length: ")[2]))
                answer = await self.answers(body)
                if answer is None:
                    break
                writer.write(answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def lines_to(answers, answer_s=5.0):
    other = Other(answers)
    server = await asyncio.start_server(other.serve, "127.0.0.1", 0, backlog=512)
    lines = Lines(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", {"x-key": "secret"}, 1.0, answer_s)
    try:
        yield lines, other
    finally:
        lines.close()
        server.close()
        await asyncio.gather(*other.serving)


async def echo(body):
    await asyncio.sleep(0.01 if body == b"slow" else 0)
    return OK + body


async def test_a_call_says_who_asks_and_a_connection_is_used_again():
    async with lines_to(echo) as (lines, other):
        for word in (b"one.", b"two."):
            assert await lines.post("/v1/verb", word) == (200, word)
        assert other.connections == 1
        assert other.heads[0].startswith(b"POST /v1/verb HTTP/1.1\r\nHost: 127.0.0.1:")
        assert b"\r\nx-key: secret\r\n" in other.heads[0]


async def test_calls_at_once_have_a_connection_each_and_their_own_answers():
    async with lines_to(echo) as (lines, other):
        words = [b"slow" if n % 3 else b"%04d" % n for n in range(300)]
        answers = await asyncio.gather(*(lines.post("/", word) for word in words))
        assert [body for _, body in answers] == words
        assert 1 < other.connections <= 256


async def test_an_answer_may_come_in_chunks_and_any_status():
    async def answers(_body):
        return b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\non\r\n1\r\ne\r\n0\r\n\r\n"

    async with lines_to(answers) as (lines, _):
        assert await lines.post("/", b"x") == (503, b"one")


async def test_an_answer_that_ends_the_connection_is_still_one():
    async def answers(_body):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

    async with lines_to(answers) as (lines, other):
        for _ in range(2):
            assert await lines.post("/", b"x") == (200, b"ok")
        assert other.connections == 2


@pytest.mark.parametrize("answer", [None, b"no HTTP at all\r\n\r\n", OK + b"cu"])
async def test_what_is_no_whole_answer_is_an_error_and_the_next_call_is_answered(answer):
    async def answers(body):
        return answer if body == b"bad" else OK + b"good"

    async with lines_to(answers, answer_s=0.3) as (lines, _):
        with pytest.raises((OSError, TimeoutError)):
            await lines.post("/", b"bad")
        assert await lines.post("/", b"good") == (200, b"good")


async def test_a_call_that_was_given_up_does_not_leave_its_answer_to_another():
    async with lines_to(echo) as (lines, _):
        await lines.post("/", b"warm")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.003):
                await lines.post("/", b"slow")
        assert await lines.post("/", b"next") == (200, b"next")


async def test_nobody_there_is_an_error():
    async with lines_to(echo) as (lines, _):
        pass
    with pytest.raises(OSError):
        await lines.post("/", b"x")


async def test_a_connection_that_the_other_side_closed_is_not_used():
    async with lines_to(echo) as (lines, other):
        await lines.post("/", b"once")
        for line in lines._idle:
            line._transport.abort()
        await asyncio.sleep(0.01)
        assert await lines.post("/", b"more") == (200, b"more")
        assert other.connections == 2
