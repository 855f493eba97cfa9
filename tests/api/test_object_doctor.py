"""What `maldon doctor` and `maldon status` say of the object store of a home."""

import json
import os
import random

import psutil

from maldon.objectstore.node import Put, Spot, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.ring.builder import Plan, rebalance
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import write
from maldon.objectstore.service import ObjectSettings, disks, open_cluster
from maldon.objectstore.timestamp import TICKS, stamp
from maldon.runtime import object_state
from maldon.runtime.home import Home
from maldon.runtime.status import processes, table
from tests.object_cloud import ACCOUNT

HERE = "127.0.0.1:6200"


def write_ring(home, *devices):
    plan = rebalance(Plan(4, 1, devices=devices), 1, random.Random(1)).plan
    for name in ("account", "container", "object"):
        write(home / "rings" / f"{name}.ring", plan)


async def test_a_sound_store_has_no_findings(tmp_path):
    assert list(object_state.findings(Home(tmp_path))) == []  # none was ever started
    async with disks(open_cluster(tmp_path, ObjectSettings())):
        assert list(object_state.findings(Home(tmp_path))) == []
    assert list(object_state.findings(Home(tmp_path))) == []


async def test_an_old_debt_a_quarantine_and_an_absent_disk_are_named(tmp_path):
    home = Home(tmp_path)
    async with disks(cluster := open_cluster(tmp_path, ObjectSettings())):
        device = cluster.nodes.own.devices["disk-1"]
        old = stamp() - 2 * 3600 * TICKS
        await device.put(0, Path(ACCOUNT, "c", "o"), Put(old, {}), b"x", [Teaching("127.0.0.1:1", Spot("d", 0))])
        await device.put(0, Path(ACCOUNT, "c", "p"), Put(stamp(), {}), b"x")
        [row] = device.index.find(0, device.hash_path(Path(ACCOUNT, "c", "p")))
        await device.set_aside(row)
    said = list(object_state.findings(home))
    assert len(said) == 2
    assert "disk disk-1 has 1 objects that containers were not told of, the first for 2.0 h" in said[0]
    assert "1 objects lie in quarantine on disk-1" in said[1]
    (tmp_path / "maldon.toml").write_text('[object]\ndevices = ["disk-1", "disk-2"]\n')
    (tmp_path / "objects" / "disk-2").mkdir()
    assert any("disk disk-2 is absent" in line for line in object_state.findings(home))


async def test_rings_that_say_what_is_not_so_are_named(tmp_path):
    home = Home(tmp_path)
    async with disks(open_cluster(tmp_path, ObjectSettings())):
        pass
    write_ring(tmp_path, RingDevice(0, 1, 1, HERE, "disk-1", 1.0), RingDevice(1, 1, 1, HERE, "disk-9", 1.0))
    assert any("[object] address is empty" in line for line in object_state.findings(home))
    (tmp_path / "maldon.toml").write_text(f'[object]\naddress = "{HERE}"\n')
    said = list(object_state.findings(home))
    assert any(f"the rings give disk-9 of {HERE} something to keep, and it is absent" in line for line in said)


def test_only_what_is_safe_is_put_right(tmp_path):
    home = Home(tmp_path)
    secrets = tmp_path / "objects" / "cluster.json"
    open_cluster(tmp_path, ObjectSettings())
    secrets.chmod(0o644)
    (tmp_path / "rings").mkdir()
    gone = max(psutil.pids()) + 100_000
    left, busy = tmp_path / "rings" / f".object.ring.{gone}", tmp_path / "rings" / f".object.ring.{os.getpid()}"
    for file in (left, busy, tmp_path / "rings" / "object.lock"):
        file.touch()
    assert ["--fix" in line for line in object_state.fixable(home)] == [True]
    assert len(list(object_state.fixes(home))) == 2
    assert (secrets.stat().st_mode & 0o777, left.exists(), busy.exists()) == (0o600, False, True)
    assert (list(object_state.fixes(home)), list(object_state.fixable(home))) == ([], [])


async def test_status_shows_the_disks(tmp_path):
    async with disks(open_cluster(tmp_path, ObjectSettings())):
        pass
    begun = psutil.Process().create_time()
    run = {"pid": os.getpid(), "begun": begun, "port": 1, "url": "http://127.0.0.1:1", "roles": ["object-storage"]}
    Home(tmp_path).write_json("run.json", run)
    [row] = processes(Home(tmp_path))
    assert json.loads(json.dumps(row))["disks"]["disk-1"]["state"] == "ok"
    assert "  disk-1           ok, " in table([row])
    row["disks"]["disk-1"] |= {"state": "full", "said": "only the reserve is free"}
    assert "  disk-1           full: only the reserve is free" in table([row])
