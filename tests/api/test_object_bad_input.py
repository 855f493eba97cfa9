"""Whatever is sent to the proxy is answered with what is wrong with it: never 500, and never half of an object."""

import asyncio
import random

import pytest

from tests.harness import call
from tests.object_cloud import ACCOUNT, OTHERS, object_store, served

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "COPY", "OPTIONS", "BREW")
NAMES = (
    "c",
    "c/o",
    "c/a/b",
    "c//",
    "c/%00",
    "c/%ff",
    "c/" + "n" * 1025,
    "x" * 257,
    "",
    "/",
    "c/%2e%2e/o",
    "c/ü",
    "%2Fc",
    "none/o",
)
NUMBERS = ("", "0", "-1", "1", "99999999999999999999", "1e9", "0x10", "nan", "\u0663", " 5 ", "9" * 500)
TEXTS = (
    "",
    "x",
    "ü",
    "\udcff\udcfe",
    "a" * 300,
    "a" * 9000,
    ",",
    ";=",
    '"',
    "*",
    "\t",
    "a,b,,c",
    "{}",
    "[]",
    "[{}]",
    "null",
)
HEADERS = {
    "Range": (
        "bytes=",
        "bytes=-",
        "bytes=0-",
        "bytes=5-1",
        "bytes=0-0,1-1",
        "bytes=a-b",
        "bytes=" + "0-," * 60,
        "bytes=-0",
    ),
    "If-Match": TEXTS,
    "If-None-Match": TEXTS,
    "If-Modified-Since": (*TEXTS, *NUMBERS),
    "If-Unmodified-Since": TEXTS,
    "If-Range": TEXTS,
    "Etag": TEXTS,
    "Content-Type": TEXTS,
    "Content-Encoding": TEXTS,
    "Content-Disposition": TEXTS,
    "X-Delete-At": NUMBERS,
    "X-Delete-After": NUMBERS,
    "X-If-Delete-At": NUMBERS,
    "X-Newest": TEXTS,
    "X-Object-Meta-A": TEXTS,
    "X-Object-Meta-": TEXTS,
    "X-Container-Meta-A": TEXTS,
    "X-Account-Meta-A": TEXTS,
    "X-Container-Read": (*TEXTS, ".r:", ".r:-", ".x", "a:b:c"),
    "X-Container-Write": (*TEXTS, ".r:*"),
    "X-Storage-Policy": (*TEXTS, "0", "Policy-0"),
    "X-Copy-From": (*TEXTS, "c/o", "/c/o", "c", "/c/%ff", "/none/o"),
    "Destination": (*TEXTS, "c/new", "c"),
    "Destination-Account": TEXTS,
    "X-Copy-From-Account": TEXTS,
    "X-Object-Manifest": (*TEXTS, "c/", "c/a", "/"),
    "X-Symlink-Target": (*TEXTS, "c/o", "c"),
    "X-Versions-Location": TEXTS,
    "X-Versions-Enabled": TEXTS,
    "X-Timestamp": NUMBERS,
    "X-Backend-Timestamp": NUMBERS,
    "X-Trans-Id-Extra": TEXTS,
    "Accept": (*TEXTS, "*/*;q=x", "text/html", "application/json;q=0.5,"),
    "Origin": TEXTS,
    "Referer": (*TEXTS, "http://["),
    "Access-Control-Request-Method": (*TEXTS, "GET"),
    "Transfer-Encoding": ("chunked", "gzip", "x"),
    "X-Open-Expired": TEXTS,
    "X-Container-Meta-Quota-Bytes": NUMBERS,
    "X-Account-Meta-Quota-Bytes": NUMBERS,
    "X-Container-Sync-To": TEXTS,
    "X-Container-Meta-Temp-Url-Key": TEXTS,
    "X-Account-Access-Control": TEXTS,
    "Connection": ("keep-alive", "close", "x"),
}
QUERIES = (
    "",
    "format=json",
    "format=xml",
    "format=x",
    "limit=0",
    "limit=-1",
    "limit=x",
    "limit=99999",
    "marker=%ff",
    "marker=%00",
    "delimiter=%C3%BC",
    "delimiter=",
    "prefix=a&delimiter=/&reverse=1",
    "path=a",
    "path=/",
    "multipart-manifest=put",
    "multipart-manifest=get",
    "multipart-manifest=delete",
    "multipart-manifest=x",
    "symlink=get",
    "version-id=null",
    "version-id=x",
    "versions",
    "version_marker=x",
    "bulk-delete",
    "extract-archive=tar",
    "extract-archive=x",
    "&&&",
    "=",
    "temp_url_sig=x&temp_url_expires=1",
    "temp_url_sig=&temp_url_expires=99999999999",
    "part-number=0",
    "part-number=x",
    "states=shard",
    "heartbeat=on",
    "x=" + "y" * 5000,
)
BODIES = (
    b"",
    b"x",
    b"[]",
    b"{}",
    b"[{}]",
    b'[{"path": "/c/o"}]',
    b'[{"path": 1}]',
    b"\xff" * 100,
    b"c/o\nnone/o\n",
    b"/" * 3000,
)


