"""Brings versions of objects from one disk to another, as they are: bytes, fragments, tombstones, the metadata of a
later POST.

The other disk is asked first what of a page it lacks or has older, and is given that; what it has newer by then it
refuses, which is as good. No container is told: it was when the object was written. So many are under way at once, at
the rate of the disk that they come from, each with an end to its time. A record that cannot be read or is not taken is
left for the next round; a disk that does not answer, has no room, or fails again and again, for this round.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import apsw
import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.daemons.audit_objects import Pace
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.large import LargeBody
from maldon.objectstore.device.record import Damaged
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import WHOLE, Held, NoSpace, ObjectNode, Put, Reading, Record, Spot, Superseded
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Nodes, Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.ring import Ring

log = structlog.get_logger()
AT_ONCE = 8
MOST_ERRORS = 5
ASK_S = 120.0  # the first digests of a large disk take their time
PUSH_S, SLOWEST = 30.0, 200_000  # of one object: seconds, and bytes in a second
DIGESTS = 100_000  # in one question


@dataclass(frozen=True, slots=True)
class Share:
    """What one disk of this node holds under one storage policy; `digests` by partition."""

    name: str
    device: Device
    survey: Survey
    pace: Pace
    policy: int
    ring: Ring
    digests: Mapping[int, int]


class Pusher:
    """The pushes of one round."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes, self.room = nodes, asyncio.Semaphore(AT_ONCE)
        self._errors: Counter[tuple[str, str]] = Counter()
        self.pushed = 0

    def silent(self, other: RingDevice) -> bool:
        """Whether a disk is left alone for this round."""
        return self._errors[other.address, other.device] >= MOST_ERRORS

    async def differing(self, share: Share, other: RingDevice, numbers: Sequence[int]) -> list[int]:
        """Which of these partitions are not the same on another disk."""
        found: list[int] = []
        for first in range(0, len(numbers), DIGESTS):
            digests = {number: share.digests[number] for number in numbers[first : first + DIGESTS]}
            try:
                async with asyncio.timeout(ASK_S):
                    spot = Spot(other.device, 0, share.policy)
                    found += await self._at(other).compare_partitions(spot, share.ring.power, digests)
            except BROKEN as error:
                self.failed(other, error, MOST_ERRORS)
                return []
        return found

    async def bring(
        self, share: Share, other: RingDevice, number: int, held: Sequence[Held], fragment: int | None = None
    ) -> set[bytes]:
        """Have a disk take what it lacks or has older of a partition, of its `fragment` if these are fragments; the
        hashes of what it still lacks.
        """
        missing = await self.missing(share, other, number, held, fragment)
        if missing is None:
            return {one.hash for one in held}
        spot = Spot(other.device, number, share.policy)
        taken = await asyncio.gather(*(self._push(share, other, spot, one) for one in missing))
        return {one.hash for one, ok in zip(missing, taken, strict=True) if not ok}

    async def missing(
        self, share: Share, other: RingDevice, number: int, held: Sequence[Held], fragment: int | None = None
    ) -> list[Held] | None:
        """What a disk lacks; None when it does not say."""
        if self.silent(other):
            return None
        spot = Spot(other.device, number, share.policy)
        try:
            async with asyncio.timeout(ASK_S):
                wanted = set(await self._at(other).want_objects(spot, held, fragment))
        except BROKEN as error:
            self.failed(other, error, MOST_ERRORS)
            return None
        return [one for one in held if one.hash in wanted]

    async def _push(self, share: Share, other: RingDevice, spot: Spot, one: Held) -> bool:
        async with self.room:
            if self.silent(other):
                return False
            try:
                found = await share.device.fetch(share.policy, one.hash, one.fragment, one.timestamp)
                return found is not None and await self._give(share, other, spot, *found)
            except (Damaged, CloudError, OSError) as error:
                log.warning("an object is not replicated", device=share.name, hash=one.hash.hex(), error=repr(error))
                return False

    async def _give(self, share: Share, other: RingDevice, spot: Spot, path: Path, reading: Reading) -> bool:
        try:
            await share.pace.took(reading.record.size)
            async with asyncio.timeout(PUSH_S + reading.record.size / SLOWEST):
                await _write(self._at(other), spot, path, reading)
        except Superseded:
            return True
        except BROKEN as error:
            self.failed(other, error, MOST_ERRORS if isinstance(error, NoSpace) else 1)
            return False
        finally:
            if isinstance(reading.body, LargeBody):
                await reading.body.aclose()
        self.took(other)
        return True

    def took(self, other: RingDevice) -> None:
        """A disk has taken a version."""
        self._errors.pop((other.address, other.device), None)
        self.pushed += 1

    def _at(self, other: RingDevice) -> ObjectNode:
        return self._nodes.at(other.address)

    def failed(self, other: RingDevice, error: BaseException, count: int = 1) -> None:
        """A disk has not done what it was asked for; how much that counts."""
        self._errors[other.address, other.device] += count
        log.warning("a disk takes no replicas", address=other.address, device=other.device, error=repr(error))


async def _write(node: ObjectNode, spot: Spot, path: Path, reading: Reading) -> None:
    record = reading.record
    if record.deleted:
        await node.delete_object(spot, path, record.timestamp)
        return
    coded = record.fragment != WHOLE
    if coded:
        await node.commit_object(spot, path, record.timestamp)  # it may have it, and not know that it counts
    if (coded or not isinstance(reading.body, bytes)) and await reposted(node, spot, path, record):
        return
    put = Put(record.timestamp, record.headers, record.etag, record.size, record.fragment, posted_at=record.posted_at)
    await node.put_object(spot, path, put, reading.body)


async def reposted(node: ObjectNode, spot: Spot, path: Path, record: Record) -> bool:
    """Have a disk that has these bytes take the metadata alone; whether it did. It does not for what it lets expire."""
    held = await _there(node, spot, path, record)
    if held is None:
        return False
    if held.posted_at < record.posted_at:
        await node.post_object(spot, path, record.posted_at, record.headers)
        held = await _there(node, spot, path, record)
    return held is not None and held.posted_at >= record.posted_at


async def _there(node: ObjectNode, spot: Spot, path: Path, record: Record) -> Record | None:
    """What a disk holds of this version, if it counts there."""
    for one in await node.read_versions(spot, path):
        if one.durable and (one.timestamp, one.fragment, one.deleted) == (record.timestamp, record.fragment, False):
            return one
    return None


async def shares(
    disks: Mapping[str, tuple[Device, Survey]], placing: Placing, wanted: Callable[[int], bool]
) -> AsyncIterator[Share]:
    """What each disk holds under the storage policies that are wanted and have more than one disk."""
    for name, (device, survey) in disks.items():
        pace = Pace(device.settings.replicate_bytes_per_s)
        try:
            for number in await survey.policies():
                if wanted(number) and len((ring := placing.objects(number)).devices) > 1:
                    digests = await survey.partitions(number, ring.power)
                    yield Share(name, device, survey, pace, number, ring, digests)
        except (*BROKEN, apsw.Error) as error:
            log.warning("a disk is not replicated", device=name, error=repr(error))


async def pages(share: Share, number: int, size: int) -> AsyncIterator[list[Held]]:
    """The durable versions in a partition, tombstones too."""
    after = b""
    while True:
        held = await share.survey.held(share.policy, share.ring.power, number, after, size)
        durable = [one for one in held if one.durable]
        if durable:
            yield durable
        if len(held) < size:
            return
        after = held[-1].hash
