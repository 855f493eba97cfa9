"""What the driver remembers of a guest from one agent process to the next: `state.json` in the guest's directory.

`done` are the boot numbers known to be carried out. `launched` are the numbers the latest start covers, written before
it: while the guest runs they are true, however the agent died. So a reboot is neither forgotten nor done twice.
"""

from pathlib import Path
from typing import Self

import msgspec

from maldon.drivers.hypervisor.disk import commit
from maldon.ports.hypervisor import GuestSeen, GuestSpec, Power

FILE = "state.json"


class Boots(msgspec.Struct, frozen=True):
    hard: int
    soft: int

    @classmethod
    def of(cls, spec: GuestSpec) -> Self:
        return cls(spec.hard_boots, spec.soft_boots)

    def behind(self, spec: GuestSpec) -> bool:
        """Whether the spec asks for boots that are not among these."""
        return self.hard < spec.hard_boots or self.soft < spec.soft_boots


class State(msgspec.Struct, frozen=True):
    """`power` is what the guest was brought to last, or brought itself to.

    `returns`: its power button was pressed for a reboot, so when it has shut down it is to be started, not taken for
    stopped.
    """

    power: Power
    done: Boots
    launched: Boots
    tap_ports: tuple[str, ...] = ()
    returns: bool = False

    def seen(self, *, alive: bool) -> GuestSeen:
        """The guest as it is, given whether it has a process. Its taps are those that its process holds open."""
        if alive:
            return GuestSeen("running", self.launched.hard, self.launched.soft, self.tap_ports)
        return GuestSeen("vanished" if self.power == "running" else "stopped", self.done.hard, self.done.soft)

    def write(self, directory: Path) -> None:
        part = directory / f"{FILE}.part"
        part.write_bytes(msgspec.json.encode(self))
        commit(part, directory / FILE)


def read(directory: Path) -> State | None:
    """None for a guest whose disks were never finished, or whose directory is not ours."""
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return None
