"""Which versions there are, and, for whoever accepts application/json-home, what is where in them."""

from collections.abc import Callable, Iterable
from typing import Any

from maldon.identity.plan.json_home import document
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json
from maldon.web.service import Handler

_HOME = "application/json-home"
Paths = Callable[[], Iterable[str]]


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{request.base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def versions(paths: Paths) -> Handler:
    """The root of an API with these paths."""

    async def handle(request: Request, _op: Op) -> Reply:
        if _prefers_home(request):
            return _home(paths, "/v3")
        body = {"versions": {"values": [_version(request)]}}
        return json(body, 300, [("Location", f"{request.base}/v3/")])

    return handle


def version(paths: Paths) -> Handler:
    """The version that has these paths."""

    async def handle(request: Request, _op: Op) -> Reply:
        return _home(paths, "") if _prefers_home(request) else json({"version": _version(request)})

    return handle


def _home(paths: Paths, prefix: str) -> Reply:
    reply = json(document(paths(), prefix), headers=[("Vary", "Accept")])
    reply.content_type = _HOME
    return reply


def _prefers_home(request: Request) -> bool:
    """Whether the header Accept ranks JSON home above JSON; of equals the first counts."""
    ranked = [_ranked(part) for part in request.header("Accept").split(",")]
    wanted = [(quality, kind) for kind, quality in ranked if kind in {_HOME, "application/json", "*/*"} and quality > 0]
    return bool(wanted) and max(wanted, key=lambda one: one[0])[1] == _HOME


def _ranked(part: str) -> tuple[str, float]:
    """A media type and its quality; nonsense ranks last."""
    kind, *parameters = [piece.strip().lower() for piece in part.split(";")]
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return kind, float(quality)
    except ValueError:
        return kind, 0.0
