"""Three storage nodes, three replicas, real sockets: what is written is on a quorum, whoever is away."""

import asyncio
import hashlib
import os

import pytest

from maldon.kernel.errors import BadRequest, NotFound, Unavailable
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Busy, Footer, Held, NoSpace, Put, Query, Record, Row, Spot, Superseded, WrongDigest
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.storage import remote
from maldon.objectstore.storage.lines import Lines
from maldon.objectstore.storage.wire import encode, read_answers, revive
from maldon.objectstore.timestamp import stamp
from tests.object_cloud import ACCOUNT
from tests.object_cluster import object_cluster

LARGE = bytes(range(251)) * 8000


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path) as made:
        yield made


def holders(nodes, name):
    """How many of the disks that run hold a live version of an object of the container c."""
    return [_held(node, Path(ACCOUNT, "c", name)) for node in nodes if node.cluster is not None]


def _held(node, path):
    at = Spot("disk-1", node.cluster.rings.object(0).partition(path))
    return node.cluster.nodes.own.head_object(at, path)


async def live(nodes, name):
    return sum(r is not None and not r.deleted for r in await asyncio.gather(*holders(nodes, name)))


async def test_every_proxy_sees_what_one_wrote(nodes):
    one, two, three = (node.asker() for node in nodes)
    assert (await one("PUT", "c", X_Container_Meta_A="1")).status == 201
    assert (await two("PUT", "c/small", b"bytes", X_Object_Meta_B="ü")).status == 201
    assert (await three("PUT", "c/large", LARGE)).headers["etag"] == hashlib.md5(LARGE).hexdigest()
    for asker in (one, two, three):
        got = await asker("GET", "c/small")
        assert (got.status, got.body, got.headers["x-object-meta-b"]) == (200, b"bytes", "ü")
        assert (await asker("GET", "c/large")).body == LARGE
        assert (await asker("GET", "c/large", Range="bytes=2000000-2000003,5-6")).status == 206
        assert (await asker("GET", "c")).body == b"large\nsmall\n"
        assert (await asker("HEAD", "c")).headers["x-container-meta-a"] == "1"
        assert (await asker("GET")).body == b"c\n"
    assert [await live(nodes, name) for name in ("small", "large")] == [3, 3]
    assert (await one("POST", "c/small", X_Object_Meta_C="2")).status == 202
    assert (await two("HEAD", "c/small")).headers["x-object-meta-c"] == "2"
    assert [(await a("DELETE", "c/small")).status for a in (three, one)] == [204, 404]
    assert (await two("DELETE", "c")).status == 409
    assert (await two("DELETE", "c/large")).status == 204
    assert (await one("DELETE", "c")).status == 204


async def test_one_node_away_nobody_notices(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "c")
    await asker("PUT", "c/before", LARGE)
    await nodes[1].stop()
    assert (await asker("PUT", "c/small", b"x")).status == 201
    assert (await asker("PUT", "c/large", LARGE)).status == 201
    assert [(await asker("GET", f"c/{n}")).body for n in ("small", "before", "large")] == [b"x", LARGE, LARGE]
    assert (await asker("GET", "c")).body == b"before\nlarge\nsmall\n"
    assert (await asker("DELETE", "c/before")).status == 204
    await nodes[1].start()
    assert [await live(nodes, name) for name in ("small", "before", "large")] == [2, 1, 2]
    for node in nodes:  # the one that was away still has it, but its tombstone is newer
        assert (await node.asker()("GET", "c/before", X_Newest="true")).status == 404


async def test_without_a_quorum_writes_are_refused_and_reads_go_on(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "c")
    await asker("PUT", "c/o", b"x")
    await nodes[1].stop()
    await nodes[2].stop()
    assert [(await asker("PUT", "c/p", body)).status for body in (b"y", LARGE)] == [503, 503]
    assert (await asker("PUT", "d")).status == 503
    assert (await asker("GET", "c/o")).body == b"x"
    await nodes[1].start()
    await nodes[2].start()
    assert (await nodes[1].asker()("PUT", "c/p", b"y")).status == 201


