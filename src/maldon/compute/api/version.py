"""Version discovery: which versions of the compute API there are, and where.

Clients still look for v2.0 in the list. Its document is all there is of it here.
"""

from typing import Any

from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json


def _current(request: Request) -> dict[str, Any]:
    from maldon.compute.routes import VERSIONS
    from maldon.web.microversion import text

    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": text(VERSIONS.highest),
        "min_version": text(VERSIONS.lowest),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{request.base}/v2.1/"}],
    }


def _past(request: Request) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "DEPRECATED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{request.base}/v2/"}],
    }


def _alone(version: dict[str, Any], number: str) -> Reply:
    """A version's own document."""
    described = {"rel": "describedby", "type": "text/html", "href": version["links"][0]["href"]}
    kinds = [{"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={number}"}]
    return json({"version": version | {"links": [*version["links"], described], "media-types": kinds}})


async def index(request: Request, _op: Op) -> Reply:
    return json({"versions": [_past(request), _current(request)]})


async def show(request: Request, _op: Op) -> Reply:
    return _alone(_current(request), "2.1")


async def show_past(request: Request, _op: Op) -> Reply:
    return _alone(_past(request), "2")
