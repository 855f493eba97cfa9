"""Version discovery: which versions of the compute API there are, and where."""

from typing import Any

from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json

UPDATED = "2013-07-23T11:33:21Z"


def _version(request: Request) -> dict[str, Any]:
    from maldon.compute.routes import VERSIONS
    from maldon.web.microversion import text

    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": text(VERSIONS.highest),
        "min_version": text(VERSIONS.lowest),
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{request.base}/v2.1/"}],
    }


async def index(request: Request, _op: Op) -> Reply:
    return json({"versions": [_version(request)]})


async def show(request: Request, _op: Op) -> Reply:
    version = _version(request)
    described = {"rel": "describedby", "type": "text/html", "href": f"{request.base}/v2.1/"}
    kinds = [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]
    return json({"version": version | {"links": [*version["links"], described], "media-types": kinds}})