async def test_x_newest_asks_all(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "c")
    await asker("PUT", "c/o", b"old")
    await nodes[0].stop()
    assert (await nodes[1].asker()("PUT", "c/o", b"new")).status == 201
    await nodes[0].start()
    asker = nodes[0].asker()  # its own disk is asked first, and has the old one
    assert (await asker("GET", "c/o")).body == b"old"
    assert (await asker("GET", "c/o", X_Newest="true")).body == b"new"
    assert (await asker("HEAD", "c/o", X_Newest="true")).headers["etag"] == hashlib.md5(b"new").hexdigest()


async def test_a_disk_that_is_not_mounted_is_507_for_one_and_nothing_for_three(nodes):
    near = nodes[0].cluster.nodes
    with pytest.raises(Exception, match="not mounted"):
        await near.at(nodes[1].address).head_object(Spot("disk-9", 0), Path("a", "c", "o"))


async def test_verbs_over_the_wire_are_those_of_the_disk(nodes):
    """Every verb of node.py, through a socket."""
    far, at, path = nodes[0].cluster.nodes.at(nodes[1].address), Spot("disk-1", 3), Path("a", "c", "o/ü")
    book, account = Path("a", "c"), Path("a")
    one, two, three, four, coded = stamp(), stamp(), stamp(), stamp(), Path("a", "c", "coded")
    assert await far.put_book(at, book, one, {"x-container-meta-a": "1"}, 0) is True
    assert await far.post_book(at, book, two, {"x-container-meta-b": "2"}) is True
    assert await far.update_book(at, book, [Row("o/ü", one, 3, "text/x", "etag")]) is True
    found = await far.head_book(at, book)
    assert (found.path, found.objects, found.size, dict(found.headers)) == (
        book, 1, 3, {"x-container-meta-a": ("1", one), "x-container-meta-b": ("2", two)},
    )  # fmt: skip
    listed = await far.list_json(at, book, Query(prefix="o"))
    assert [(item.name, item.bytes, item.hash) for item in listed.items()] == [("o/ü", 3, "etag")]
    assert await far.list_json(at, account, Query()) is None
    assert await far.read_ranges(at, book) == []

    record = await far.put_object(at, path, Put(one, {"content-type": "text/x"}, size=3), b"abc")
    assert (record.size, record.etag) == (3, hashlib.md5(b"abc").hexdigest())
    with pytest.raises(Superseded) as refused:
        await far.put_object(at, path, Put(one, {}, size=3), b"abc")
    assert refused.value.held == one
    with pytest.raises(WrongDigest):
        await far.put_object(at, path, Put(two, {}, etag="0" * 32, size=3), b"abc")
    reading = await far.read_object(at, path, 1)
    assert b"".join([piece async for piece in reading.body]) == b"bc"
    await reading.body.aclose()
    assert (await far.post_object(at, path, two, {"x-object-meta-a": "1"})).headers == {"content-type": "text/x"}
    assert (await far.head_object(at, path)).headers == {"content-type": "text/x", "x-object-meta-a": "1"}
    assert (await far.delete_object(at, path, three)).size == 3
    ((number, digest),) = (await Survey(nodes[1].cluster.nodes.own.devices["disk-1"]).partitions(0, 4)).items()
    assert await far.compare_partitions(at, 4, {number: digest, (number + 1) % 16: 7}) == [(number + 1) % 16]
    here, other = nodes[0].cluster.secrets.path_hash(path), bytes(16)
    for held, wanted in ((three - 1, []), (three, []), (three + 1, [here])):
        asked = [Held(here, held, held, -1, durable=True, deleted=False, size=3)]
        assert await far.want_objects(at, asked) == wanted
    assert await far.want_objects(at, [Held(other, 1, 1, -1, durable=True, deleted=True, size=0)]) == [other]
    gone = await far.read_object(at, path)
    assert (gone.record.deleted, [piece async for piece in gone.body]) == (True, [])
    assert await far.read_object(at, Path("a", "c", "none")) is None

    await far.put_object(at, coded, Put(four, {"a": "1"}, size=5, fragment=2, durable=False), b"parts")
    (held,) = await far.read_versions(at, coded)
    assert (held.timestamp, held.fragment, held.durable, held.headers) == (four, 2, False, {"a": "1"})
    assert await far.read_object(at, coded) is None
    reading = await far.read_object(at, coded, 1, 3, (2, four))
    assert b"".join([piece async for piece in reading.body]) == b"ar"
    await reading.body.aclose()
    assert await far.read_object(at, coded, 0, None, (3, four)) is None
    assert [await far.commit_object(at, coded, when) for when in (three, four)] == [False, True]
    there = nodes[0].cluster.secrets.path_hash(coded)
    asked = [Held(there, four, four, 1, durable=True, deleted=False, size=5)]
    assert [await far.want_objects(at, asked, number) for number in (None, 1, 2)] == [[], [there], []]
    assert (await far.delete_book(at, account, three)) is None


