"""A domain's configuration: all of it, a group of options, one option; and what holds where nothing is configured.

Every change answers with the whole configuration. Secrets can be set and are never shown.
"""

from typing import Any

from maldon.identity.directories import Config, Directories
from maldon.identity.schemas.domain_config import ChangeConfig
from maldon.identity.verbs import domain_config as verbs
from maldon.identity.verifier import bump
from maldon.kernel.errors import BadRequest, Forbidden
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json


async def show(request: Request, op: Op) -> Reply:
    domain_id, section, option = _place(request)
    op.may("identity:get_domain_config", {"target.domain.id": domain_id})
    sections = op.use(Directories).sections()
    _check_place(op, section, option)
    if section is not None and option in sections.secrets.get(section, ()):
        raise Forbidden(f"The option {option} of {section} is a secret, which is never shown.")
    async with op.db.read() as session:
        found = await verbs.read(session, op, domain_id)
        verbs.part(found, domain_id, section)
    return json({"config": verbs.part(sections.shown(found), domain_id, section, option)})


async def replace(request: Request, op: Op) -> Reply:
    """PUT: exactly this, whatever was there."""
    wanted = (await request.load(ChangeConfig)).config
    domain_id, *_ = _place(request)
    op.may("identity:create_domain_config", {"target.domain.id": domain_id})
    sections = op.use(Directories).sections()
    sections.check(wanted)
    async with op.db.begin() as session:
        await bump(op, session)
        fresh = await verbs.write(session, op, domain_id, wanted)
    return json({"config": sections.shown(wanted)}, 201 if fresh else 200)


async def update(request: Request, op: Op) -> Reply:
    """PATCH: these options, the others stay. A group or option named in the path has to be there already."""
    given = (await request.load(ChangeConfig)).config
    domain_id, section, option = _place(request)
    op.may("identity:update_domain_config", {"target.domain.id": domain_id})
    sections = op.use(Directories).sections()
    _check_place(op, section, option)
    wanted = _wanted(given, section, option)
    sections.check(wanted)
    async with op.db.begin() as session:
        await bump(op, session)
        old = await verbs.read(session, op, domain_id)
        verbs.part(old, domain_id, section, option)
        new = verbs.merged(old, wanted)
        await verbs.write(session, op, domain_id, new)
    return json({"config": sections.shown(new)})


async def remove(request: Request, op: Op) -> Reply:
    domain_id, section, option = _place(request)
    op.may("identity:delete_domain_config", {"target.domain.id": domain_id})
    _check_place(op, section, option)
    async with op.db.begin() as session:
        await bump(op, session)
        old = await verbs.read(session, op, domain_id)
        verbs.part(old, domain_id, section, option)
        await verbs.write(session, op, domain_id, verbs.without(old, section, option))
    return empty()


async def default(request: Request, op: Op) -> Reply:
    op.may("identity:get_domain_config_default")
    section, option = request.path.get("group"), request.path.get("option")
    _check_place(op, section, option)
    found = op.use(Directories).sections().defaults()
    return json({"config": verbs.part(found, "default", section, option)})


def _place(request: Request) -> tuple[str, str | None, str | None]:
    return request.path["domain_id"], request.path.get("group"), request.path.get("option")


def _check_place(op: Op, section: str | None, option: str | None) -> None:
    if section is not None:
        op.use(Directories).sections().check_names(section, option)


def _wanted(given: dict[str, Any], section: str | None, option: str | None) -> Config:
    """What the body wants, which has to be about what the path names and nothing else."""
    if option is not None and section is not None and set(given) == {option} != {section}:
        given = {section: given}
    if section is not None and set(given) != {section}:
        raise BadRequest(f"The request is for the group {section}, the body is not about that alone.")
    if option is not None and section is not None:
        inner = given[section]
        if not isinstance(inner, dict) or set(inner) != {option}:
            raise BadRequest(f"The request is for the option {option}, the body is not about that alone.")
    return given
