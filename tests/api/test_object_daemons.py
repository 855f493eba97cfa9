"""What a node does by itself: debts are paid, objects expire, damage is found, room comes back."""

import asyncio
import contextlib
import json
import shutil
import time
from collections import Counter

import pytest

from maldon.kernel.settings import BadSetting
from maldon.objectstore.daemons.audit_objects import AuditObjects, Pace
from maldon.objectstore.daemons.compact_disks import CompactDisks
from maldon.objectstore.daemons.expire_objects import ExpireObjects
from maldon.objectstore.daemons.pay_debts import PayDebts
from maldon.objectstore.device.quarantine import listed
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Put, Spot, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.service import ObjectSettings, disks, open_cluster, proxy_app
from maldon.objectstore.storage import teachers
from maldon.objectstore.timestamp import TICKS, stamp
from tests.harness import NamedTokens
from tests.object_cloud import ACCOUNT, OTHERS, Asker


@contextlib.asynccontextmanager
async def node(home, **settings):
    """A node that tends nothing by itself: a client, its disks, where things are."""
    cluster = open_cluster(home, ObjectSettings(), {DeviceSettings: DeviceSettings(reserve_percent=0, **settings)})
    async with disks(cluster):
        devices = cluster.nodes.at(cluster.nodes.here).devices
        yield Asker(proxy_app(cluster, NamedTokens())), devices, Placing(cluster.rings, cluster.nodes, cluster.settings)


async def names(client):
    answer = await client("GET", "box", query="format=json")
    return {one["name"]: one["bytes"] for one in json.loads(answer.body)}


async def test_a_container_hears_later_of_what_it_could_not_be_told(tmp_path):
    async with node(tmp_path) as (client, devices, placing):
        assert (await client("PUT", "box")).status == 201
        path = Path(ACCOUNT, "box", "o")
        for name, teach in (
            ("told", placing.teachings(path, placing.object(path, 0))[0]),
            ("moved", [Teaching("a node that is gone", Spot("disk-9", 1))]),
        ):
            put = Put(stamp(), {"content-type": "text/plain"})
            await devices["disk-1"].put(0, Path(ACCOUNT, "box", name), put, b"data", teach)
        assert await names(client) == {}
        assert await PayDebts(devices, placing).once() == 0  # they are young: whoever wrote may still be telling
    async with node(tmp_path) as (client, devices, placing):
        payer = PayDebts(devices, placing)
        assert await payer.once() == 2
        assert await names(client) == {"told": 4, "moved": 4}
        assert await payer.once() == 0
        assert (await client("GET", "box/told")).body == b"data"


@contextlib.asynccontextmanager
async def store(home, **settings):
    """The same node: a client, and what its disk says of the box itself, whatever is still waiting."""
    cluster = open_cluster(home, ObjectSettings(**settings), {DeviceSettings: DeviceSettings(reserve_percent=0)})
    async with disks(cluster):
        place = Placing(cluster.rings, cluster.nodes, cluster.settings).book(Path(ACCOUNT, "box"))
        spot, books = place.spot(place.primaries[0]), cluster.nodes.own.books

        async def known():
            book = await books.head_book(spot, Path(ACCOUNT, "box"))
            return book.objects

        yield Asker(proxy_app(cluster, NamedTokens())), known, books.shelf(spot)


async def test_rows_wait_for_each_other_and_nobody_who_asks_sees_that(tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "WAIT_S", 60.0)
    async with store(tmp_path) as (client, known, shelf):
        assert (await client("PUT", "box")).status == 201
        commits = Counter()
        assert await known() == 0
        (book,) = (book for key, book in shelf._open.items() if key[1].container)
        book._db.set_commit_hook(lambda: commits.update(["commit"]) or False)
        for n in range(20):
            assert (await client("PUT", f"box/{n}", b"x")).status == 201
        assert await known() == 0
        assert (await client("DELETE", "box/0")).status == 204
        assert set(await names(client)) == {str(n) for n in range(1, 20)}
        assert commits["commit"] == 1
        await client("POST", "box/1", X_Object_Meta_A="1")
        assert (await client("DELETE", "box")).status == 409
        assert (await client("HEAD", "box")).headers["x-container-object-count"] == "19"


async def test_rows_wait_for_a_moment_only_and_only_so_many(tmp_path, monkeypatch):
    async with store(tmp_path / "a") as (client, known, _):
        await client("PUT", "box")
        await client("PUT", "box/1", b"x")
        async with asyncio.timeout(10):
            while await known() != 1:
                await asyncio.sleep(0.01)
    monkeypatch.setattr(teachers, "WAIT_S", 60.0)
    monkeypatch.setattr(teachers, "MOST_ROWS", 3)
    async with store(tmp_path / "b") as (client, known, _):
        await client("PUT", "box")
        for n, there in enumerate((0, 0, 3, 3, 3, 6)):
            await client("PUT", f"box/{n}", b"x")
            assert await known() == there


async def test_where_other_processes_read_the_same_disks_nothing_waits(tmp_path):
    async with store(tmp_path, workers=2) as (client, known, _):
        await client("PUT", "box")
        for n in range(3):
            await client("PUT", f"box/{n}", b"x")
            assert await known() == n + 1


