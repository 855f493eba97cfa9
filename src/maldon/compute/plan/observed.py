"""What a host's report of a guest means for its server. Pure.

A report counts when it speaks of the revision that is wanted now; an older one only shows power. Whatever power the
guest came to rest in, the operation that waited for the revision has ended: a guest that shut itself down at once was
built all the same.
"""

from dataclasses import dataclass
from typing import Literal

from maldon.compute.plan.states import State
from maldon.ports.agent import ObservedGuest
from maldon.ports.hypervisor import GuestSpec

Meaning = Literal["nothing", "removed", "failed", "arrived", "left"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`arrived`: as desired. `left`: the guest changed its power by itself. `state` is what its server is now."""

    meaning: Meaning
    state: State | None = None


def judge(wanted: GuestSpec | None, revision: int, report: ObservedGuest) -> Verdict:
    """The meaning of a report, given what is wanted (None: nothing) at which revision."""
    if report.revision != revision:
        return Verdict("nothing")
    if wanted is None:
        return Verdict("removed" if report.power == "absent" else "nothing")
    if report.error is not None:
        return Verdict("failed")
    if report.power not in {"running", "stopped"}:
        return Verdict("nothing")
    if wanted.power == "running" and (
        report.hard_boots < wanted.hard_boots or report.soft_boots < wanted.soft_boots
    ):  # the boot is still to come; a guest that is to be off boots no more
        return Verdict("nothing")
    state = State.ACTIVE if report.power == "running" else State.STOPPED
    if report.power == wanted.power:
        return Verdict("arrived", state)
    return Verdict("left", state) if report.power == "stopped" else Verdict("nothing")
