"""Whoever speaks HTTP badly to the object store of a running cloud, by bytes on a socket: the right refusal with a
sentence, soon; nothing half-made, no descriptor kept, no bug in the log.
"""

import contextlib
import random
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clouds import running_cloud, wait_for

PATIENCE_S = 2
SETTINGS = f"[cloud]\nclient_timeout_s = {PATIENCE_S}\n[object]\nclient_timeout_s = {PATIENCE_S}\n"
SPARE = 10  # descriptors that come and go: the agents' connections
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("object hostile")]


class Wire:
    """The object store as bytes on a socket."""

    def __init__(self, cloud):
        self.cloud, api = cloud, cloud.api()
        endpoint = urlsplit(api.endpoint("object-store"))
        self.place, self.path = (endpoint.hostname, endpoint.port), endpoint.path.encode()
        self.token = api.token.encode()

    def connect(self):
        return contextlib.closing(socket.create_connection(self.place, timeout=30))

    def request(self, method, path, *headers, body=b"", length=True, close=False):
        """The bytes of a request."""
        lines = [b"%s %s%s HTTP/1.1" % (method, self.path, path), b"Host: store.test", b"X-Auth-Token: " + self.token]
        lines += [b"Content-Length: %d" % len(body)] if length else []
        lines += [b"Connection: close"] if close else []
        return b"\r\n".join((*lines, *headers, b"", body))

    def __call__(self, data):
        """Status and body of the only answer to these bytes; (0, b"") when there is none."""
        with self.connect() as client:
            client.sendall(data)
            return answered(client)

    def ask(self, method, path, *headers, **how):
        return self(self.request(method, path, *headers, **how))

    def settled(self):
        """How many descriptors the process has once it opens and closes none."""
        counts = [self.descriptors()]
        while len(counts) < 6 or len(set(counts[-6:])) > 1:
            time.sleep(0.1)
            counts.append(self.descriptors())
        return counts[-1]

    def descriptors(self):
        return len(list(Path(f"/proc/{self.cloud.pid}/fd").iterdir()))


