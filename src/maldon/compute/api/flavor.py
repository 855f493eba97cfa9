"""Flavors: list, create, show, describe, delete, and whom a private one is shared with."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from maldon.compute.api.offered import offered, only_parameters
from maldon.compute.schemas import flavor as schemas
from maldon.compute.verbs import flavor as verbs
from maldon.compute.verbs.flavor import Filters, Flavor
from maldon.compute.views import flavor as views
from maldon.kernel.errors import BadRequest, Conflict, NotFound
from maldon.kernel.op import Op, Session
from maldon.web.paging import next_link, page_of
from maldon.web.request import Reply, Request, empty, json, truth, whole

_P = "os_compute_api:os-flavor-"
ALIASES = {"flavorid": "id", "id": "created_at", "root_gb": "disk_gb", "swap": "swap_mb"}
SORTABLE = (
    "id",
    "name",
    "memory_mb",
    "vcpus",
    "disk_gb",
    "ephemeral_gb",
    "swap_mb",
    "rxtx_factor",
    "is_public",
    "created_at",
    "updated_at",
)
PARAMETERS = {"limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir"}


async def index(request: Request, op: Op) -> Reply:
    base = request.base
    return await _listing(request, op, lambda flavor: views.brief(flavor, base, op.version))


async def detail(request: Request, op: Op) -> Reply:
    base, specs = request.base, _sees_specs(op)
    return await _listing(request, op, lambda flavor: views.full(flavor, base, op.version, specs=specs))


async def _listing(request: Request, op: Op, view: Callable[[Flavor], dict[str, Any]]) -> Reply:
    only_parameters(request, op, PARAMETERS)
    page, filters = page_of(request, SORTABLE, [("flavorid", "asc")], aliases=ALIASES), _filters(request)
    async with op.db.read() as session:
        found = await verbs.list_flavors(session, op, filters, page)
    body: dict[str, Any] = {"flavors": [view(flavor) for flavor in found]}
    if found and len(found) == page.limit:
        body["flavors_links"] = [{"rel": "next", "href": next_link(request, found[-1].id)}]
    return json(body)


def _filters(request: Request) -> Filters:
    """What the query asks for. Public flavors, unless it says otherwise."""
    public = (request.param("is_public") or "true").strip().lower()
    return Filters(
        memory_mb=whole(request.param("minRam") or "0", "minRam"),
        disk_gb=whole(request.param("minDisk") or "0", "minDisk"),
        public=None if public == "none" else truth(public, "is_public"),
    )


def _sees_specs(op: Op) -> bool:
    return op.version >= (2, 61) and op.can(_P + "extra-specs:index")


def _shown(request: Request, op: Op, flavor: Flavor) -> Reply:
    return json({"flavor": views.full(flavor, request.base, op.version, specs=_sees_specs(op))})


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        flavor = await verbs.get_flavor(session, op, request.path["id"])
    return _shown(request, op, flavor)


async def create(request: Request, op: Op) -> Reply:
    op.may(_P + "manage:create")
    flavor = schemas.create(await request.load(schemas.CreateFlavor), op.version)
    async with op.db.begin() as session:
        await verbs.create_flavor(session, op, flavor)
    return _shown(request, op, flavor)


async def update(request: Request, op: Op) -> Reply:
    op.may(_P + "manage:update")
    offered(op, (2, 55))
    wanted = await request.load(schemas.UpdateFlavor)
    async with op.db.begin() as session:
        flavor = await verbs.describe_flavor(session, op, request.path["id"], wanted.flavor.description)
    return _shown(request, op, flavor)


async def delete(request: Request, op: Op) -> Reply:
    op.may(_P + "manage:delete")
    async with op.db.begin() as session:
        await verbs.delete_flavor(session, request.path["id"])
    return empty(202)


async def access(request: Request, op: Op) -> Reply:
    op.may(_P + "access")
    async with op.db.read() as session:
        flavor = await verbs.get_flavor(session, op, request.path["id"])
        if flavor.is_public:
            raise NotFound("Access list not available for public flavors.")
        return await _access(session, flavor)


async def _access(session: Session, flavor: Flavor) -> Reply:
    projects = await verbs.projects_with(session, flavor.id)
    return json({"flavor_access": [{"flavor_id": flavor.id, "tenant_id": project} for project in projects]})


async def act(request: Request, op: Op) -> Reply:
    op.may(_P + "access")
    action = await request.load(schemas.FlavorAction)
    if (action.add is UNSET) == (action.remove is UNSET):
        raise BadRequest("A flavor action is either addTenantAccess or removeTenantAccess.")
    async with op.db.begin() as session:
        if action.add is not UNSET:
            op.may(_P + "access:add_tenant_access")
            flavor = await verbs.get_flavor(session, op, request.path["id"])
            if flavor.is_public and op.version >= (2, 7):
                raise Conflict("Can not add access to a public flavor.")
            await verbs.share_flavor(session, flavor, action.add.tenant)
        elif action.remove is not UNSET:
            op.may(_P + "access:remove_tenant_access")
            flavor = await verbs.get_flavor(session, op, request.path["id"])
            await verbs.unshare_flavor(session, flavor, action.remove.tenant)
        return await _access(session, flavor)
