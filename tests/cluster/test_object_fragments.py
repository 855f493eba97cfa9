"""Six storage nodes, four fragments of data and two of parity, real sockets: nodes die, clients do not notice."""

import asyncio
import contextlib
import os

import pytest

from maldon.objectstore.coding.whole import Whole
from maldon.objectstore.node import Put, Spot
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.request import CutOff, Given, ObjectRequest
from maldon.objectstore.timestamp import stamp
from tests.object_cloud import ACCOUNT
from tests.object_cluster import object_cluster

CODE = "isa_l_rs_vand/4+2/65536"
LARGE = os.urandom(6_000_000)


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path, count=6, code=CODE) as made:
        assert (await made[0].asker()("PUT", "c")).status == 201
        yield made


def place_of(nodes, name):
    node = next(one for one in nodes if one.cluster is not None)
    placing = Placing(node.cluster.rings, node.cluster.nodes, node.cluster.settings)
    return placing.object(Path(ACCOUNT, "c", name), 1)


def in_order(nodes, name):
    """The nodes by the fragment of an object that is theirs."""
    at = {node.address: node for node in nodes}
    return [at[device.address] for device in place_of(nodes, name).primaries]


async def held(nodes, name):
    """What the disk of each fragment holds of an object: fragment, whether it is durable."""
    path, found = Path(ACCOUNT, "c", name), []
    for node in in_order(nodes, name):
        spot = Spot("disk-1", 0, 1)
        records = await node.cluster.nodes.own.read_versions(spot, path) if node.cluster else []
        found.append([(one.fragment, one.durable) for one in records])
    return found


ALL = [[(n, True)] for n in range(6)]


async def test_every_node_has_a_fragment_and_every_proxy_the_object(nodes):
    bodies = {"small": b"bytes", "none": b"", "large": LARGE}
    for name, body in bodies.items():
        assert (await nodes[1].asker()("PUT", f"c/{name}", body, X_Object_Meta_A="1")).status == 201
    for name, body in bodies.items():
        assert await held(nodes, name) == ALL
        for node in nodes:
            got = await node.asker()("GET", f"c/{name}")
            assert (got.status, got.body, got.headers["x-object-meta-a"]) == (200, body, "1")
    assert (await nodes[3].asker()("GET", "c")).body == b"large\nnone\nsmall\n"
    assert (await nodes[2].asker()("DELETE", "c/large")).status == 204
    assert [(await node.asker()("GET", "c/large")).status for node in nodes] == [404] * 6
    assert (await nodes[3].asker()("GET", "c")).body == b"none\nsmall\n"


async def test_two_of_six_away_is_read_and_three_is_503(nodes):
    for name, body in (("small", b"bytes"), ("large", LARGE)):
        assert (await nodes[0].asker()("PUT", f"c/{name}", body)).status == 201
    order = in_order(nodes, "large")
    proxy = order[5]
    for node in (order[0], order[2]):
        await node.stop()
    for name, body in (("small", b"bytes"), ("large", LARGE)):
        assert (await proxy.asker()("GET", f"c/{name}")).body == body
    got = await proxy.asker()("GET", "c/large", Range="bytes=1000000-1200000")
    assert (got.status, got.body) == (206, LARGE[1_000_000:1_200_001])
    assert (await proxy.asker()("PUT", "c/new", b"x")).status == 503  # five must have it
    await order[1].stop()
    answers = [await proxy.asker()(method, "c/large") for method in ("GET", "HEAD")]
    assert [answer.status for answer in answers] == [503, 503]


@pytest.mark.parametrize("body", [b"bytes", LARGE])
async def test_one_of_six_away_is_written(nodes, body):
    order = in_order(nodes, "o")
    await order[1].stop()
    assert (await order[0].asker()("PUT", "c/o", body)).status == 201
    assert (await order[3].asker()("GET", "c/o")).body == body
    assert (await order[3].asker()("POST", "c/o", X_Object_Meta_A="1")).status == 202
    assert await held(nodes, "o") == [[(n, True)] if n != 1 else [] for n in range(6)]
    await order[1].start()
    for node in order:
        got = await node.asker()("GET", "c/o")
        assert (got.body, got.headers["x-object-meta-a"]) == (body, "1")
    await order[1].stop()
    assert (await order[0].asker()("DELETE", "c/o")).status == 204
    await order[1].start()
    assert (await order[1].asker()("GET", "c/o")).status == 404
    assert (await order[1].asker()("GET", "c")).body == b""