async def test_an_upload_that_breaks_off_leaves_nothing(nodes):
    far, at, path = nodes[0].cluster.nodes.at(nodes[1].address), Spot("disk-1", 3), Path("a", "c", "o")

    async def broken():
        yield LARGE
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        await far.put_object(at, path, Put(stamp(), {}), broken())
    assert await far.head_object(at, path) is None


@pytest.mark.parametrize("size", [3, 900_000])
async def test_metadata_that_are_known_at_the_end_are_written_with_the_bytes(nodes, size):
    far, at, path = nodes[0].cluster.nodes.at(nodes[1].address), Spot("disk-1", 3), Path("a", "c", "o")
    whole = os.urandom(size)

    async def pieces(*end):
        for start in range(0, size, 70_001):
            yield whole[start : start + 70_001]
        yield b""
        for piece in end:
            yield piece

    put = Put(stamp(), {"content-type": "text/x", "x-object-sysmeta-a": "before"}, footed=True)
    with pytest.raises(BadRequest, match="before its footer"):
        await far.put_object(at, path, put, pieces())
    assert await far.head_object(at, path) is None
    footer = Footer({"x-object-sysmeta-a": "after", "x-object-sysmeta-b": "ü" * 50_000})
    made = await far.put_object(at, path, put, pieces(footer))
    assert (made.size, made.etag) == (size, hashlib.md5(whole).hexdigest())
    assert made.headers == {"content-type": "text/x", **footer.headers}
    reading = await far.read_object(at, path)
    assert (reading.record, b"".join([piece async for piece in reading.body])) == (made, whole)
    await reading.body.aclose()


