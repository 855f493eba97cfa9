"""Allocations: what consumers (servers) have claimed, what they could claim, and what a project holds in all."""

from collections import Counter
from typing import Any

from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.placement import service
from maldon.placement.api.provider import dated, suits
from maldon.placement.schemas import query
from maldon.placement.service import PlacementSettings
from maldon.placement.views import provider as views
from maldon.web.request import Reply, Request, whole

CANDIDATE_WORDS = {
    "resources": (1, 10),
    "limit": (1, 16),
    "required": (1, 17),
    "member_of": (1, 21),
    "group_policy": (1, 25),
    "in_tree": (1, 31),
    "root_required": (1, 35),
    "same_subtree": (1, 36),
}


async def candidates(request: Request, op: Op) -> Reply:
    """Hosts that have room, each with the allocation that would take it."""
    op.may("placement:allocation_candidates:list", {})
    asked = query.read(request, CANDIDATE_WORDS, op.version)
    if not asked.groups:
        raise BadRequest("At least one group of resources must be asked for.")
    limit = request.param("limit")
    most = whole(limit, "limit", 1) if limit is not None else None
    separate = len([s for s in asked.groups if s]) > 1
    if separate and request.param("group_policy") not in {"none", "isolate"}:
        raise BadRequest("The group_policy parameter is required (none or isolate) with several numbered groups.")
    async with op.db.read() as session:
        found = [host for host in await service.hosts(session, op) if suits(host, asked, op)]
    if separate and request.param("group_policy") == "isolate":
        found = []
    settings = op.use(PlacementSettings)
    chosen = found[:most]
    body = {
        "allocation_requests": [_request(host.id, asked, op) for host in chosen],
        "provider_summaries": {h.id: views.summary(h, settings, set(asked.amounts), op.version) for h in chosen},
    }
    return dated(body, op)


def _request(host_id: str, asked: query.Query, op: Op) -> dict[str, Any]:
    if op.version < (1, 12):
        return {"allocations": [{"resource_provider": {"uuid": host_id}, "resources": asked.amounts}]}
    request: dict[str, Any] = {"allocations": {host_id: {"resources": asked.amounts}}}
    if op.version >= (1, 34):
        request["mappings"] = {suffix: [host_id] for suffix in asked.groups}
    return request


async def show(request: Request, op: Op) -> Reply:
    """A consumer's allocations; none for a consumer that is unknown."""
    op.may("placement:allocations:list", {})
    async with op.db.read() as session:
        found = await service.claims_of(session, consumer=request.path["id"])
        generations = {host.id: host.generation for host in await service.hosts(session, op)} if found else {}
    body: dict[str, Any] = {
        "allocations": {
            claim.host_id: {"resources": views.claimed(claim), "generation": generations[claim.host_id]}
            for claim in found
        }
    }
    for claim in found:
        if op.version >= (1, 12):
            body |= {"project_id": claim.project_id, "user_id": claim.user_id}
        if op.version >= (1, 28):
            body["consumer_generation"] = 1
        if op.version >= (1, 38):
            body["consumer_type"] = "INSTANCE"
    return dated(body, op)


async def usages(request: Request, op: Op) -> Reply:
    """What a project, or one user in it, has claimed in all."""
    project = request.param("project_id")
    if not project:
        raise BadRequest("The parameter project_id is required.")
    op.may("placement:usages", {"project_id": project})
    user, kind = request.param("user_id"), request.param("consumer_type")
    async with op.db.read() as session:
        found = await service.claims_of(session)
    totals: Counter[str] = Counter()
    count = 0
    for claim in found:
        if claim.project_id == project and user in {None, claim.user_id}:
            count += 1
            totals.update(views.claimed(claim))
    if op.version < (1, 38):
        return dated({"usages": dict(totals)}, op)
    if not count or kind not in {None, "all", "INSTANCE"}:
        return dated({"usages": {}}, op)
    return dated({"usages": {"all" if kind == "all" else "INSTANCE": {"consumer_count": count, **totals}}}, op)
