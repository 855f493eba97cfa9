"""What can be done to a server: each begins a task and the operation that ends it, in one transaction."""

from typing import Any

from sqlalchemy import update

from maldon.compute.models.server import servers
from maldon.compute.plan.states import BEGINS, State, Task
from maldon.compute.sagas.delete_server import DELETE_SERVER
from maldon.compute.sagas.power_server import REBOOT_SERVER, START_SERVER, STOP_SERVER
from maldon.compute.verbs.guest import get_guest
from maldon.compute.verbs.server import LIVE_ROW, begin_task, check_unlocked, wrong_state
from maldon.kernel.op import Op, Session
from maldon.work.sagas import Fault, Saga, fail, live_operation, start


async def start_server(session: Session, op: Op, server: Any) -> None:
    await _power(session, op, server, Task.STARTING, START_SERVER, "start")


async def stop_server(session: Session, op: Op, server: Any) -> None:
    await _power(session, op, server, Task.STOPPING, STOP_SERVER, "stop")


async def reboot_server(session: Session, op: Op, server: Any, kind: str) -> None:
    task = Task.REBOOTING_HARD if kind == "HARD" else Task.REBOOTING
    await _power(session, op, server, task, REBOOT_SERVER, "reboot")


async def _power(session: Session, op: Op, server: Any, task: Task, saga: Saga, doing: str) -> None:
    check_unlocked(server, op)
    if server.state == State.ERROR and await get_guest(session, server.id) is None:
        raise wrong_state(server, doing)
    await begin_task(session, op, server, task, BEGINS[task], doing)
    await start(session, op, saga, server.id, {"task": task})


async def delete_server(session: Session, op: Op, server: Any) -> None:
    """Begin a deletion; it wins over whatever else is being done. A second one changes nothing."""
    check_unlocked(server, op)
    if server.task == Task.DELETING:
        return
    changed = await session.run(
        update(servers)
        .where(servers.c.id == server.id, LIVE_ROW)
        .where(servers.c.task.is_(None) | (servers.c.task != Task.DELETING))
        .values(task=Task.DELETING, updated_at=op.clock.now())
    )
    if not changed:
        return
    busy = await live_operation(session, server.id)
    if busy is not None:
        await fail(session, op, busy.id, Fault("deleted", "The server was deleted meanwhile."))
    await start(session, op, DELETE_SERVER, server.id, {})


async def reset_state(session: Session, op: Op, server: Any, state: State) -> None:
    """Set a server's state by hand; what was being done to it is given up."""
    busy = await live_operation(session, server.id)
    values = {"state": state, "task": None, "updated_at": op.clock.now()}
    await session.run(update(servers).where(servers.c.id == server.id, LIVE_ROW).values(values))
    if busy is not None:
        await fail(session, op, busy.id, Fault("reset", "An administrator reset the server's state."))


async def lock_server(session: Session, op: Op, server: Any, reason: str | None) -> None:
    values = {"locked": True, "locked_reason": reason, "updated_at": op.clock.now()}
    await session.run(update(servers).where(servers.c.id == server.id).values(values))


async def unlock_server(session: Session, op: Op, server: Any) -> None:
    values = {"locked": False, "locked_reason": None, "updated_at": op.clock.now()}
    await session.run(update(servers).where(servers.c.id == server.id).values(values))
