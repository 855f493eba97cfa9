"""No more writes a second than the settings allow, to an account's containers and to large containers.

So are listings of large containers bounded. What comes too fast waits for its turn; what would have to wait longer than
`max_sleep_s` is answered 498, and an account that is blacklisted 497. An account's
X-Account-Sysmeta-Global-Write-Ratelimit may be WHITELIST, BLACKLIST or a rate. Each process counts for itself.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from maldon.kernel.errors import CloudError
from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

SAID = "x-account-sysmeta-global-write-ratelimit"
MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class RatelimitSettings:
    account_ratelimit: float = option(0.0, "PUTs and DELETEs of containers an account may make a second; 0: any.")
    container_ratelimits: tuple[str, ...] = option(
        (), "Writes a second for containers of at least so many objects, each size:rate; rates between are in between."
    )
    container_listing_ratelimits: tuple[str, ...] = option(
        (), "Listings a second of containers of at least so many objects, each size:rate, as above."
    )
    max_sleep_s: float = option(60.0, "Seconds a request may have to wait before it is refused.")
    rate_buffer_s: float = option(5.0, "Seconds of unused rate that may be caught up on.")
    account_whitelist: tuple[str, ...] = option((), "Accounts without a limit.")
    account_blacklist: tuple[str, ...] = option((), "Accounts that may write nothing.")


class TooFast(CloudError):
    status, code = 498, "too-fast"


class Blacklisted(CloudError):
    status, code = 497, "blacklisted"


class Turns:
    """When the next request of a key may go on."""

    def __init__(self, wanted: RatelimitSettings) -> None:
        self._wanted = wanted
        self._next: OrderedDict[str, float] = OrderedDict()

    async def wait(self, key: str, rate: float) -> None:
        """Wait for it. Raises TooFast when that would take too long."""
        now = time.monotonic()
        turn = max(self._next.get(key, 0.0), now - self._wanted.rate_buffer_s)
        pause = turn - now
        if pause > self._wanted.max_sleep_s:
            raise TooFast("Slow down")
        self._next[key] = turn + 1.0 / rate
        self._next.move_to_end(key)
        while len(self._next) > MOST_KEYS:
            self._next.popitem(last=False)
        if pause > 0:
            await asyncio.sleep(pause)


def rates(texts: tuple[str, ...]) -> list[tuple[int, float]]:
    """Size and rate of each step, the smallest first."""
    return sorted((int(size), float(rate)) for size, _, rate in (text.partition(":") for text in texts))


def rate_for(steps: list[tuple[int, float]], size: int) -> float:
    """The rate of a container of so many objects; 0 for any."""
    found = 0.0
    for (low, rate), (high, after) in zip(steps, [*steps[1:], (0, 0.0)], strict=True):
        if size >= low:
            found = rate + (after - rate) * (size - low) / (high - low) if high > size else rate
    return found


def make(store: Store, below: Handler) -> Handler:
    wanted = store.option(RatelimitSettings)
    turns = Turns(wanted)
    writes, listings = rates(wanted.container_ratelimits), rates(wanted.container_listing_ratelimits)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.trusted or not request.path.container:
            return below(request)
        if listings and request.is_container and request.method == "GET":
            return _listed(request)
        return _limited(request) if request.method in {"PUT", "DELETE", "POST"} else below(request)

    async def _listed(request: ObjectRequest) -> Response:
        if request.path.account not in wanted.account_whitelist:
            await _container(request, listings, "listings of ")
        return await below(request)

    async def _limited(request: ObjectRequest) -> Response:
        path = request.path
        account = await store.known.account(path)
        said = account.headers.get(SAID, ("", 0))[0] if account is not None else ""
        if said == "BLACKLIST" or path.account in wanted.account_blacklist:
            raise Blacklisted("Your account has been blacklisted")
        if said == "WHITELIST" or path.account in wanted.account_whitelist:
            return await below(request)
        if said.replace(".", "", 1).isdigit() and float(said) > 0:
            await turns.wait(path.account, float(said))
        if request.is_container and request.method in {"PUT", "DELETE"} and wanted.account_ratelimit:
            await turns.wait(f"{path.account} containers", wanted.account_ratelimit)
        if request.is_object and writes:
            await _container(request, writes, "")
        return await below(request)

    async def _container(request: ObjectRequest, steps: list[tuple[int, float]], what: str) -> None:
        path = request.path
        book = await store.known.container(path)
        if book is not None and (rate := rate_for(steps, book.objects)):
            await turns.wait(f"{what}{path.account}/{path.container}", rate)

    return handle


def _info(store: Store) -> dict[str, Any]:
    wanted = store.option(RatelimitSettings)
    return {
        "account_ratelimit": wanted.account_ratelimit,
        "max_sleep_time_seconds": wanted.max_sleep_s,
        "container_ratelimits": [list(step) for step in rates(wanted.container_ratelimits)],
        "container_listing_ratelimits": [list(step) for step in rates(wanted.container_listing_ratelimits)],
    }


def _marks(store: Store) -> Marks | None:
    wanted = store.option(RatelimitSettings)
    return None if wanted.container_ratelimits or wanted.account_blacklist else Marks(account=(SAID,))


LAYER = Layer("ratelimit", make, _info, settings=RatelimitSettings, marks=_marks)