def asked(dice: random.Random) -> tuple[str, str, str, dict[str, str], bytes]:
    """A request that nobody ought to send."""
    method, body = dice.choice(METHODS), dice.choice(BODIES)
    account = dice.choice((ACCOUNT, ACCOUNT, ACCOUNT, OTHERS, "AUTH_", "x"))
    path = (
        f"/v1/{account}/{dice.choice(NAMES)}"
        if dice.random() < 0.95
        else dice.choice(("/", "/v1", "//", "/info", "/v1/%ff"))
    )
    headers = {name: dice.choice(HEADERS[name]) for name in dice.sample(sorted(HEADERS), dice.randrange(5))}
    headers["Host"], headers["X-Auth-Token"] = "store.test", dice.choice(("demo", "demo", "demo", "reader", "bad", ""))
    if "Transfer-Encoding" not in headers:
        headers["Content-Length"] = str(len(body))
    return method, path, dice.choice(QUERIES) if dice.random() < 0.6 else "", headers, body


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_is_our_fault(tmp_path, seed):
    dice = random.Random(seed)
    async with object_store(tmp_path, client_timeout_s=5.0) as store:
        for path in ("c", "d"):
            await store("PUT", path)
        await store("PUT", "c/o", b"0123456789")
        wrong = []
        for _ in range(250):
            method, path, query, headers, body = asked(dice)
            answer = await call(store.proxy, method, path, query, headers, body)
            if answer.status >= 500 and answer.status not in {501, 507}:
                wrong.append((answer.status, method, path, query, headers, body[:50]))
        assert wrong == []


async def test_a_client_that_goes_away_leaves_nothing(tmp_path):
    """In the middle of a body, small or large, announced or in chunks."""
    async with object_store(tmp_path) as store:
        await store("PUT", "c")
        for n, (length, piece) in enumerate(((100, b"x" * 50), (2_000_000, b"x" * 600_000), (None, b"x" * 600_000))):
            events = [{"type": "http.request", "body": piece, "more_body": True}, {"type": "http.disconnect"}]
            said = [(b"content-length", str(length).encode())] if length else [(b"transfer-encoding", b"chunked")]
            assert await _put(store, f"c/o{n}", said, events) == 499
        assert (await store("GET", "c")).status == 204
        assert [(await store("GET", f"c/o{n}")).status for n in range(3)] == [404] * 3


async def test_a_client_that_stands_still_is_given_up(tmp_path):
    async with object_store(tmp_path, client_timeout_s=0.05) as store:
        await store("PUT", "c")
        for length in (100, 2_000_000):
            events = [{"type": "http.request", "body": b"x" * 50, "more_body": True}]
            assert await _put(store, "c/o", [(b"content-length", str(length).encode())], events) == 408
        assert (await store("GET", "c/o")).status == 404


async def test_more_than_may_be_in_chunks_is_refused(tmp_path):
    async with object_store(tmp_path, max_file_size=1_000_000) as store:
        await store("PUT", "c")
        events = [{"type": "http.request", "body": b"x" * 400_000, "more_body": True} for _ in range(3)]
        assert await _put(store, "c/o", [(b"transfer-encoding", b"chunked")], events) == 413
        assert (await store("GET", "c/o")).status == 404


async def _put(store, path, headers, events):
    """The status of a PUT whose body comes as these events, and then no more."""
    statuses = []

    async def receive():
        return events.pop(0) if events else await asyncio.Event().wait()

    async def send(message):
        statuses.extend([message["status"]] if "status" in message else [])

    scope = {
        "type": "http",
        "method": "PUT",
        "scheme": "http",
        "raw_path": f"/v1/{ACCOUNT}/{path}".encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"x-auth-token", b"demo"), *headers],
        "client": None,
    }
    await store.proxy(scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    ("coding", "body", "said"),
    [
        ("gzip,chunked", b"no chunks", b"501"), ("gzip", b"no chunks", b"501"), ("chunked", b"no chunks", b"400"),
        ("CHUNKED", b"3\r\nabc\r\n0\r\n\r\n", b"201"), ("gzip, chunked", b"3\r\nabc\r\n0\r\n\r\n", b"501"),
    ],
)  # fmt: skip
async def test_a_body_in_another_coding_is_not_offered(tmp_path, coding, body, said):
    async with object_store(tmp_path) as store, served(store.proxy) as url:
        await store("PUT", "c")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        head = f"PUT /v1/{store.account}/c/o HTTP/1.1\r\nHost: x\r\nX-Auth-Token: demo\r\n"
        writer.write(f"{head}Transfer-Encoding: {coding}\r\n\r\n".encode() + body)
        try:
            assert (await reader.readline()).split()[1] == said
        finally:
            writer.close()
            await writer.wait_closed()
