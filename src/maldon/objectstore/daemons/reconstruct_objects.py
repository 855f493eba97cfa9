"""Has every disk of an erasure code's ring hold its own fragment of every object, and no other.

First what is held for others goes home: a handoff's fragments, and those that a changed ring has left behind, are given
to the disk whose they are and forgotten here once that has them; tombstones go to all disks of their partition.

Then each disk looks after the next one: the holder of the following fragment of a partition or, where that does not
answer, the one after it. So every disk that can be asked is looked after by exactly one. It is asked which of the
partitions have another digest than here, and of those what it lacks; that is rebuilt for it (`mend_objects`). What the
one who looks after it lacks itself comes round with the next rounds.

Digests say nothing of which fragment it is, so once in a while `all` partitions are looked through.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import apsw
import structlog

from maldon.objectstore.daemons.mend_objects import Lack, Mender
from maldon.objectstore.daemons.push_objects import Pusher, Share, pages, shares
from maldon.objectstore.daemons.replicate_objects import SETTLED_S
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Held
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.timestamp import TICKS, stamp

log = structlog.get_logger()
PAGE = 1000


class ReconstructObjects:
    """A loop over the disks of a node."""

    def __init__(self, devices: Mapping[str, Device], placing: Placing, now: Callable[[], int] = stamp) -> None:
        self._disks = {name: (device, Survey(device)) for name, device in devices.items()}
        self._placing, self._now = placing, now

    async def once(self) -> int:
        """One round; how many versions other disks took."""
        return await self._round(thorough=False)

    async def all(self) -> int:
        """The same, and partitions with equal digests too."""
        return await self._round(thorough=True)

    async def _round(self, *, thorough: bool) -> int:
        pusher = Pusher(self._placing.nodes)
        async for share in shares(self._disks, self._placing, lambda policy: self._placing.code(policy) is not None):
            try:
                await _Round(self._placing, pusher, share, self._now() - SETTLED_S * TICKS).run(thorough=thorough)
            except (*BROKEN, apsw.Error) as error:
                log.warning("a disk is not replicated", device=share.name, error=repr(error))
        return pusher.pushed


class _Round:
    """One round of one disk and policy."""

    def __init__(self, placing: Placing, pusher: Pusher, share: Share, before: int) -> None:
        self._pusher, self._share, self._before = pusher, share, before
        self._mender, self._here = Mender(placing, pusher), (placing.nodes.here, share.name)

    async def run(self, *, thorough: bool) -> None:
        waiting = []
        for number in self._share.digests:
            homes = self._share.ring.nodes(number)
            own = self._own(homes)
            if own is None or thorough:
                await self._send_home(number, homes, own)
            if own is not None:
                waiting.append((number, own))
        await self._look_after(waiting, thorough=thorough)

    def _own(self, homes: Sequence[RingDevice]) -> int | None:
        """The fragment that is this disk's of a partition."""
        return next((n for n, one in enumerate(homes) if (one.address, one.device) == self._here), None)

    async def _send_home(self, number: int, homes: Sequence[RingDevice], own: int | None) -> None:
        async for held in pages(self._share, number, PAGE):
            gone = [one for one in held if one.deleted]
            if own is None and gone:
                lacking = await asyncio.gather(*(self._pusher.bring(self._share, to, number, gone) for to in homes))
                await self._forget(gone, set().union(*lacking))
            strays = defaultdict(list)
            for one in held:
                if not one.deleted and one.fragment != own and one.fragment < len(homes):
                    strays[one.fragment].append(one)
            for fragment, some in strays.items():
                to = homes[fragment]
                await self._forget(some, await self._pusher.bring(self._share, to, number, some, fragment))

    async def _forget(self, held: Sequence[Held], lacking: set[bytes]) -> None:
        for one in held:
            if one.hash not in lacking:
                await self._share.device.forget_settled(self._share.policy, one, self._before)

    async def _look_after(self, waiting: Sequence[tuple[int, int]], *, thorough: bool) -> None:
        """The next disk of each partition that answers."""
        distance = 1
        while waiting:
            asked: dict[RingDevice, list[tuple[int, int]]] = defaultdict(list)
            for number, own in waiting:
                homes = self._share.ring.nodes(number)
                if distance < len(homes):
                    asked[homes[(own + distance) % len(homes)]].append((number, own))
            waiting = []
            for other, some in asked.items():
                differing = await self._pusher.differing(self._share, other, [number for number, _ in some])
                if self._pusher.silent(other):
                    waiting += some
                    continue
                wanted = {number for number, _ in some} if thorough else set(differing)
                for number, own in some:
                    if number in wanted:
                        await self._repair(number, own, other)
            distance += 1

    async def _repair(self, number: int, own: int, other: RingDevice) -> None:
        homes = self._share.ring.nodes(number)
        fragment = homes.index(other)
        await self._send_home(number, homes, own)
        async for held in pages(self._share, number, PAGE):
            missing = await self._pusher.missing(self._share, other, number, _one_each(held), fragment) or []
            await asyncio.gather(
                *(self._mender.mend(Lack(self._share, number, one, other, fragment)) for one in missing)
            )


def _one_each(held: Sequence[Held]) -> list[Held]:
    """Of several fragments of an object one: the disk asked wants its own in any case."""
    return list({one.hash: one for one in held}.values())
