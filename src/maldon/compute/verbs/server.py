"""Servers within a transaction: found, counted, moved from state to state, changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, Update, bindparam, func, insert, select, type_coerce, update

from maldon.compute.models.server import server_tags, servers
from maldon.compute.plan.states import State, Task, sources
from maldon.compute.verbs.quota_set import quota_limits
from maldon.kernel.errors import Conflict, NotFound, QuotaExceeded
from maldon.kernel.op import Op, Session
from maldon.work.models import operations
from maldon.work.sagas import LIVE, Fault

LIVE_ROW = servers.c.deleted_at.is_(None)
_OPERATORS = frozenset({"user_data", "reservation_id", "launch_index"})
_UNSEEN = _OPERATORS | {"image", "key_data", "admin_pass", "vcpus", "memory_mb", "disk_gb", "host_id"}
_AS_TEXT = frozenset({"properties", "flavor"})


@dataclass(frozen=True, slots=True)
class Usage:
    """What live servers use."""

    instances: int
    cores: int
    ram: int


def target(server: Any) -> dict[str, Any]:
    """A server as the policy sees it."""
    return {"project_id": server.project_id, "tenant_id": server.project_id, "user_id": server.user_id}


async def find_server(session: Session, op: Op, server_id: str, rule: str, *, deleted: bool = False) -> Any:
    """The server, if the asker may do `rule` to it. Raises NotFound when it is none of the asker's, else Forbidden."""
    return await _find(session, op, _BY_ID, server_id, rule, deleted=deleted)


async def see_server(session: Session, op: Op, server_id: str, rule: str, *, operator: bool) -> Any:
    """As `find_server`, with what views show."""
    return await _find(session, op, _SEEN_BY_ID[operator], server_id, rule)


async def _find(
    session: Session, op: Op, statement: Select[Any], server_id: str, rule: str, *, deleted: bool = False
) -> Any:
    server = await session.first(statement, {"server": server_id})
    gone = server is None or (server.deleted_at is not None and not deleted)
    if gone or not op.can("os_compute_api:servers:show", target(server)):
        raise NotFound(f"Instance {server_id} could not be found.")
    op.may(rule, target(server))
    return server


@cache
def seen_columns(*, operator: bool) -> tuple[ColumnElement[Any], ...]:
    """What views show of a server. Documents that are shown as they are stored come as text, not taken apart."""
    wanted = [c for c in servers.c if c.name not in _UNSEEN or (operator and c.name in _OPERATORS)]
    return tuple(type_coerce(c, Text).label(c.name) if c.name in _AS_TEXT else c for c in wanted)


# Made once: to build a statement of forty columns costs more than to run it.
_BY_ID = select(servers).where(servers.c.id == bindparam("server"))
_SEEN_BY_ID = {
    operator: select(*seen_columns(operator=operator)).where(servers.c.id == bindparam("server"))
    for operator in (False, True)
}


async def find_idle(session: Session, op: Op, server_id: str, rule: str, doing: str) -> Any:
    """The server, if nothing else is being done to it and it is not locked. Raises Conflict."""
    server = await find_server(session, op, server_id, rule)
    check_unlocked(server, op)
    if server.task is not None:
        raise wrong_state(server, doing)
    return server


def check_unlocked(server: Any, op: Op) -> None:
    """Raises Conflict for a locked server, unless an admin asks."""
    if server.locked and not op.can("os_compute_api:os-lock-server:unlock:unlock_override", target(server)):
        raise Conflict(f"Instance {server.id} is locked")


def wrong_state(server: Any, doing: str) -> Conflict:
    """What is being done, or what the server is, stands in the way."""
    word, value = ("task_state", server.task) if server.task else ("vm_state", server.state)
    return Conflict(f"Cannot '{doing}' instance {server.id} while it is in {word} {value}", code="wrong-state")


async def begin_task(session: Session, op: Op, server: Any, task: Task, states: Iterable[State], doing: str) -> None:
    """Say what is being done from now on; the caller starts the operation. Raises Conflict when another is quicker."""
    changed = await session.run(
        update(servers)
        .where(servers.c.id == server.id, LIVE_ROW, servers.c.task.is_(None), servers.c.state.in_([*states]))
        .values(task=task, updated_at=op.clock.now())
    )
    if not changed:
        raise wrong_state(server, doing)


async def next_task(session: Session, op: Op, server_id: str, before: Iterable[Task], task: Task, **more: Any) -> bool:
    """The same operation goes on with its next task; False when another took the server over."""
    params = {"server": server_id, "tasks": [*before, task], "then": task, "now": op.clock.now()}
    return bool(await session.run(_next_task(tuple(sorted(more))), params | {f"new_{k}": v for k, v in more.items()}))


_MINE = (servers.c.id == bindparam("server"), servers.c.task.in_(bindparam("tasks", expanding=True)))
_NOW = bindparam("now", type_=servers.c.updated_at.type)


def _new(names: Iterable[str]) -> dict[str, Any]:
    return {name: bindparam(f"new_{name}", type_=servers.c[name].type) for name in names}


@cache
def _next_task(more: tuple[str, ...]) -> Update:
    return update(servers).where(*_MINE).values(task=bindparam("then"), updated_at=_NOW, **_new(more))