async def test_rows_that_waited_when_the_power_went_are_told_again(tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "WAIT_S", 60.0)
    async with node(tmp_path / "a") as (client, *_):
        await client("PUT", "box")
        await client("PUT", "box/early", b"12")
        assert await names(client) == {"early": 2}  # so this is no debt any more
        await client("PUT", "box/late", b"1234")
        await client("DELETE", "box/early")
        shutil.copytree(tmp_path / "a", tmp_path / "b")  # as it was when the machine died
    async with node(tmp_path / "b") as (client, devices, placing):
        assert await names(client) == {"early": 2}
        assert await PayDebts(devices, placing).once() == 2
        assert await names(client) == {"late": 4}


async def test_a_debt_to_a_container_that_is_not_there_stays_until_its_time(tmp_path):
    async with node(tmp_path) as (_, devices, placing):
        path = Path(ACCOUNT, "never made", "o")
        await devices["disk-1"].put(
            0, path, Put(stamp(), {}), b"data", placing.teachings(path, placing.object(path, 0))[0]
        )
    async with node(tmp_path) as (_, devices, placing):
        assert await PayDebts(devices, placing).once() == 0
        assert len((await Survey(devices["disk-1"]).debts())[0]) == 1
    async with node(tmp_path, reclaim_age_s=0) as (_, devices, placing):
        assert await PayDebts(devices, placing).once() == 1
        assert await Survey(devices["disk-1"]).debts() == ([], None)


async def test_objects_end_when_they_said(tmp_path):
    async with node(tmp_path) as (client, devices, placing):
        await client("PUT", "box")
        for name in ("ends", "given more time", "stays"):
            later = {} if name == "stays" else {"X-Delete-After": "100"}
            assert (await client("PUT", f"box/{name}", b"data", **later)).status == 201
        await client("POST", "box/given more time", X_Delete_After="1000")
        assert await ExpireObjects(devices, placing).once() == 0
        expirer = ExpireObjects(devices, placing, lambda: time.time() + 200)
        assert await expirer.once() == 1
        assert await expirer.once() == 0
        assert await names(client) == {"given more time": 4, "stays": 4}
        assert (await client("GET", "box/ends")).status == 404


async def test_what_has_ended_may_stay_a_while(tmp_path):
    delays = (f"{ACCOUNT}:50", f"{ACCOUNT}/slow:500", "*:5000")
    async with node(tmp_path) as (client, devices, placing):
        others = client.as_("other", OTHERS)
        for asker, box in ((client, "box"), (client, "slow"), (others, "box")):
            await asker("PUT", box)
            await asker("PUT", f"{box}/o", b"data", X_Delete_After="100")
        for seconds, count in ((120, 0), (200, 1), (550, 0), (650, 1), (5000, 0), (5200, 1)):
            at = time.time() + seconds
            assert (seconds, await ExpireObjects(devices, placing, lambda at=at: at, delays).once()) == (seconds, count)


@pytest.mark.parametrize("text", ["", "account", ":5", "account:-5", "account:soon"])
def test_a_delay_is_seconds_of_somebody(text):
    with pytest.raises(BadSetting, match="delay_reaping"):
        ExpireObjects({}, None, delays=(text,))


async def test_what_has_ended_may_be_written_again(tmp_path):
    """The tombstone is of the end, not of when somebody saw to it."""
    async with node(tmp_path) as (client, devices, placing):
        await client("PUT", "box")
        path, ended = Path(ACCOUNT, "box", "o"), int(time.time()) - 5
        put = Put(stamp() - 1000 * TICKS, {"x-delete-at": str(ended)})
        await devices["disk-1"].put(0, path, put, b"data")
        assert await ExpireObjects(devices, placing).once() == 1
        assert (await devices["disk-1"].head(0, path)).timestamp == ended * TICKS
        assert (await client("PUT", "box/o", b"again")).status == 201
        assert (await client("GET", "box/o")).body == b"again"


@pytest.mark.parametrize("size", [1000, 1_500_000])
async def test_damage_is_found_before_anybody_asks(tmp_path, size):
    async with node(tmp_path) as (client, devices, _):
        await client("PUT", "box")
        for number in range(5):
            assert (await client("PUT", f"box/o{number}", bytes([number]) * size)).status == 201
        auditor = AuditObjects(devices)
        assert await auditor.once() == 0
        folder = tmp_path / "objects" / "disk-1" / ("segments" if size < 200_000 else "large")
        (file,) = [one for one in folder.rglob("*") if one.is_file() and b"\x03" * (size // 2) in one.read_bytes()]
        at = file.read_bytes().index(b"\x03" * (size // 2))
        with file.open("r+b") as opened:
            opened.seek(at + size // 3)
            opened.write(b"\xff")
        assert await auditor.once() == 1
        assert len({one.hash for one in listed(devices["disk-1"].root)}) == 1
        assert [(await client("GET", f"box/o{number}")).status for number in range(5)] == [200, 200, 200, 404, 200]
        assert await auditor.once() == 0


async def test_room_comes_back(tmp_path):
    async with node(tmp_path, segment_bytes=50_000) as (client, devices, _):
        await client("PUT", "box")
        for number in range(30):
            await client("PUT", "box/o", bytes([number]) * 5000)
        tender = CompactDisks(devices)
        assert await tender.take_in() == 0
        assert await tender.once() >= 2
        assert (await client("GET", "box/o")).body == bytes([29]) * 5000


async def test_an_audit_keeps_its_pace():
    at = [100.0]
    pace = Pace(1_000_000, lambda: at[0])
    await pace.took(10_000)
    at[0] += 1.0
    begun = time.monotonic()
    await pace.took(1_190_000)  # 1.2 s worth of bytes after 1 s
    assert time.monotonic() - begun >= 0.19
