"""How each API says an error: one function per dialect, and each dialect's own habits of status.

Bodies as in the public APIs: a fault with the name of its status (compute, volume), `error` (identity and every 401),
`NeutronError` (network), a WebOb page or its JSON twin (image), `errors` (placement).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from typing import Any

from maldon.kernel.errors import CloudError, QuotaExceeded, UnsupportedMedia

Shape = Callable[[int, CloudError, str, str], tuple[Any, str]]

_FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def title(status: int) -> str:
    """The reason phrase of a status."""
    return HTTPStatus(status).phrase


def _compute(status: int, error: CloudError, _accept: str, _request_id: str) -> tuple[Any, str]:
    fault: dict[str, Any] = {"code": status, "message": error.public}
    if status in {413, 429}:
        fault["retryAfter"] = "0"
    return {_FAULTS.get(status, "computeFault"): fault}, "application/json"


def _identity(status: int, error: CloudError, _accept: str, _request_id: str) -> tuple[Any, str]:
    return {"error": {"code": status, "title": title(status), "message": error.public}}, "application/json"


def _network(status: int, error: CloudError, _accept: str, _request_id: str) -> tuple[Any, str]:
    top = "NotImplementedError" if status == 501 else "NeutronError"
    return {top: {"type": error.kind, "message": error.public, "detail": ""}}, "application/json"


def _image(status: int, error: CloudError, accept: str, _request_id: str) -> tuple[Any, str]:
    code = f"{status} {title(status)}"
    message = f"{escape(error.public)}<br /><br />\n\n\n"
    if "json" in accept:
        return {"message": message, "code": code, "title": title(status)}, "application/json"
    page = (
        f"<html>\n <head>\n  <title>{code}</title>\n </head>\n <body>\n  <h1>{code}</h1>\n  {message}</body>\n</html>"
    )
    return page, "text/html; charset=UTF-8"


def _placement(status: int, error: CloudError, _accept: str, request_id: str) -> tuple[Any, str]:
    code = error.code if error.code.startswith("placement.") else "placement.undefined_code"
    inner = {"status": status, "title": title(status), "detail": error.public, "code": code, "request_id": request_id}
    return {"errors": [inner]}, "application/json"


@dataclass(frozen=True, slots=True)
class Dialect:
    """An API's way to refuse. `statuses` are where it differs from the errors' own; the nearest class counts."""

    shape: Shape
    statuses: Mapping[type[CloudError], int] = field(default_factory=dict)
    request_id_headers: tuple[str, ...] = ("X-Openstack-Request-Id",)
    vary: str = ""

    def status(self, error: CloudError) -> int:
        for kind in type(error).__mro__:
            if kind in self.statuses:
                return self.statuses[kind]
        return error.status


COMPUTE = Dialect(
    _compute,
    {QuotaExceeded: 403},
    ("X-Openstack-Request-Id", "X-Compute-Request-Id"),
)
IDENTITY = Dialect(_identity, {UnsupportedMedia: 400, QuotaExceeded: 403}, vary="X-Auth-Token")
NETWORK = Dialect(_network, {QuotaExceeded: 409})
IMAGE = Dialect(_image, {QuotaExceeded: 413})
PLACEMENT = Dialect(_placement, {QuotaExceeded: 409})
PLAIN = Dialect(_identity)
