"""The states of a server as data: what may become what, and what the API calls it.

`state` is what the server is, `task` what is being done to it. A task is set in the transaction that starts an
operation and cleared in the one that ends it, so a server with a task has a live operation, always. A move is an UPDATE
whose WHERE holds the legal sources: see verbs/server.py.
"""

from enum import StrEnum


class State(StrEnum):
    """What a server is."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    ERROR = "error"
    DELETED = "deleted"


class Task(StrEnum):
    """What is being done to a server."""

    SCHEDULING = "scheduling"
    SPAWNING = "spawning"
    STARTING = "powering-on"
    STOPPING = "powering-off"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    DELETING = "deleting"


MOVES: dict[State, frozenset[State]] = {
    State.BUILDING: frozenset({State.ACTIVE, State.STOPPED, State.ERROR, State.DELETED}),
    State.ACTIVE: frozenset({State.STOPPED, State.ERROR, State.DELETED}),
    State.STOPPED: frozenset({State.ACTIVE, State.ERROR, State.DELETED}),
    State.ERROR: frozenset({State.ACTIVE, State.STOPPED, State.DELETED}),
    State.DELETED: frozenset(),
}

# An action begins in one of these states, and only while nothing else is being done.
BEGINS: dict[Task, frozenset[State]] = {
    Task.STARTING: frozenset({State.STOPPED}),
    Task.STOPPING: frozenset({State.ACTIVE, State.ERROR}),
    Task.REBOOTING: frozenset({State.ACTIVE}),
    Task.REBOOTING_HARD: frozenset({State.ACTIVE, State.STOPPED, State.ERROR}),
}

_STATUS = {
    State.BUILDING: "BUILD",
    State.ACTIVE: "ACTIVE",
    State.STOPPED: "SHUTOFF",
    State.ERROR: "ERROR",
    State.DELETED: "DELETED",
}
_WHILE: dict[tuple[str, str | None], str] = {
    (State.ACTIVE, Task.REBOOTING): "REBOOT",
    (State.ACTIVE, Task.REBOOTING_HARD): "HARD_REBOOT",
    (State.STOPPED, Task.REBOOTING_HARD): "HARD_REBOOT",
    (State.ERROR, Task.REBOOTING_HARD): "HARD_REBOOT",
}
STATUSES: dict[tuple[str, str | None], str] = {
    (state, task): _WHILE.get((state, task), status) for state, status in _STATUS.items() for task in (None, *Task)
}
POWER = {"none": 0, "running": 1, "stopped": 4, "vanished": 6}


def sources(target: State) -> tuple[str, ...]:
    """The states that may become `target`."""
    return tuple(str(state) for state, targets in MOVES.items() if target in targets)


def pairs(status: str) -> list[tuple[str, str | None]]:
    """The (state, task) pairs that the API calls `status`; none for a word that is no status."""
    return [pair for pair, name in STATUSES.items() if name == status.upper()]
