"""Telling the nodes that their wiring changed, after the commit.

The topic of one host wakes whoever waits for that host's wiring, WIRING_TOPIC whoever waits for any. MEMBERS_TOPIC says
that some group has another member, which happens with every port: waiters gather such changes for a while. A wake is a
hint: waiters also look again on a timer.
"""

from collections.abc import Iterable

from maldon.kernel.op import Op, Session

WIRING_TOPIC = "wiring"
MEMBERS_TOPIC = "wiring-members"


def wiring_topic(host: str) -> str:
    """What is woken when one host's wiring changes."""
    return f"{WIRING_TOPIC}.{host}"


def wake_all(session: Session, op: Op) -> None:
    """Something changed that any node may carry."""
    session.after_commit(lambda: op.wake(WIRING_TOPIC))


def wake_hosts(session: Session, op: Op, hosts: Iterable[str]) -> None:
    """The wiring of these hosts changed."""
    for host in sorted({h for h in hosts if h}):
        session.after_commit(lambda host=host: op.wake(wiring_topic(host)))  # type: ignore[misc]


def wake_members(session: Session, op: Op) -> None:
    """Some group has other members."""
    session.after_commit(lambda: op.wake(MEMBERS_TOPIC))
