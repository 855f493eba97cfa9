"""What leaves a real socket: pieces of an answer, whatever kind of bytes they are."""

import asyncio

import pytest

from maldon.runtime.protocol import _Together


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.sent = b""

    def write(self, data):
        self.sent += data

    def writelines(self, pieces):
        self.sent += b"".join(pieces)

    pause_reading = resume_reading = lambda self: None

    def is_closing(self):
        return False


@pytest.mark.parametrize("kind", [bytes, memoryview])
@pytest.mark.parametrize("turns", [0, 1])
async def test_the_head_leaves_before_the_pieces_at_once_or_later(kind, turns):
    wire = Wire()
    together = _Together(wire, asyncio.get_running_loop())
    together.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(turns):
        await asyncio.sleep(0)
    for piece in (b"one", b"two", b"HTTP/1.1 three", b"four"):
        together.write(kind(piece))
    await asyncio.sleep(0)
    assert wire.sent == b"HTTP/1.1 200 OK\r\n\r\nonetwoHTTP/1.1 threefour"
