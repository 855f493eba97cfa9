"""Quota class sets: the class "default" is what projects have that nobody has given anything else."""

from maldon.compute.api.quota_set import UNLIMITED
from maldon.compute.schemas import quota_set as schemas
from maldon.compute.verbs import quota_set as verbs
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json

_P = "os_compute_api:os-quota-class-sets:"


async def show(request: Request, op: Op) -> Reply:
    op.may(_P + "show")
    name = request.path["id"]
    async with op.db.read() as session:
        limits = await verbs.class_limits(session, op, name)
    shown = {resource: limits.get(resource, UNLIMITED) for resource in schemas.class_resources(op.version)}
    return json({"quota_class_set": {"id": name} | shown})


async def update(request: Request, op: Op) -> Reply:
    op.may(_P + "update")
    name, known = request.path["id"], schemas.class_resources(op.version)
    wanted = schemas.limits((await request.load(schemas.UpdateQuotaClassSet)).quota_class_set, known)
    async with op.db.begin() as session:
        await verbs.set_limits(session, "class", name, "", wanted)
        limits = await verbs.class_limits(session, op, name)
    return json({"quota_class_set": {resource: limits.get(resource, UNLIMITED) for resource in known}})
