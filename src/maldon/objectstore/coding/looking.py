"""Asks the disks what they hold of an object in fragments, until enough is known of the version to be read.

All primaries are asked at once. It is enough when so many have answered that at least one of them heard of everything
that was ever acknowledged, and that the newest they know has fragments enough to be read. Handoffs are asked when the
primaries leave that open.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog

from maldon.kernel.errors import Unavailable
from maldon.objectstore.coding.code import Code
from maldon.objectstore.coding.versions import Seen, Version, current, versions
from maldon.objectstore.node import Record
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN, SHORT
from maldon.objectstore.ring.device import RingDevice

log = structlog.get_logger("object.coding")
ANSWER_S = 5.0


async def look(placing: Placing, place: Place, path: Path, *, newest: bool = False) -> Version | None:
    """The version to be read, or the tombstone; None when there is nothing. `newest`: as every primary knows it. Raises
    Unavailable when too few can be asked to say, or too few fragments can be had.
    """
    code = _code_of(place)
    enough = len(place.primaries) if newest else max(code.needed, code.fragments - code.quorum + 1)
    seen: list[Seen] = []
    answered = 0
    asking = _ask(placing, place, path, placing.awake(place.primaries) or place.primaries)
    async with aclosing(asking):
        async for found in asking:
            seen += found
            answered += 1
            if answered >= enough and _readable(code, version := current(seen)):
                return version
    handoffs = list(placing.handoffs(place))
    async for found in _ask(placing, place, path, handoffs):
        seen += found
    version = current(seen)
    if version is None and answered < code.fragments - code.quorum + 1:
        raise Unavailable(SHORT, internal=f"{path}: {answered} of {code.fragments} disks could be asked")
    if version is not None and not _readable(code, version):
        have = sorted(version.holders)
        raise Unavailable(SHORT, internal=f"{path}: of {version.timestamp} there are only the fragments {have}")
    return version


async def holders(placing: Placing, place: Place, path: Path, timestamp: int) -> dict[int, list[RingDevice]]:
    """Every disk that says it has a fragment of a version, primaries and handoffs."""
    everybody = placing.awake([*place.primaries, *placing.handoffs(place)])
    seen = [one async for found in _ask(placing, place, path, everybody) for one in found]
    same = [version for version in versions(seen) if version.timestamp == timestamp and not version.deleted]
    return same[0].holders if same else {}


def _code_of(place: Place) -> Code:
    assert place.code is not None
    return place.code


def _readable(code: Code, version: Version | None) -> bool:
    return version is not None and (version.deleted or len(version.holders) >= code.needed)


async def _ask(
    placing: Placing, place: Place, path: Path, devices: Sequence[RingDevice]
) -> AsyncGenerator[list[Seen], None]:
    """What each of them holds, as the answers come; of one that does not answer nothing comes."""
    tasks = [asyncio.create_task(_one(placing, place, path, device), name="look") for device in devices]
    try:
        for answer in asyncio.as_completed(tasks):
            found = await answer
            if found is not None:
                yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one(placing: Placing, place: Place, path: Path, device: RingDevice) -> list[Seen] | None:
    try:
        async with asyncio.timeout(ANSWER_S):
            records: list[Record] = await placing.nodes.at(device.address).read_versions(place.spot(device), path)
    except BROKEN as error:
        placing.patience.failed(device, error)
        log.warning("node failed", address=device.address, device=device.device, error=repr(error))
        return None
    placing.patience.worked(device)
    return [Seen(device, record) for record in records]
