"""Telling the nodes that their wiring changed, after the commit.

The topic of one host wakes whoever waits for that host's wiring, WIRING_TOPIC whoever waits for any. Two kinds of
change come with every port and concern many hosts: a group has another member, a network another peer. Nobody sleeps on
their topics: whoever carries the group or the network sees at its next look that something was heard, so that such
changes are gathered for a while, and nobody else looks. A wake is a hint: waiters also look again on a timer.
"""

from collections.abc import Iterable

from maldon.kernel.op import Op, Session

WIRING_TOPIC = "wiring"


def wiring_topic(host: str) -> str:
    """What is woken when one host's wiring changes."""
    return f"{WIRING_TOPIC}.{host}"


def members_topic(group_id: str) -> str:
    """What is heard of when a group has other members."""
    return f"{WIRING_TOPIC}-members.{group_id}"


def peers_topic(network_id: str) -> str:
    """What is heard of when other hosts carry a network."""
    return f"{WIRING_TOPIC}-peers.{network_id}"


def wake_all(session: Session, op: Op) -> None:
    """Something changed that any node may carry."""
    session.after_commit(lambda: op.wake(WIRING_TOPIC))


def wake_hosts(session: Session, op: Op, hosts: Iterable[str]) -> None:
    """The wiring of these hosts changed."""
    for host in sorted({h for h in hosts if h}):
        session.after_commit(lambda host=host: op.wake(wiring_topic(host)))  # type: ignore[misc]


def wake_members(session: Session, op: Op, group_ids: Iterable[str]) -> None:
    """These groups have other members."""
    for group in sorted(set(group_ids)):
        session.after_commit(lambda group=group: op.wake(members_topic(group)))  # type: ignore[misc]


def wake_peers(session: Session, op: Op, network_id: str) -> None:
    """The network is carried by another host, or by one less."""
    session.after_commit(lambda: op.wake(peers_topic(network_id)))