async def test_small_writes_at_once_go_to_a_node_together_and_each_has_its_own_answer(nodes, monkeypatch):
    sent = []

    async def post(lines, path, body):
        sent.append(path)
        return await plain(lines, path, body)

    plain = Lines.post
    monkeypatch.setattr(Lines, "post", post)
    spot, far = Spot("disk-1", 1), nodes[0].cluster.nodes.at(nodes[1].address)
    paths = [Path(ACCOUNT, "c", f"{n}") for n in range(40)]
    told = await asyncio.gather(
        *(far.put_object(spot, p, Put(1000, {}, "", 1), b"%d" % (n % 10)) for n, p in enumerate(paths))
    )
    assert [one.etag for one in told] == [hashlib.md5(b"%d" % (n % 10)).hexdigest() for n in range(40)]
    assert set(sent) == {"/v1/many"}
    assert len(sent) < 20
    monkeypatch.setattr(remote, "TOGETHER", 1000)
    assert await asyncio.gather(*(far.delete_object(spot, path, 1500) for path in paths[20:])) == told[20:]
    outcomes = await asyncio.gather(
        far.put_object(spot, paths[0], Put(900, {}), b"old"),
        far.put_object(spot, Path(ACCOUNT, "c", "bad"), Put(2000, {}, "0" * 32), b"bytes"),
        far.put_object(Spot("disk-9", 1), Path(ACCOUNT, "c", "lost"), Put(2000, {}), b"bytes"),
        far.delete_object(spot, paths[1], 2000),
        far.delete_object(spot, paths[2], 500),
        far.put_object(spot, Path(ACCOUNT, "c", "good"), Put(2000, {}), b"bytes"),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [Superseded, WrongDigest, NoSpace, Record, Superseded, Record]
    await nodes[1].stop()
    outcomes = await asyncio.gather(*(far.delete_object(spot, path, 3000) for path in paths), return_exceptions=True)
    assert {type(one) for one in outcomes} == {Unavailable}


async def test_whoever_gives_up_takes_no_other_write_along(nodes):
    spot, far = Spot("disk-1", 1), nodes[0].cluster.nodes.at(nodes[1].address)
    writes = [
        asyncio.ensure_future(far.put_object(spot, Path(ACCOUNT, "c", f"{n}"), Put(1000, {}), b"x")) for n in range(20)
    ]
    await asyncio.sleep(0.002)
    for one in writes[::3]:
        one.cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    for n, one in enumerate(outcomes):
        # Who was first may have been heard: then the others find what they wrote, and the proxy knows it as theirs.
        assert isinstance(one, Record) or (isinstance(one, Superseded) and one.held == 1000) or n % 3 == 0
        if n % 3:
            assert (await far.head_object(spot, Path(ACCOUNT, "c", f"{n}"))).etag == hashlib.md5(b"x").hexdigest()


async def test_strangers_are_refused(nodes):
    import aiohttp

    url = f"http://{nodes[0].address}/v1/head_object"
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"x-maldon-cluster-key": "guess"}):
            async with session.post(url, data=b"\0\0\0\0", headers=headers) as answer:
                assert answer.status == 403
        key = {"x-maldon-cluster-key": nodes[0].cluster.secrets.cluster_key}
        for verb, body, status in (
            ("head_object", b"\0\0\0\0", 400), ("head_object", b"\xff\xff\xff\xffx", 400), ("close", b"", 404),
            ("head_object", b"\0\0\0\x01\x90", 400), ("head_object", b"\0\0", 400),
            ("many", b"", 400), ("many", b"\xff", 400), ("many", encode([("head_object", b"")]), 400),
        ):  # fmt: skip
            async with session.post(f"http://{nodes[0].address}/v1/{verb}", data=body, headers=key) as answer:
                assert answer.status == status, (verb, body)
        calls = encode(
            [("close", b"", b""), ("read_object", b"\x90", b""), ("many", b"", b""), ("head_object", b"\x90", b"")]
        )
        async with session.post(f"http://{nodes[0].address}/v1/many", data=calls, headers=key) as answer:
            refused = [revive(data, status) for status, data in read_answers(await answer.read())]
        assert [type(one) for one in refused] == [NotFound, NotFound, NotFound, BadRequest]


async def test_a_busy_disk_is_passed_by_and_thought_no_worse_of(tmp_path):
    async with object_cluster(tmp_path, requests_per_disk_s=0.001, error_limit=0) as nodes:
        far, at = nodes[0].cluster.nodes.at(nodes[1].address), Spot("disk-1", 3)
        said = []
        for _ in range(2):
            try:
                said.append(await far.head_object(at, Path("a", "c", "o")))
            except Busy as error:
                said.append(error.status)
        assert said == [None, 529]
        patience = Placing(nodes[0].cluster.rings, nodes[0].cluster.nodes, nodes[0].cluster.settings).patience
        device = nodes[0].cluster.rings.container().nodes(0)[0]
        for error, rests in ((Busy(""), False), (OSError(), True)):
            patience.failed(device, error)
            assert patience.resting(device) is rests
