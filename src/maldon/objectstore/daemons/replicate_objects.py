"""Makes the replicas of objects the same on all disks that the ring names.

Every disk's partitions are pushed from where they are to where they belong; nothing is pulled, for the others push too.
What is held for others (a handoff, or what a ring's change left behind) goes first: it is given to all disks of its
partition, and forgotten here once every one has it, and no container is still to be told of it. Then each other disk is
asked which of the partitions that it shares have another digest than here; of those it is given what it lacks or has
older. The newest wins, by the time of the bytes, then of the metadata.

Storage policies of whole copies only: of an erasure code each disk holds another fragment, see `reconstruct_objects`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import apsw
import structlog

from maldon.objectstore.daemons.push_objects import Pusher, Share, pages, shares
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Held
from maldon.objectstore.policies import Policies
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.timestamp import TICKS, stamp

log = structlog.get_logger()
PAGE = 1000
PEERS = 4  # disks that are compared at once
SETTLED_S = 60  # after a write: whoever made it is still telling containers, or has left that as a debt by then


class ReplicateObjects:
    """A loop over the disks of a node."""

    def __init__(
        self, devices: Mapping[str, Device], placing: Placing, policies: Policies, now: Callable[[], int] = stamp
    ) -> None:
        self._disks = {name: (device, Survey(device)) for name, device in devices.items()}
        self._placing, self._policies, self._now = placing, policies, now

    async def once(self) -> int:
        """One round; how many versions other disks took."""
        own = [share async for share in shares(self._disks, self._placing, self._whole)]
        pusher = Pusher(self._placing.nodes)
        for step in (self._hand_over, self._level):
            for share in own:
                try:
                    await step(pusher, share)
                except (*BROKEN, apsw.Error) as error:
                    log.warning("a disk is not replicated", device=share.name, error=repr(error))
        return pusher.pushed

    def _whole(self, policy: int) -> bool:
        return self._policies.get(policy) is not None and self._placing.code(policy) is None

    def _others(self, share: Share, number: int) -> list[RingDevice]:
        here = (self._placing.nodes.here, share.name)
        return [one for one in share.ring.nodes(number) if (one.address, one.device) != here]

    async def _hand_over(self, pusher: Pusher, share: Share) -> None:
        """What is held for others."""
        for number in share.digests:
            others = self._others(share, number)
            if others and len(others) == len(share.ring.nodes(number)):
                async for held in pages(share, number, PAGE):
                    await self._give_away(pusher, share, number, others, held)

    async def _give_away(
        self, pusher: Pusher, share: Share, number: int, others: Sequence[RingDevice], held: Sequence[Held]
    ) -> None:
        lacking = await asyncio.gather(*(pusher.bring(share, other, number, held) for other in others))
        before = self._now() - SETTLED_S * TICKS
        for one in held:
            if not any(one.hash in missing for missing in lacking):
                await share.device.forget_settled(share.policy, one, before)

    async def _level(self, pusher: Pusher, share: Share) -> None:
        """What other disks should hold too."""
        shared: dict[RingDevice, list[int]] = defaultdict(list)
        for number in share.digests:
            others = self._others(share, number)
            if len(others) < len(share.ring.nodes(number)):
                for other in others:
                    shared[other].append(number)
        room = asyncio.Semaphore(PEERS)

        async def compare(other: RingDevice, numbers: Sequence[int]) -> None:
            async with room:
                for number in await pusher.differing(share, other, numbers):
                    async for held in pages(share, number, PAGE):
                        await pusher.bring(share, other, number, held)

        await asyncio.gather(*(compare(other, numbers) for other, numbers in shared.items()))
