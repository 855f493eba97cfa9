"""Limits: a project's quotas and what is used of them, in the words of the older API."""

from maldon.compute.api.offered import only_parameters
from maldon.compute.api.quota_set import UNLIMITED
from maldon.compute.verbs import quota_set as verbs
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.web.microversion import Version
from maldon.web.request import Reply, Request, json

MOST = {
    "maxServerMeta": "metadata_items",
    "maxTotalInstances": "instances",
    "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram",
    "maxTotalKeypairs": "key_pairs",
    "maxServerGroups": "server_groups",
    "maxServerGroupMembers": "server_group_members",
}
USED = {
    "totalInstancesUsed": "instances",
    "totalCoresUsed": "cores",
    "totalRAMUsed": "ram",
    "totalServerGroupsUsed": "server_groups",
}
GONE: dict[str, tuple[str, Version]] = {
    "maxTotalFloatingIps": ("floating_ips", (2, 36)),
    "maxSecurityGroups": ("security_groups", (2, 36)),
    "maxSecurityGroupRules": ("security_group_rules", (2, 36)),
    "maxImageMeta": ("metadata_items", (2, 39)),
    "maxPersonality": ("injected_files", (2, 57)),
    "maxPersonalitySize": ("injected_file_content_bytes", (2, 57)),
}


async def show(request: Request, op: Op) -> Reply:
    op.may("os_compute_api:limits")
    only_parameters(request, op, {"reserved", "tenant_id"})
    project_id = op.actor.project_id or ""
    if (named := request.param("tenant_id")) is not None and named != project_id:
        op.may("os_compute_api:limits:other_project", {"project_id": named})
        project_id = named
    if len(project_id) > 64:
        raise BadRequest("A project ID has at most 64 characters.")
    async with op.db.read() as session:
        limits = await verbs.quota_limits(session, op, project_id)
        used = await verbs.quota_used(session, project_id)
    absolute = {name: limits[resource] for name, resource in MOST.items()}
    absolute |= {name: used[resource] for name, resource in USED.items()}
    absolute |= {n: limits.get(resource, UNLIMITED) for n, (resource, until) in GONE.items() if op.version < until}
    if op.version < (2, 36):
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
    return json({"limits": {"rate": [], "absolute": absolute}})
