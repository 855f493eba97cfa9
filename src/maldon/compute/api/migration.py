"""Migrations: servers do not move in this cloud, so there are none."""

from maldon.compute.api.offered import only_parameters
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json, whole

PAGED = (2, 59)
PARAMETERS = {
    "hidden", "host", "instance_uuid", "source_compute", "status", "migration_type",
    "limit", "marker", "changes-since", "changes-before", "user_id", "project_id",
}  # fmt: skip


async def index(request: Request, op: Op) -> Reply:
    op.may("os_compute_api:os-migrations:index")
    only_parameters(request, op, PARAMETERS, since=PAGED)
    if op.version >= PAGED:
        whole(request.param("limit", "0") or "", "limit")
        if (marker := request.param("marker")) is not None:
            raise BadRequest(f"Marker {marker[:60]} is no migration.")
    return json({"migrations": []})