@cache
def _end_task(more: tuple[str, ...], to: State | None) -> Update:
    statement = update(servers).where(*_MINE).values(task=None, updated_at=_NOW, **_new(more))
    if to is None:
        return statement
    return statement.where(servers.c.state.in_([*sources(to), to])).values(state=to)


async def end_task(
    session: Session, op: Op, server_id: str, tasks: Iterable[Task], to: State | None, **more: Any
) -> bool:
    """The operation is over: no task, and the state `to` if that is a legal move; False when another took over."""
    params = {"server": server_id, "tasks": [*tasks], "now": op.clock.now()}
    params |= {f"new_{name}": value for name, value in more.items()}
    return bool(await session.run(_end_task(tuple(sorted(more)), to), params))


async def drift(session: Session, op: Op, server_id: str, to: State, **more: Any) -> bool:
    """The server changed by itself while nothing was being done to it."""
    changed = await session.run(
        update(servers)
        .where(servers.c.id == server_id, LIVE_ROW, servers.c.task.is_(None), servers.c.state.in_(sources(to)))
        .values(state=to, updated_at=op.clock.now(), **more)
    )
    return bool(changed)


def fault_document(fault: Fault | None, at: int) -> dict[str, Any] | None:
    """A fault as the API shows it."""
    if fault is None:
        return None
    return {"status": 500, "at": at, "code": fault.code, "message": fault.message[:255], "details": fault.details}


_MAKE = insert(servers)
_USAGE = select(
    func.count(), func.coalesce(func.sum(servers.c.vcpus), 0), func.coalesce(func.sum(servers.c.memory_mb), 0)
).where(servers.c.project_id == bindparam("project"), LIVE_ROW)
_USAGE_OF_USER = _USAGE.where(servers.c.user_id == bindparam("user"))


async def usage(session: Session, project_id: str, user_id: str | None = None) -> Usage:
    """What the live servers of a project (or of one user in it) use, counted."""
    statement = _USAGE if user_id is None else _USAGE_OF_USER
    row = await session.first(statement, {"project": project_id, "user": user_id})
    return Usage(*map(int, row))


async def room_for(session: Session, op: Op, count: int, least: int, flavor: Any) -> int:
    """How many of `count` servers the project's quota has room for, at least `least`. Raises QuotaExceeded.

    The project's name is locked until the end of the transaction, so that two requests cannot take the same room.
    """
    project = op.actor.project_id or ""
    await session.lock(f"quota:{project}")
    limits, used = await quota_limits(session, op, project), await usage(session, project)
    wanted = {
        "instances": (1, used.instances),
        "cores": (flavor.vcpus, used.cores),
        "ram": (flavor.memory_mb, used.ram),
    }
    fit, over = count, []
    for name, (each, taken) in wanted.items():
        limit = limits[name]
        if limit >= 0 and each:
            fit = min(fit, max(0, (limit - taken) // each))
            if taken + each * least > limit:
                over.append((name, each * least, taken, limit))
    if over:
        names = ", ".join(name for name, *_ in over)
        raise QuotaExceeded(
            f"Quota exceeded for {names}: Requested {', '.join(str(o[1]) for o in over)}, but already used "
            f"{', '.join(str(o[2]) for o in over)} of {', '.join(str(o[3]) for o in over)} {names}"
        )
    return fit


_TAGS = (
    select(server_tags)
    .where(server_tags.c.server_id.in_(bindparam("servers", expanding=True)))
    .order_by(server_tags.c.tag)
)


async def tags_of(session: Session, ids: Iterable[str]) -> dict[str, list[str]]:
    """Tags by server."""
    found: dict[str, list[str]] = {}
    for row in await session.all(_TAGS, {"servers": [*ids]}):
        found.setdefault(row.server_id, []).append(row.tag)
    return found


async def write_servers(session: Session, rows: list[dict[str, Any]], tags: Iterable[str]) -> None:
    """New servers with the same tags each."""
    await session.run(_MAKE, rows)
    pairs = [{"server_id": row["id"], "tag": tag} for row in rows for tag in tags]
    if pairs:
        await session.run(insert(server_tags), pairs)


async def change_server(session: Session, op: Op, server_id: str, values: Mapping[str, Any]) -> Any:
    """Change a server's words; the row as it is then. Raises NotFound when it was deleted meanwhile."""
    changed = await session.run(
        update(servers).where(servers.c.id == server_id, LIVE_ROW).values(**values, updated_at=op.clock.now())
    )
    if not changed:
        raise NotFound(f"Instance {server_id} could not be found.")
    return await session.first(select(servers).where(servers.c.id == server_id))


async def stuck(session: Session) -> list[str]:
    """Servers that something is said to be done to, or that are being built, without a live operation: none, ever."""
    busy = select(servers.c.id).where(LIVE_ROW, servers.c.task.is_not(None) | (servers.c.state == State.BUILDING))
    alive = select(operations.c.subject).where(operations.c.state.in_(LIVE))
    rows = await session.all(busy.where(servers.c.id.not_in(alive)).order_by(servers.c.id))
    return [row.id for row in rows]