async def test_a_node_that_dies_while_it_is_read_is_not_noticed(nodes):
    assert (await nodes[0].asker()("PUT", "c/o", LARGE)).status == 201
    order = in_order(nodes, "o")
    reader = await body_of(order[5], "c/o")
    async with contextlib.aclosing(reader):
        got = await anext(reader)
        for node in order[:2]:
            await node.stop()
        async for piece in reader:
            got += piece
    assert got == LARGE


async def test_a_node_that_hangs_is_done_without(nodes):
    assert (await nodes[0].asker()("PUT", "c/o", LARGE)).status == 201
    order = in_order(nodes, "o")
    await order[0].stop()
    host, port = order[0].address.split(":")
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), host, int(port), reuse_port=True)
    writers = []
    async with silent, asyncio.timeout(30):
        proxy = order[3].asker()
        assert (await proxy("GET", "c/o")).body == LARGE
        assert (await proxy("GET", "c/o", Range="bytes=5-9")).body == LARGE[5:10]
        for writer in writers:
            writer.close()


async def body_of(node, name):
    """The body of a GET as the proxy gives it, a piece at a time."""
    proxy = node.asker().proxy
    request = ObjectRequest("GET", f"/v1/{ACCOUNT}/{name}", {}, "", Given(b""))
    request.trusted = True
    return (await proxy.handler(request)).body


@pytest.mark.parametrize("size", [1000, len(LARGE)])
async def test_an_upload_that_breaks_off_leaves_nothing(nodes, size):
    async def broken():
        yield LARGE[: size // 2]
        raise CutOff("The client is gone.")

    proxy = nodes[0].asker().proxy
    request = ObjectRequest("PUT", f"/v1/{ACCOUNT}/c/o", {}, "", Given(broken(), None))
    request.trusted = True
    assert (await proxy.handler(request)).status == 499
    assert await held(nodes, "o") == [[]] * 6
    assert (await nodes[0].asker()("GET", "c/o")).status == 404
    assert (await nodes[0].asker()("GET", "c")).body == b""


async def put_fragments(nodes, name, at, body, code, which, *, durable=False):
    """As a proxy that dies before it has said that they count."""
    chunks = code.encode(body)
    whole = Whole("0" * 32, len(body), code.segment_bytes, code.scheme)
    order = in_order(nodes, name)
    for n in which:
        put = Put(at, whole.headers, size=len(chunks[n]), fragment=n, durable=durable)
        own = order[n].cluster.nodes.own
        await own.put_object(Spot("disk-1", 0, 1), Path(ACCOUNT, "c", name), put, chunks[n])


async def test_what_was_not_committed_does_not_count_and_one_commit_is_enough(nodes):
    asker = nodes[0].asker()
    assert (await asker("PUT", "c/o", b"old")).status == 201
    order, code, at = in_order(nodes, "o"), place_of(nodes, "o").code, stamp()
    await put_fragments(nodes, "o", at, b"new", code, range(5))
    assert [(await node.asker()("GET", "c/o")).body for node in nodes] == [b"old"] * 6
    assert await order[2].cluster.nodes.own.commit_object(Spot("disk-1", 0, 1), Path(ACCOUNT, "c", "o"), at)
    for node in nodes:
        got = await node.asker()("GET", "c/o", X_Newest="true")
        assert (got.status, got.body) == (200, b"new")
    assert (await order[2].asker()("HEAD", "c/o")).headers["etag"] == "0" * 32


async def test_a_newer_version_that_is_too_rare_is_neither_shown_nor_mixed(nodes):
    asker = nodes[0].asker()
    assert (await asker("PUT", "c/o", b"old")).status == 201
    code = place_of(nodes, "o").code
    await put_fragments(nodes, "o", stamp(), b"new", code, range(3))
    assert (await asker("GET", "c/o")).body == b"old"
    await put_fragments(nodes, "o", stamp(), b"newest", code, range(3), durable=True)
    got = await asker("GET", "c/o", X_Newest="true")
    assert (got.status, b"old" in got.body) == (503, False)


async def test_many_write_one_object_and_one_of_them_is_there(nodes):
    bodies = [bytes([n]) * 200_000 for n in range(6)]
    puts = (node.asker()("PUT", "c/o", body) for node, body in zip(nodes, bodies, strict=True))
    assert {answer.status for answer in await asyncio.gather(*puts)} <= {201, 202}
    read = {(await node.asker()("GET", "c/o", X_Newest="true")).body for node in nodes}
    assert len(read) == 1
    assert read <= set(bodies)
