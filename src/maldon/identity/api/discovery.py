"""Which versions there are."""

from typing import Any

from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{request.base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


async def versions(request: Request, _op: Op) -> Reply:
    body = {"versions": {"values": [_version(request)]}}
    return json(body, 300, [("Location", f"{request.base}/v3/")])


async def version(request: Request, _op: Op) -> Reply:
    return json({"version": _version(request)})
