"""POST /servers/{id}/action: a table of actions, each with its arguments, its rule and what it does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from maldon.compute.plan.states import State
from maldon.compute.schemas import action as schemas
from maldon.compute.settings import ComputeSettings
from maldon.compute.verbs import action as verbs
from maldon.compute.verbs.guest import get_guest
from maldon.compute.verbs.job import ask_host, job_answer, job_topic
from maldon.compute.verbs.nics import add_group, remove_group
from maldon.compute.verbs.server import check_unlocked, find_server
from maldon.kernel.errors import BadRequest, Conflict, NotFound, NotOffered
from maldon.kernel.op import Op, Session
from maldon.web.microversion import Version
from maldon.web.request import Reply, Request, empty, json
from maldon.work.wakes import Wakes, sleep

MOST_CONSOLE = 1 << 20
LINE = 256


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its arguments, its rule, and its part inside the transaction."""

    kind: type[Struct]
    rule: str
    do: Callable[[Session, Op, Any, Any], Awaitable[None]]
    since: Version = (2, 1)


async def _start(session: Session, op: Op, server: Any, _: Any) -> None:
    await verbs.start_server(session, op, server)


async def _stop(session: Session, op: Op, server: Any, _: Any) -> None:
    await verbs.stop_server(session, op, server)


async def _reboot(session: Session, op: Op, server: Any, asked: schemas.Reboot) -> None:
    await verbs.reboot_server(session, op, server, asked.type.upper())


async def _reset(session: Session, op: Op, server: Any, asked: schemas.ResetState) -> None:
    await verbs.reset_state(session, op, server, State(asked.state))


async def _lock(session: Session, op: Op, server: Any, asked: schemas.Lock) -> None:
    if asked.locked_reason is not None and op.version < (2, 73):
        raise BadRequest("Invalid input for field/attribute lock. locked_reason is known since 2.73.")
    await verbs.lock_server(session, op, server, asked.locked_reason)


async def _unlock(session: Session, op: Op, server: Any, _: Any) -> None:
    await verbs.unlock_server(session, op, server)


async def _add_group(session: Session, op: Op, server: Any, asked: schemas.SecurityGroup) -> None:
    check_unlocked(server, op)
    await add_group(session, op, server, asked.name)


async def _remove_group(session: Session, op: Op, server: Any, asked: schemas.SecurityGroup) -> None:
    check_unlocked(server, op)
    await remove_group(session, op, server, asked.name)


async def _force_delete(session: Session, op: Op, server: Any, _: Any) -> None:
    await verbs.delete_server(session, op, server)


_P = "os_compute_api:"
ACTIONS = {
    "os-start": Action(schemas.Nothing, _P + "servers:start", _start),
    "os-stop": Action(schemas.Nothing, _P + "servers:stop", _stop),
    "reboot": Action(schemas.Reboot, _P + "servers:reboot", _reboot),
    "os-resetState": Action(schemas.ResetState, _P + "os-admin-actions:reset_state", _reset),
    "lock": Action(schemas.Lock, _P + "os-lock-server:lock", _lock),
    "unlock": Action(schemas.Nothing, _P + "os-lock-server:unlock", _unlock),
    "forceDelete": Action(schemas.Nothing, _P + "servers:delete", _force_delete),
    "addSecurityGroup": Action(schemas.SecurityGroup, _P + "os-security-groups:add", _add_group),
    "removeSecurityGroup": Action(schemas.SecurityGroup, _P + "os-security-groups:remove", _remove_group),
}
NOT_OFFERED = frozenset({
    "changePassword", "confirmResize", "createBackup", "createImage", "evacuate", "migrate", "os-migrateLive", "pause",
    "rebuild", "rescue", "resize", "restore", "resume", "revertResize", "shelve", "shelveOffload", "suspend",
    "trigger_crash_dump", "unpause", "unrescue", "unshelve", "injectNetworkInfo",
})  # fmt: skip


async def act(request: Request, op: Op) -> Reply:
    """Every action but the console log is accepted here and ends later; which ones there are says ACTIONS."""
    body = await request.load(schemas.Action)
    if len(body) != 1:
        raise BadRequest("Invalid input: the body must hold exactly one action.")
    [(name, value)] = body.items()
    server_id = request.path["id"]
    if name == "os-getConsoleOutput":
        return await _console(op, server_id, schemas.arguments(value, schemas.ConsoleOutput, name))
    action = ACTIONS.get(name)
    if action is None:
        return await _refuse(op, server_id, name)
    asked = schemas.arguments(value, action.kind, name)
    async with op.db.begin() as session:
        server = await find_server(session, op, server_id, action.rule)
        await action.do(session, op, server, asked)
    return empty(202)


async def _refuse(op: Op, server_id: str, name: str) -> Reply:
    if name not in NOT_OFFERED:
        raise BadRequest(f"There is no such action: {name[:64]}.")
    async with op.db.read() as session:
        await find_server(session, op, server_id, "os_compute_api:servers:not-offered")
    raise NotOffered(f"The action {name} is not offered by this cloud.")


async def _console(op: Op, server_id: str, asked: schemas.ConsoleOutput) -> Reply:
    """Have the host read the log and wait a little for its answer."""
    lines = None if asked.length is None or int(asked.length) < 0 else int(asked.length)
    limit = MOST_CONSOLE if lines is None else min(MOST_CONSOLE, (lines + 1) * LINE)
    async with op.db.begin() as session:
        server = await find_server(session, op, server_id, "os_compute_api:os-console-output")
        guest = await get_guest(session, server.id)
        if guest is None or not guest.wanted:
            raise Conflict(f"Instance {server.id} is not ready")
        job_id = await ask_host(session, op, guest, "console-log", {"limit": limit})
    answer = await _answer(op, job_id)
    if answer is None:
        raise Conflict(f"The host of instance {server.id} did not answer in time; please try again.")
    if answer.error:
        raise NotFound(f"The console log cannot be read: {answer.error}")
    return json({"output": _tail(answer.output or "", lines)})


def _tail(text: str, lines: int | None) -> str:
    if lines is None:
        return text
    return "\n".join(text.rstrip("\n").split("\n")[-lines:]) if lines else ""


async def _answer(op: Op, job_id: str) -> Any:
    """The job's row, or None when the host keeps silent too long. A lost wake costs a second."""
    deadline = asyncio.get_running_loop().time() + op.use(ComputeSettings).console_wait_s
    with op.use(Wakes).listening(job_topic(job_id)) as event:
        while True:
            event.clear()
            async with op.db.read() as session:
                answer = await job_answer(session, job_id)
            left = deadline - asyncio.get_running_loop().time()
            if answer is not None or left <= 0:
                return answer
            await sleep(event, min(left, 1.0))
