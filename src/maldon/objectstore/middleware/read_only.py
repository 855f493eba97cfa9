"""Nothing is written: to the whole store by a setting, or to an account by its X-Account-Sysmeta-Read-Only.

An account that says False may be written even while the store is read-only. Refused is 405.
"""

from collections.abc import Awaitable
from dataclasses import dataclass

from maldon.kernel.errors import MethodNotAllowed
from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import TRUE, ObjectRequest, checked
from maldon.objectstore.proxy.store import Store

SAID = "x-account-sysmeta-read-only"
READS = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class ReadOnlySettings:
    read_only: bool = option(False, "Whether nothing may be written to the store.")
    allow_deletes: bool = option(False, "Whether DELETE is allowed even so.")


def make(store: Store, below: Handler) -> Handler:
    wanted = store.option(ReadOnlySettings)
    passing = READS | ({"DELETE"} if wanted.allow_deletes else set())

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.method in passing or not request.path.account:
            return below(request)
        return _write(request)

    async def _write(request: ObjectRequest) -> Response:
        accounts = {request.path.account, request.headers.get("destination-account", "") or request.path.account}
        for name in accounts:
            account = await store.known.account(checked(request.path._replace(account=name)))
            said = account.headers.get(SAID, ("", 0))[0] if account is not None else ""
            if said.lower() in TRUE if said else wanted.read_only:
                raise MethodNotAllowed("Writes are disabled for this account.")
        return await below(request)

    return handle


def _marks(store: Store) -> Marks | None:
    if store.option(ReadOnlySettings).read_only:
        return None
    return Marks(account=(SAID,), asked=("destination-account",))


LAYER = Layer("read_only", make, settings=ReadOnlySettings, marks=_marks)
