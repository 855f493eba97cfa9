"""Flavors within a transaction: found by whoever may use them, made, changed, shared with projects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, exists, insert, select, update

from maldon.compute.models.flavor import flavor_access, flavors
from maldon.kernel.errors import BadRequest, Conflict, Duplicate, NotFound
from maldon.kernel.op import Op, Session
from maldon.store.paging import Page, fetch

DEFAULTS = (
    ("42", "m1.nano", 1, 128, 1),
    ("84", "m1.micro", 1, 256, 1),
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
)


@dataclass(frozen=True, slots=True)
class Flavor:
    """What a server may be. Root disks and ephemeral ones are in GiB, swap and memory in MiB."""

    id: str
    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    ephemeral_gb: int
    swap_mb: int
    rxtx_factor: float
    is_public: bool
    description: str | None
    extra_specs: dict[str, str]


_COLUMNS = tuple(flavors.c[name] for name in Flavor.__dataclass_fields__)


# Statements are made once, with their values left open: making one takes longer than answering it.
_SHARED = exists().where(
    flavor_access.c.flavor_id == flavors.c.id, flavor_access.c.project_id == bindparam("project_id")
)
_ALL = select(*_COLUMNS)
_USABLE = _ALL.where(flavors.c.is_public.is_(True) | _SHARED)
_ONE, _ONE_USABLE = (statement.where(flavors.c.id == bindparam("flavor_id")) for statement in (_ALL, _USABLE))
_LARGE = (flavors.c.memory_mb >= bindparam("memory_mb"), flavors.c.disk_gb >= bindparam("disk_gb"))
_LISTS = {
    None: _ALL.where(*_LARGE),
    True: _ALL.where(flavors.c.is_public.is_(True), *_LARGE),
    False: _ALL.where(flavors.c.is_public.is_(False), *_LARGE),
}
_USABLE_LIST = _USABLE.where(*_LARGE)


def sees_all(op: Op) -> bool:
    """Operators use every flavor; others the public ones and those shared with their project."""
    return op.can("os_compute_api:os-flavor-access")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which flavors are looked for. Whether public ones are is for operators to say; None is both kinds."""

    memory_mb: int = 0
    disk_gb: int = 0
    public: bool | None = None


async def list_flavors(session: Session, op: Op, filters: Filters, page: Page) -> list[Flavor]:
    """A page of the flavors that the asker may use. Raises BadRequest for an unknown marker."""
    params: dict[str, Any] = {"memory_mb": filters.memory_mb, "disk_gb": filters.disk_gb}
    if sees_all(op):
        statement = _LISTS[filters.public]
    else:
        statement, params["project_id"] = _USABLE_LIST, op.actor.project_id or ""
    columns = [(flavors.c[name], direction) for name, direction in page.sort] + [(flavors.c.id, "asc")]
    unknown = BadRequest(f"marker [{page.marker}] not found")
    return [Flavor(*row) for row in await fetch(session, statement, page, columns, unknown, params)]


def absent(flavor_id: str) -> NotFound:
    return NotFound(f"Flavor {flavor_id} could not be found.", kind="FlavorNotFound")


async def get_flavor(session: Session, op: Op, flavor_id: str) -> Flavor:
    """The flavor, if the asker may use it. Raises NotFound."""
    if sees_all(op):
        row = await session.first(_ONE, {"flavor_id": flavor_id})
    else:
        row = await session.first(_ONE_USABLE, {"flavor_id": flavor_id, "project_id": op.actor.project_id or ""})
    if row is None:
        raise absent(flavor_id)
    return Flavor(*row)


async def create_flavor(session: Session, op: Op, flavor: Flavor) -> None:
    """Raises Conflict when its id or its name is taken."""
    taken = select(flavors.c.id).where((flavors.c.id == flavor.id) | (flavors.c.name == flavor.name))
    if (row := await session.first(taken)) is not None:
        same = f"ID {flavor.id}" if row.id == flavor.id else f"name {flavor.name}"
        raise Duplicate(f"Flavor with {same} already exists.")
    now = op.clock.now()
    await session.run(insert(flavors), _values(flavor) | {"created_at": now, "updated_at": now})


def _values(flavor: Flavor) -> dict[str, Any]:
    return {name: getattr(flavor, name) for name in Flavor.__dataclass_fields__}


async def describe_flavor(session: Session, op: Op, flavor_id: str, description: str | None) -> Flavor:
    """Change the description. Raises NotFound."""
    values = {"description": description, "updated_at": op.clock.now()}
    await session.run(update(flavors).where(flavors.c.id == flavor_id).values(values))
    return await get_flavor(session, op, flavor_id)


async def delete_flavor(session: Session, flavor_id: str) -> None:
    """Servers keep what they were made of. Raises NotFound."""
    if not await session.run(delete(flavors).where(flavors.c.id == flavor_id)):
        raise absent(flavor_id)


async def change_specs(
    session: Session, op: Op, flavor_id: str, change: Callable[[dict[str, str]], Mapping[str, str]]
) -> dict[str, str]:
    """The extra specs as `change` makes them of what they were. Raises NotFound."""
    await session.lock(f"flavor:{flavor_id}")
    flavor = await get_flavor(session, op, flavor_id)
    specs = dict(change(dict(flavor.extra_specs)))
    values = {"extra_specs": specs, "updated_at": op.clock.now()}
    await session.run(update(flavors).where(flavors.c.id == flavor_id).values(values))
    return specs


async def projects_with(session: Session, flavor_id: str) -> list[str]:
    """The projects a private flavor is shared with."""
    mine = select(flavor_access.c.project_id).where(flavor_access.c.flavor_id == flavor_id)
    return [row.project_id for row in await session.all(mine.order_by(flavor_access.c.project_id))]


async def share_flavor(session: Session, flavor: Flavor, project_id: str) -> None:
    """Raises Conflict when it is shared with the project already."""
    try:
        await session.run(insert(flavor_access), {"flavor_id": flavor.id, "project_id": project_id})
    except Duplicate as error:
        raise Conflict(
            f"Flavor access already exists for flavor {flavor.id} and project {project_id} combination."
        ) from error


async def unshare_flavor(session: Session, flavor: Flavor, project_id: str) -> None:
    """Raises NotFound when it is not shared with the project."""
    both = (flavor_access.c.flavor_id == flavor.id, flavor_access.c.project_id == project_id)
    if not await session.run(delete(flavor_access).where(*both)):
        raise NotFound(f"Flavor access not found for {flavor.id} / {project_id} combination.")


async def ensure_flavors(op: Op) -> None:
    """Where there is no flavor at all, the usual ones: an operator who has others keeps them alone."""
    async with op.db.begin() as session:
        await session.lock("flavors")
        if await session.first(select(flavors.c.id).limit(1)) is not None:
            return
        for flavor_id, name, vcpus, memory_mb, disk_gb in DEFAULTS:
            await create_flavor(
                session, op, Flavor(flavor_id, name, vcpus, memory_mb, disk_gb, 0, 0, 1.0, True, None, {})
            )
