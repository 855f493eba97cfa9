"""Handlers of security groups and their rules."""

from functools import partial

from sqlalchemy import delete as delete_from
from sqlalchemy import select

from maldon.kernel.errors import BadRequest, Conflict
from maldon.kernel.op import Op
from maldon.network.collection import allowed, asked_for, index, show
from maldon.network.models.security_group import security_group_rules, security_groups
from maldon.network.schemas import security_group as schemas
from maldon.network.schemas.body import load_one, load_some
from maldon.network.verbs import security_group as verbs
from maldon.network.verbs.record import change, owner
from maldon.network.views.security_group import RULES, SECURITY_GROUPS, group, rule, shape
from maldon.web.request import Reply, Request, empty, json

shown = partial(show, SECURITY_GROUPS)
show_rule = partial(show, RULES)
list_rules = partial(index, RULES)


async def listing(request: Request, op: Op) -> Reply:
    """GET of the groups; the asker's default group is there from the first look."""
    mine = op.actor.project_id
    if mine:
        async with op.db.read() as session:
            there = await session.scalar(select(security_groups.c.id).where(security_groups.c.default_of == mine))
        if there is None and op.can("create_security_group"):
            async with op.db.begin() as session:
                await verbs.default_group(session, op, mine)
    return await index(SECURITY_GROUPS, request, op)


async def create(request: Request, op: Op) -> Reply:
    given = await load_one(request, "security_group", schemas.Create)
    project_id = owner(op, given, "create_security_group")
    async with op.db.begin() as session:
        row, its_rules = await verbs.create_group(session, op, given, project_id)
    return json({"security_group": group(row, its_rules)}, 201)


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "security_group", schemas.Update)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, SECURITY_GROUPS, "update_security_group")
        if given.get("name", row.name) != row.name and "default" in {row.name if row.default_of else "", given["name"]}:
            raise Conflict("Updating default security group not allowed.", kind="SecurityGroupCannotUpdateDefault")
        if "description" in given:
            given["description"] = given["description"] or ""
        (item,) = await shape(session, op, [await change(session, op, security_groups, row, given)])
    return json({"security_group": item})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, SECURITY_GROUPS, "delete_security_group")
        await verbs.delete_group(session, op, row)
    return empty()


async def create_rule(request: Request, op: Op) -> Reply:
    wanted, many = await load_some(request, "security_group_rule", "security_group_rules", schemas.RuleCreate)
    for given in wanted:
        owner(op, given, "create_security_group_rule")
        given["ethertype"] = given["ethertype"] or "IPv4"
    group_ids = {given["security_group_id"] for given in wanted}
    if len(group_ids) > 1:
        raise BadRequest(
            "Only allowed to update rules for one security profile at a time.", kind="SecurityGroupNotSingleGroupRules"
        )
    async with op.db.begin() as session:
        row = await allowed(session, op, SECURITY_GROUPS, group_ids.pop(), "create_security_group_rule")
        items = [rule(one) for one in await verbs.create_rules(session, op, row, wanted)]
    return json({"security_group_rules": items} if many else {"security_group_rule": items[0]}, 201)


async def update_rule(request: Request, op: Op) -> Reply:
    given = await load_one(request, "security_group_rule", schemas.RuleUpdate)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, RULES, "update_security_group_rule")
        values = {"description": given["description"] or ""} if "description" in given else {}
        item = rule(await change(session, op, security_group_rules, row, values))
    return json({"security_group_rule": item})


async def delete_rule(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, RULES, "delete_security_group_rule")
        await session.run(delete_from(security_group_rules).where(security_group_rules.c.id == row.id))
        await verbs.wake_group(session, op, [row.security_group_id])
    return empty()
