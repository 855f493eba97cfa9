"""Deletes objects whose x-delete-at has passed.

Each disk knows which of its objects expire, and when; the disk that holds the first replica deletes for all, another
one only when that has not happened for an hour. The settings may have them stay a while, for X-Open-Expired. First the
newest metadata is asked for, of a quorum: a POST may have given the object more time where this disk did not hear of
it. The tombstone has the time of the end itself, or of the last change, so that it is the same whoever writes it, and
loses to everything that was written later.
"""

import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from maldon.kernel.errors import CloudError
from maldon.kernel.settings import BadSetting
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.survey import Expiring, Survey
from maldon.objectstore.node import Record, Superseded
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.proxy.quorum import say
from maldon.objectstore.proxy.removing import remove
from maldon.objectstore.timestamp import TICKS

log = structlog.get_logger()
PAGE = 1000
OTHERS_WAIT_S = 3600
BROKEN = (CloudError, OSError, TimeoutError)


class ExpireObjects:
    """A loop over the disks of a node."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        placing: Placing,
        now: Callable[[], float] = time.time,
        delays: Iterable[str] = (),
    ) -> None:
        self._surveys = {name: Survey(device) for name, device in devices.items()}
        self._placing, self._now, self._delays = placing, now, read_delays(delays)

    async def once(self) -> int:
        """How many objects were deleted."""
        deleted = 0
        for name, survey in self._surveys.items():
            after = (-1, -1, b"")
            while True:
                found, more = await survey.expiring(int(self._now()), after, PAGE)
                for one in found:
                    if one.at + self._delay(one.path) <= self._now():
                        deleted += await self._expire(name, one)
                if more is None:
                    break
                after = more
        return deleted

    def _delay(self, path: Path) -> float:
        """How long it stays after its end."""
        kept = self._delays
        return kept.get(f"{path.account}/{path.container}", kept.get(path.account, kept.get("*", 0.0))) if kept else 0.0

    async def _expire(self, device: str, one: Expiring) -> bool:
        place = self._placing.object(one.path, one.policy)
        first = place.primaries[0]
        ours = (first.address, first.device) == (self._placing.nodes.here, device)
        if not ours and one.at + self._delay(one.path) > self._now() - OTHERS_WAIT_S:
            return False
        try:
            record = await self._newest(place, one)
            if record is None or record.deleted or not _over(record, self._now()):
                return False
            at = max(int(record.headers["x-delete-at"]) * TICKS, record.posted_at + 1)
            await remove(self._placing, place, one.path, at)
        except Superseded:
            return False
        except BROKEN as error:
            log.warning("an object could not expire, is tried again", object=str(one.path), error=repr(error))
            return False
        return True

    async def _newest(self, place: Place, one: Expiring) -> Record | None:
        records = await say(self._placing, place, lambda node, spot, _: node.head_object(spot, one.path))
        return max(
            (record for record in records if record is not None),
            key=lambda record: (record.timestamp, record.deleted, record.posted_at),
            default=None,
        )


def read_delays(texts: Iterable[str]) -> dict[str, float]:
    """Seconds by account, account/container or "*". Raises BadSetting."""
    found = {}
    for text in texts:
        where, _, seconds = text.rpartition(":")
        if not where or not (seconds.isascii() and seconds.isdigit()):
            raise BadSetting(
                f"[object] delay_reaping wants account:seconds or account/container:seconds, not {text!r}."
            )
        found[where] = float(seconds)
    return found


def _over(record: Record, now: float) -> bool:
    at = record.headers.get("x-delete-at", "")
    return at.isascii() and at.isdigit() and int(at) <= now
