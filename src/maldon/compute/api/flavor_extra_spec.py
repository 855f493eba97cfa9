"""What a flavor asks of hosts and guests beyond sizes: free keys, of which those that Nova knows are checked."""

from maldon.compute.plan.extra_specs import check_specs
from maldon.compute.schemas import flavor as schemas
from maldon.compute.verbs import flavor as verbs
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

_P = "os_compute_api:os-flavor-extra-specs:"
CHECKED_SINCE = (2, 86)


def _absent(request: Request) -> NotFound:
    flavor_id, key = request.path["id"], request.path["key"]
    return NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")


def _checked(specs: dict[str, str | int | float], op: Op) -> dict[str, str]:
    texts = schemas.texts(specs)
    if op.version >= CHECKED_SINCE:
        check_specs(texts)
    return texts


async def index(request: Request, op: Op) -> Reply:
    op.may(_P + "index")
    async with op.db.read() as session:
        flavor = await verbs.get_flavor(session, op, request.path["id"])
    return json({"extra_specs": flavor.extra_specs})


async def show(request: Request, op: Op) -> Reply:
    op.may(_P + "show")
    key = request.path["key"]
    async with op.db.read() as session:
        flavor = await verbs.get_flavor(session, op, request.path["id"])
    if key not in flavor.extra_specs:
        raise _absent(request)
    return json({key: flavor.extra_specs[key]})


async def merge(request: Request, op: Op) -> Reply:
    op.may(_P + "create")
    wanted = await request.load(schemas.ExtraSpecs)
    more = _checked(wanted.extra_specs, op)
    async with op.db.begin() as session:
        await verbs.change_specs(session, op, request.path["id"], lambda specs: specs | more)
    return json({"extra_specs": more})


async def put(request: Request, op: Op) -> Reply:
    op.may(_P + "update")
    wanted = await request.load(schemas.Specs)
    if [*wanted] != [request.path["key"]]:
        raise BadRequest("Request body and URI mismatch: the body holds the one key that is to change.")
    more = _checked(wanted, op)
    async with op.db.begin() as session:
        await verbs.change_specs(session, op, request.path["id"], lambda specs: specs | more)
    return json(more)


async def delete(request: Request, op: Op) -> Reply:
    op.may(_P + "delete")
    key = request.path["key"]

    def without(specs: dict[str, str]) -> dict[str, str]:
        if key not in specs:
            raise _absent(request)
        return {name: value for name, value in specs.items() if name != key}

    async with op.db.begin() as session:
        await verbs.change_specs(session, op, request.path["id"], without)
    return empty(200)
