"""ETags in the quotes that RFC 7232 wants, where an account or a container asks for it, or the settings do for all.

X-Account-Rfc-Compliant-Etags and X-Container-Rfc-Compliant-Etags say true or false; the container goes before the
account, the account before the setting.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import TRUE, ObjectRequest
from maldon.objectstore.proxy.store import Store


@dataclass(frozen=True, slots=True)
class EtagQuoterSettings:
    enable_by_default: bool = option(False, "Whether ETags are quoted where nothing else is said.")


def make(store: Store, below: Handler) -> Handler:
    default = store.option(EtagQuoterSettings).enable_by_default

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_object:
            return _object(request)
        return _book(request) if request.path.account else below(request)

    async def _book(request: ObjectRequest) -> Response:
        """The wish of an account or container is kept as sysmeta, and shown by its own name."""
        kind = "container" if request.is_container else "account"
        said, kept = f"x-{kind}-rfc-compliant-etags", f"x-{kind}-sysmeta-rfc-compliant-etags"
        if request.method in {"PUT", "POST"} and said in request.headers:
            value = request.headers.pop(said)
            request.headers[kept] = value and str(value.lower() in TRUE)
        response = await answered(below, request)
        if shown := response.headers.get(kept):
            response.headers[said] = shown
        return response

    async def _object(request: ObjectRequest) -> Response:
        response = await answered(below, request)
        etag = response.headers.get("etag", "")
        if etag and not etag.startswith('"') and await _wanted(request):
            response.headers["etag"] = f'"{etag}"'
        return response

    async def _wanted(request: ObjectRequest) -> bool:
        path, known = request.path, store.known
        for kind, book in (
            ("container", known.remembered(path) or await known.container(path)),
            ("account", known.remembered(Path(path.account)) or await known.account(path)),
        ):
            if book is not None and (value := _said(book.headers, kind)):
                return value.lower() in TRUE
        return default

    return handle


def _said(headers: Mapping[str, tuple[str, int]], kind: str) -> str:
    return headers.get(f"x-{kind}-sysmeta-rfc-compliant-etags", ("", 0))[0]


def _info(store: Store) -> dict[str, Any]:
    return {"enable_by_default": store.option(EtagQuoterSettings).enable_by_default}


def _marks(store: Store) -> Marks | None:
    kept = tuple(f"x-{kind}-sysmeta-rfc-compliant-etags" for kind in ("account", "container"))
    return None if store.option(EtagQuoterSettings).enable_by_default else Marks(account=kept)


LAYER = Layer("etag_quoter", make, _info, settings=EtagQuoterSettings, marks=_marks)
