"""Tells containers of objects what they could not be told when those were written.

What is owed is noted with the objects' rows; everything that one replica of a container has to hear goes there
together. A replica that has moved since is found by the ring: then its container's present replicas are told. A node
that does not answer is left until the next round. A container that is gone for good is owed nothing after the reclaim
age.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.survey import Debt, Survey
from maldon.objectstore.node import Row, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import say
from maldon.objectstore.timestamp import TICKS, stamp

log = structlog.get_logger()
PAGE = 1000
TELL_S = 10.0
BROKEN = (CloudError, OSError, TimeoutError)


class PayDebts:
    """A loop over the disks of a node."""

    def __init__(self, devices: Mapping[str, Device], placing: Placing) -> None:
        self._surveys = [(device, Survey(device)) for device in devices.values()]
        self._placing = placing

    async def once(self) -> int:
        """How many containers heard of how many objects, together."""
        silent: set[str] = set()
        paid = 0
        for device, survey in self._surveys:
            after: tuple[int, bytes] | None = (-1, b"")
            while after is not None:
                debts, after = await survey.debts(after, PAGE)
                paid += await self._pay(device, debts, silent)
        return paid

    async def _pay(self, device: Device, debts: Sequence[Debt], silent: set[str]) -> int:
        lessons: dict[tuple[Teaching, Path], list[Debt]] = defaultdict(list)
        for debt in debts:
            for teaching in debt.teach:
                book = teaching.shard or Path(debt.path.account, debt.path.container)
                lessons[teaching, book].append(debt)
        paid = 0
        for (teaching, book), owed in lessons.items():
            if teaching.address in silent:
                continue
            heard = await self._tell(teaching, book, [debt.row for debt in owed], silent)
            before = stamp() - device.settings.reclaim_age_s * TICKS
            settled = [debt for debt in owed if heard or debt.version < before]
            await asyncio.gather(*(device.settle(d.policy, d.path, d.version, [teaching]) for d in settled))
            paid += len(settled)
        return paid

    async def _tell(self, teaching: Teaching, book: Path, rows: list[Row], silent: set[str]) -> bool:
        place = self._placing.book(book)
        try:
            async with asyncio.timeout(TELL_S):
                for one in place.primaries:
                    if (one.address, one.device) == (teaching.address, teaching.spot.device):
                        return await self._placing.nodes.at(one.address).update_book(place.spot(one), book, rows)
                return any(await say(self._placing, place, lambda node, spot, _: node.update_book(spot, book, rows)))
        except BROKEN as error:
            silent.add(teaching.address)
            log.warning("container not told", container=str(book), address=teaching.address, error=repr(error))
            return False
