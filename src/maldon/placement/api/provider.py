"""Resource providers: our hosts, which report themselves and are changed by nobody else."""

from urllib.parse import urlsplit

from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest, NotFound, NotOffered
from maldon.kernel.op import Op
from maldon.placement import service
from maldon.placement.schemas import query
from maldon.placement.service import Host, PlacementSettings
from maldon.placement.views import provider as views
from maldon.web.request import Reply, Request, json
from maldon.web.service import Handler

FILTERS = {
    "name": (1, 0),
    "uuid": (1, 0),
    "member_of": (1, 3),
    "resources": (1, 4),
    "in_tree": (1, 14),
    "required": (1, 18),
}


async def versions(request: Request, _op: Op) -> Reply:
    from maldon.placement.routes import VERSIONS
    from maldon.web.microversion import text

    link = {"rel": "self", "href": urlsplit(request.base).path}
    low, high = text(VERSIONS.lowest), text(VERSIONS.highest)
    one = {"id": "v1.0", "status": "CURRENT", "min_version": low, "max_version": high, "links": [link]}
    return json({"versions": [one]})


def dated(value: object, op: Op, at: int | None = None) -> Reply:
    """A reply that says when it was last changed, since 1.15."""
    if op.version < (1, 15):
        return json(value)
    from email.utils import formatdate

    when = formatdate((op.clock.now() if at is None else at) / SECOND, usegmt=True)
    return json(value, headers=(("Last-Modified", when), ("Cache-Control", "no-cache")))


async def index(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:list", {})
    asked = query.read(request, FILTERS, op.version)
    if any(suffix for suffix in asked.groups):
        raise BadRequest("Numbered groups of resources are for allocation candidates.")
    name = request.param("name")
    async with op.db.read() as session:
        found = await service.hosts(session, op)
    root = urlsplit(request.base).path
    shown = [
        views.provider(host, root, op.version)
        for host in found
        if (name is None or host.name == name) and suits(host, asked, op)
    ]
    return dated({"resource_providers": shown}, op)


def suits(host: Host, asked: query.Query, op: Op) -> bool:
    """Whether the host is one of those looked for and has room for what is asked in all."""
    if asked.nobody or asked.provider not in {None, host.id}:
        return False
    promised = dict(zip(views.CLASSES, host.promised(op.use(PlacementSettings)), strict=True))
    used = views.usages(host)
    return all(used[name] + amount <= promised[name] for name, amount in asked.amounts.items())


async def _one(request: Request, op: Op) -> Host:
    async with op.db.read() as session:
        try:
            return await service.get_host(session, op, request.path["id"])
        except NotFound:
            raise NotFound(f"No resource provider with uuid {request.path['id']} found.") from None


async def show(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:show", {})
    host = await _one(request, op)
    return dated(views.provider(host, urlsplit(request.base).path, op.version), op, host.updated_at)


async def inventories(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:inventories:list", {})
    host = await _one(request, op)
    shown = views.inventories(host, op.use(PlacementSettings))
    body = {"inventories": shown, "resource_provider_generation": host.generation}
    return dated(body, op, host.updated_at)


async def inventory(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:inventories:list", {})
    host = await _one(request, op)
    shown = views.inventories(host, op.use(PlacementSettings)).get(request.path["name"])
    if shown is None:
        raise NotFound(f"No inventory of class {request.path['name']} for {host.id}.")
    return dated(shown | {"resource_provider_generation": host.generation}, op, host.updated_at)


async def usages(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:usages", {})
    host = await _one(request, op)
    return dated({"usages": views.usages(host), "resource_provider_generation": host.generation}, op)


async def aggregates(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:aggregates:list", {})
    host = await _one(request, op)
    body: dict[str, object] = {"aggregates": []}
    if op.version >= (1, 19):
        body["resource_provider_generation"] = host.generation
    return dated(body, op)


async def traits(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:traits:list", {})
    host = await _one(request, op)
    return dated({"traits": [], "resource_provider_generation": host.generation}, op)


async def allocations(request: Request, op: Op) -> Reply:
    op.may("placement:resource_providers:allocations:list", {})
    host = await _one(request, op)
    async with op.db.read() as session:
        claims = await service.claims_of(session, host_id=host.id)
    extra = {"consumer_generation": 1} if op.version >= (1, 28) else {}
    shown = {claim.consumer: {"resources": views.claimed(claim), **extra} for claim in claims}
    return dated({"allocations": shown, "resource_provider_generation": host.generation}, op)


def refused(rule: str, sentence: str) -> Handler:
    """A handler for a call that the API knows and this cloud does not offer."""

    async def refuse(_request: Request, op: Op) -> Reply:
        op.may(rule, {})
        raise NotOffered(sentence)

    return refuse
