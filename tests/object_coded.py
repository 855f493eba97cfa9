"""An object store in this process that keeps objects in fragments of an erasure code, each on a disk of one node."""

import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from maldon.objectstore.coding.code import read_code
from maldon.objectstore.ring.builder import Plan, rebalance
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import write
from tests.object_cloud import Asker, object_store

CODE = "isa_l_rs_vand/4+2/8192"


@contextlib.asynccontextmanager
async def coded_store(home: Path, *options: Any, code: str = CODE, **settings: Any) -> AsyncIterator[Asker]:
    """With a disk for each fragment. Small segments: an object of some bytes has many."""
    names, policies = write_rings(home, code), ("0:whole", f"1:coded:ec={code}")
    async with object_store(
        home, *options, devices=names, policies=policies, default_policy="coded", **settings
    ) as store:
        yield store


def write_rings(home: Path, code: str = CODE) -> tuple[str, ...]:
    """The rings of one node, whose storage policy 1 has a code; the names of its disks."""
    count = read_code(code).fragments
    names = tuple(f"disk-{n}" for n in range(1, count + 1))
    devices = tuple(RingDevice(n, 1, n, "", name, 1.0) for n, name in enumerate(names))
    for name, replicas in (("account", 1), ("container", 1), ("object", 1), ("object-1", count)):
        plan = rebalance(Plan(4, replicas, devices=devices), 1, random.Random(1)).plan
        write(home / "rings" / f"{name}.ring", plan)
    return names
