"""The words of placement: the resource classes that hosts have, and traits, of which there are none."""

from urllib.parse import urlsplit

from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.placement.api.provider import dated
from maldon.placement.views.provider import CLASSES
from maldon.web.request import Reply, Request


def _class(request: Request, name: str) -> dict[str, object]:
    href = f"{urlsplit(request.base).path}/resource_classes/{name}"
    return {"name": name, "links": [{"rel": "self", "href": href}]}


async def classes(request: Request, op: Op) -> Reply:
    op.may("placement:resource_classes:list", {})
    return dated({"resource_classes": [_class(request, name) for name in CLASSES]}, op)


async def show_class(request: Request, op: Op) -> Reply:
    op.may("placement:resource_classes:list", {})
    if request.path["name"] not in CLASSES:
        raise NotFound(f"No such resource class {request.path['name']}.")
    return dated(_class(request, request.path["name"]), op)


async def traits(_request: Request, op: Op) -> Reply:
    op.may("placement:traits:list", {})
    return dated({"traits": []}, op)


async def show_trait(request: Request, op: Op) -> Reply:
    op.may("placement:traits:list", {})
    raise NotFound(f"No such trait(s): {request.path['name']}.")
