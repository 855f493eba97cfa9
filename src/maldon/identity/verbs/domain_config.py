"""A domain's configuration in the books, and what a change of it means for the domain's people.

A domain has one directory. So one that has users or groups of its own cannot be given another, and when a directory is
taken away its mirror goes with it: the roles of its people stay in the books, and count again when they come back.
"""

from typing import Any

from sqlalchemy import delete, insert

from maldon.identity import mirror, tree
from maldon.identity.directories import Config, Directories, driver_of
from maldon.identity.models.domain_config import domain_option
from maldon.identity.schemas.domain_config import NATIVE, flat
from maldon.kernel.errors import Conflict, Forbidden, NotFound
from maldon.kernel.op import Op, Session


async def read(session: Session, op: Op, domain_id: str) -> Config:
    """The domain's configuration, secrets and all. Raises NotFound where there is none, or no such domain."""
    await tree.domain(session, domain_id)
    config = await op.use(Directories).config(session, domain_id)
    if not config:
        raise NotFound(f"Could not find any options for domain {domain_id}: it has no configuration.")
    return config


async def write(session: Session, op: Op, domain_id: str, new: Config) -> bool:
    """Put it in place of the old one; whether there was none. Raises Forbidden, Conflict."""
    directories = op.use(Directories)
    row = await tree.domain(session, domain_id)
    if directories.has_file(domain_id, row.name):
        raise Forbidden(f"The domain {domain_id} is configured by a file of this cloud's operator.")
    old = await directories.config(session, domain_id)
    await _settle(session, domain_id, driver_of(old), driver_of(new))
    await session.run(delete(domain_option).where(domain_option.c.domain_id == domain_id))
    for section, name, value in flat(new):
        key = {"domain_id": domain_id, "section": section, "name": name}
        await session.run(insert(domain_option), key | directories.stored(section, name, value))
    return not old


async def _settle(session: Session, domain_id: str, old: str, new: str) -> None:
    """See to the people when the directory becomes another."""
    if old == NATIVE != new and await mirror.natives(session, domain_id):
        raise Conflict(
            f"The domain {domain_id} has users or groups of its own. They would be hidden behind those of a "
            f"directory: delete them first, or configure a domain of its own for {new!r}."
        )
    if old not in {NATIVE, new}:
        await mirror.forget(session, domain_id)
    await mirror.look_anew(session, domain_id)


def part(config: Config, domain_id: str, section: str | None = None, option: str | None = None) -> Any:
    """A section with its name, an option with its name, or everything. Raises NotFound."""
    if section is None:
        return config
    if section not in config:
        raise NotFound(f"Could not find the group {section} in the configuration of domain {domain_id}.")
    if option is None:
        return {section: config[section]}
    if option not in config[section]:
        raise NotFound(f"Could not find the option {option} of {section} in the configuration of domain {domain_id}.")
    return {option: config[section][option]}


def merged(old: Config, new: Config) -> Config:
    """Option by option."""
    return {section: {**old.get(section, {}), **new.get(section, {})} for section in [*old, *(new.keys() - old.keys())]}


def without(config: Config, section: str | None = None, option: str | None = None) -> Config:
    """What is left when a section, an option or everything is taken away."""
    if section is None:
        return {}
    left = {name: dict(options) for name, options in config.items() if name != section or option is not None}
    if option is not None:
        del left[section][option]
    return {name: options for name, options in left.items() if options}
