"""Start, stop and reboot: one change of what is wanted, then the host's report.

Power is a state and a reboot is a counter, so a repeat repeats instead of doubling. When the host does not answer in
time the former power is wanted again and the server is what it was.
"""

from typing import Any

import msgspec

from maldon.compute.plan.states import Task
from maldon.compute.verbs.guest import change_guest, get_guest, spec_of
from maldon.compute.verbs.server import end_task
from maldon.kernel.errors import Conflict
from maldon.kernel.op import Session
from maldon.ports.hypervisor import GuestSpec
from maldon.work.sagas import Saga, Step, Work

DEADLINE_S = 180


def _changed(spec: GuestSpec, task: str) -> GuestSpec:
    match task:
        case Task.STOPPING:
            return msgspec.structs.replace(spec, power="stopped")
        case Task.REBOOTING:
            return msgspec.structs.replace(spec, soft_boots=spec.soft_boots + 1)
    # A start is a boot too: without a new number a stopped guest counts as one that shut itself down.
    return msgspec.structs.replace(spec, power="running", hard_boots=spec.hard_boots + 1)


async def change_power(session: Session, work: Work) -> dict[str, Any]:
    guest = await get_guest(session, work.subject)
    spec = spec_of(guest) if guest is not None else None
    if spec is None:
        raise Conflict("The server has no guest on any host; only deleting it is left.")
    after = _changed(spec, work.params["task"])
    await change_guest(session, work.op, guest, after, operation_id=work.operation_id)
    return {"power": spec.power}


async def restore_power(session: Session, work: Work) -> None:
    guest = await get_guest(session, work.subject)
    spec = spec_of(guest) if guest is not None else None
    if spec is not None:
        before = msgspec.structs.replace(spec, power=work.done["intent"]["power"])
        await change_guest(session, work.op, guest, before, operation_id=None)


async def give_up(session: Session, work: Work) -> None:
    await end_task(session, work.op, work.subject, [Task(work.params["task"])], None)


def _saga(kind: str) -> Saga:
    steps = (Step("intent", change_power, undo=restore_power),)
    return Saga(kind, steps, give_up=give_up, awaits=True, deadline_s=DEADLINE_S)


START_SERVER, STOP_SERVER, REBOOT_SERVER = _saga("server.start"), _saga("server.stop"), _saga("server.reboot")