def answered(client):
    """Status and body of one answer."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = client.recv(65536)
        if not piece:
            return 0, b""
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < length and (piece := client.recv(65536)):
        body += piece
    return int(head.split()[1]), body


@pytest.fixture(scope="module")
def wire():
    with running_cloud(simulate=True, settings=SETTINGS) as cloud:
        made = Wire(cloud)
        assert made.ask(b"PUT", b"/c")[0] == 201
        assert made.ask(b"PUT", b"/c/o", body=b"0123456789")[0] == 201
        yield made


@pytest.fixture(autouse=True)
def blameless(wire):
    """The log says of no bug, and the process serves on."""
    log = wire.cloud.home / "maldon.log"
    begun = log.stat().st_size
    yield
    with log.open("rb") as lines:
        lines.seek(begun)
        wrong = [line for line in lines if b"Traceback" in line or b" bug " in line or b"Exception" in line]
    assert wrong == []
    assert wire.ask(b"GET", b"/c/o")[1] == b"0123456789"


def explains(answer, status):
    """Whether it is a refusal that says something."""
    return answer[0] == status and len(answer[1]) > 10


NAMES = {
    b"/c/a\0b": 400, b"/c/%00": 412, b"/c/%ff": 412, b"/c/\xff": 412, b"/c/%ed%a0%80": 412, b"/c/%c0%af": 412,
    b"/c/" + b"n" * 1025: 400, b"/c/" + b"%C3%BC" * 513: 400, b"/" + b"n" * 257: 400, b"/c/a b": 400, b"/c/\x01": 400,
    b"//c": 404, b"/%2Fc": 404, b"/c/" + b"n" * 60_000: 400, b"/c/" + b"n" * 100_000: 414,
    b"/c/" + b"n" * 1_000_000: 431, b"/c/x?%ff": 400, b"/c/x?marker=%ed%a0%80": 400,
}  # fmt: skip


def test_names_that_cannot_be(wire):
    wrong = [name[:40] for name, status in NAMES.items() if not explains(wire.ask(b"PUT", name, body=b"x"), status)]
    assert wrong == []
    assert wire.ask(b"GET", b"/c")[1] == b"o\n"


def test_names_that_can_be(wire):
    """What means something elsewhere is a name here, and lands nowhere else."""
    names = [
        b"/c/../x",
        b"/c/%2e%2e/%2e%2e/x",
        b"/c///",
        b"/c/%",
        b"/c/%zz",
        b"/c/%0d%0aEvil:%201",
        b"/c/" + b"n" * 1024,
    ]
    for name in names:
        assert wire.ask(b"PUT", name, body=name)[0] == 201
        assert wire.ask(b"GET", name) == (200, name)
    assert [wire.ask(b"DELETE", name)[0] for name in names] == [204] * len(names)
    assert wire.ask(b"GET", b"/c")[1] == b"o\n"


def metadata(*values):
    return tuple(b"X-Object-Meta-A: " + value for value in values)


HEADERS = {
    (b"X-Object-Meta-A: a\rb",): 400, (b"X-Object-Meta-A: a\nb",): 400, (b"X-Object-Meta-A: a\r\n b",): 400,
    metadata(b"a\0b"): 400, (b"nonsense",): 400, (b"X A: b",): 400, metadata(b"a" * 9000): 400,
    metadata(b"a" * 70_000): 400, metadata(b"a" * 1_000_000): 431, metadata(b"a" * 257): 400,
    tuple(b"X-Object-Meta-%d: a" % n for n in range(91)): 400, tuple(b"X-H-%d: a" % n for n in range(300)): 400,
    tuple(b"X-H-%d: a" % n for n in range(100_000)): 431, (b"Content-Length: 1",): 400, (b"Content-Length: 2",): 400,
    (b"Transfer-Encoding: chunked",): 400, (b"Transfer-Encoding: gzip",): 400, (b"X-Auth-Token: x",): 401,
    (b"X-Delete-At: -1",): 400, (b"X-Delete-At: " + b"9" * 2000,): 400, (b"X-Delete-After: x",): 400,
}  # fmt: skip


def test_headers_that_cannot_be(wire):
    answers = {named: wire.ask(b"PUT", b"/c/new", *named, body=b"x") for named in HEADERS}
    assert [(n[0][:40], answers[n]) for n, status in HEADERS.items() if not explains(answers[n], status)] == []
    assert wire.ask(b"GET", b"/c")[1] == b"o\n"


LENGTHS = (b"-1", b"+1", b"0x1", b"1 1", b"9" * 20, b"9" * 400, b"1,1", b"", b"abc", b"1.0", b"\xd9\xa3", b"1e3")


def test_lengths_that_are_none(wire):
    for length in LENGTHS:
        answer = wire.ask(b"PUT", b"/c/new", b"Content-Length: " + length, body=b"x", length=False)
        assert explains(answer, 400), (length, answer)
    assert explains(wire.ask(b"PUT", b"/c/new", b"Content-Length: 5368709123", length=False), 413)
    assert explains(wire.ask(b"PUT", b"/c/new", length=False), 411)
    assert wire.ask(b"GET", b"/c")[1] == b"o\n"


CHUNKS = (
    b"zz\r\nx\r\n0\r\n\r\n", b"1\r\nxy0\r\n\r\n", b"f" * 17 + b"\r\nx", b"-1\r\nx\r\n0\r\n\r\n", b"1\nx\n0\n\n",
    b" 1\r\nx\r\n0\r\n\r\n", b"1\r\nx\r\n0\r\nX\r\n\r\n", b"100000\r\n" + b"x" * 0x100000 + b"zz\r\n",
)  # fmt: skip


def test_chunks_that_are_not_framed(wire):
    for body in CHUNKS:
        begun = time.monotonic()
        answer = wire.ask(b"PUT", b"/c/new", b"Transfer-Encoding: chunked", body=body, length=False)
        assert explains(answer, 400), (body[:30], answer)
        assert time.monotonic() - begun < PATIENCE_S  # at once, not when the rest does not come
    assert wire.ask(b"GET", b"/c")[1] == b"o\n"


def test_what_follows_a_request_is_not_part_of_it(wire):
    body = b"1;name=value\r\nx\r\n0\r\nX-Object-Meta-Evil: 1\r\n\r\n"
    sent = wire.request(b"PUT", b"/c/new", b"Transfer-Encoding: chunked", body=body, length=False)
    assert wire(sent + b"GARBAGE GARBAGE\r\n\r\n")[0] == 201
    assert wire.ask(b"GET", b"/c/new") == (200, b"x")
    assert wire.ask(b"DELETE", b"/c/new")[0] == 204
    two = wire.request(b"GET", b"/c/none") + wire.request(b"GET", b"/c/o", close=True)
    with wire.connect() as client:
        client.sendall(two)
        got = b"".join(iter(lambda: client.recv(65536), b""))
    assert (got.count(b"HTTP/1.1 404"), got.count(b"HTTP/1.1 200"), got[-10:]) == (1, 1, b"0123456789")


def test_what_is_no_request_of_ours(wire):
    root = wire.path.partition(b"/v1/")[0]
    for sent, status in {
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n": 404, b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n": 405,
        b"BREW %s/c HTTP/1.1\r\nHost: x\r\n\r\n" % wire.path: 405, b"GET %s/info HTTP/3.0\r\n\r\n" % root: 400,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 400, b"\x16\x03\x01\x02\x00\x01" + bytes(range(100)): 400,
        b"GET http://elsewhere%s/info HTTP/1.1\r\nHost: x\r\n\r\n" % root: 200,
        b"\r\n\r\nGET %s/info HTTP/1.0\r\n\r\n" % root: 200,
    }.items():  # fmt: skip
        assert wire(sent)[0] == status, sent


RANGES = {
    b"0-5,3-9,4-8,0-9": 416, b",".join([b"0-0"] * 1000): 416, b"9" * 30 + b"-": 416, b"10-": 416, b"-0": 416,
    b"0-" + b"9" * 30: 206, b"-" + b"9" * 30: 206, b"0-0,-1": 206, b"5-2": 200, b"--1": 200, b"0-1;2-3": 200,
    b",,": 200, b"a-b": 200, b"\xd9\xa3-": 200,
}  # fmt: skip


def test_ranges(wire):
    got = {asked: wire.ask(b"GET", b"/c/o", b"Range: bytes=" + asked)[0] for asked in RANGES}
    assert got == RANGES


def test_a_head_that_does_not_end(wire):
    """No byte, some bytes, and then some of each second: not for longer than a client may take."""
    begun = time.monotonic()
    with wire.connect() as silent, wire.connect() as half, wire.connect() as slow:
        half.sendall(b"GET /object-store/v1")
        slow.sendall(b"GET / HTTP/1.1\r\nX-A: ")
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < PATIENCE_S * 2:
                slow.sendall(b"a")
                time.sleep(0.1)
        assert silent.recv(100) == b""
        assert explains(answered(half), 408)
    assert PATIENCE_S * 0.9 < time.monotonic() - begun < PATIENCE_S * 3


@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("every_s", [0, 0.2])
def test_a_body_that_does_not_come(wire, size, every_s):
    begun = time.monotonic()
    with wire.connect() as client:
        client.sendall(wire.request(b"PUT", b"/c/new", b"Content-Length: %d" % size, length=False))
        client.setblocking(False)
        while every_s and time.monotonic() - begun < PATIENCE_S * 0.8:
            client.sendall(b"x")
            time.sleep(every_s)
        client.settimeout(30)
        assert explains(answered(client), 408)
    assert time.monotonic() - begun < PATIENCE_S * 3
    assert wire.ask(b"GET", b"/c")[1] == b"o\n"


def cut(client, *, hard):
    """Go away: politely, or as who is switched off."""
    if hard:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


def large_files(cloud):
    return {str(file) for file in (cloud.home / "objects").glob("*/large/*/*")}


def test_uploads_that_are_cut_leave_nothing(wire):
    assert wire.ask(b"PUT", b"/c/o", body=b"x" * 3_000_000)[0] == 201
    assert wire.ask(b"PUT", b"/c/o", body=b"0123456789")[0] == 201
    descriptors, files, dice = wire.settled(), large_files(wire.cloud), random.Random(1)
    for n in range(200):
        size = dice.choice((100, 200_000, 3_000_000))
        client = socket.create_connection(wire.place, timeout=30)
        if n % 3:
            framing, body = b"Content-Length: %d" % size, b"x" * (size // 2)
        else:
            framing, body = b"Transfer-Encoding: chunked", b"%x\r\n" % size + b"x" * (size // 2)
        client.sendall(wire.request(b"PUT", b"/c/cut%d" % n, framing, body=body, length=False))
        cut(client, hard=n % 2)
    wait_for("the descriptors to be given back", lambda: wire.descriptors() <= descriptors + SPARE)
    assert wire.ask(b"GET", b"/c")[1] == b"o\n"
    assert large_files(wire.cloud) <= files


def rest_of(client):
    """How many bytes still come."""
    size = 0
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(1 << 20):
            size += len(piece)
    return size


def test_downloads_that_are_cut_keep_nothing(wire):
    assert wire.ask(b"PUT", b"/c/big", body=b"x" * 20_000_000)[0] == 201
    descriptors = wire.settled()
    for n in range(200):
        client = socket.create_connection(wire.place, timeout=30)
        client.sendall(wire.request(b"GET", b"/c/big"))
        client.recv(1 if n % 3 else 100_000)
        cut(client, hard=n % 2)
    wait_for("the descriptors to be given back", lambda: wire.descriptors() <= descriptors + SPARE)
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(20)]
        for client in stalled:  # they stay, and read no more
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(wire.place)
            client.sendall(wire.request(b"GET", b"/c/big"))
            client.recv(1)
        wait_for("those to be let go who read nothing", lambda: wire.descriptors() <= descriptors + SPARE)
        assert sum(rest_of(client) < 10_000_000 for client in stalled) >= 20 - SPARE  # the last may still be there
    assert wire.ask(b"DELETE", b"/c/big")[0] == 204


def test_who_is_refused_in_the_middle_reads_why(wire):
    """Also who sends all of it first, and wants the connection closed."""
    too_large = wire.request(b"PUT", b"/c/new?multipart-manifest=put", body=b" " * (9 << 20), close=True)
    assert explains(wire(too_large), 413)
    unknown = wire.request(b"PUT", b"/c/new", body=b" " * (9 << 20), close=True).replace(wire.token, b"bad")
    assert explains(wire(unknown), 401)
    with wire.connect() as client:  # and who keeps it asks again
        client.sendall(too_large.replace(b"Connection: close\r\n", b""))
        assert explains(answered(client), 413)
        client.sendall(wire.request(b"GET", b"/c/o"))
        assert answered(client) == (200, b"0123456789")
