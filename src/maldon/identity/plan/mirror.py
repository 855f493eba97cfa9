"""What has to change in a domain's mirror of its directory, so that it shows what was seen there. Pure.

Names are unique in a domain. Where the directory has a name twice, the second is left out; where a name has gone from
one to another, the rows that are in the way give it up first (`park`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from maldon.ports.directory import DirectoryGroup, DirectoryUser

USER, GROUP = "user", "group"
NAME_LENGTH = 255
Values = dict[str, Any]


def public_id(domain_id: str, kind: str, local_id: str) -> str:
    """The id under which everybody but the directory knows it; the same one for ever, and the same as Keystone's."""
    return sha256(f"{domain_id}{kind}{local_id}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a directory said: things by kind and public id, with their local ids; who is in which group."""

    things: Mapping[tuple[str, str], tuple[str, Values]]
    members: frozenset[tuple[str, str]]
    complete: bool = False


@dataclass(slots=True)
class Changes:
    """In the order in which they are made."""

    leave: set[tuple[str, str]] = field(default_factory=set)
    remove: list[tuple[str, str]] = field(default_factory=list)
    park: list[tuple[str, str]] = field(default_factory=list)
    change: list[tuple[str, str, Values]] = field(default_factory=list)
    add: list[tuple[str, str, str, Values]] = field(default_factory=list)
    join: set[tuple[str, str]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.leave or self.remove or self.park or self.change or self.add or self.join)


def seen_of(
    domain_id: str,
    users: Iterable[DirectoryUser],
    groups: Iterable[DirectoryGroup],
    memberships: Mapping[str, Iterable[str]],
    *,
    complete: bool = False,
) -> Seen:
    """The directory's words in ours. Of several things of one name, the first; none whose name is too long."""
    things: dict[tuple[str, str], tuple[str, Values]] = {}
    taken: set[tuple[str, str]] = set()
    found = [(USER, user.id, user_values(user)) for user in users]
    found += [(GROUP, group.id, group_values(group)) for group in groups]
    for kind, local_id, values in found:
        name = (kind, values["name"])
        if name not in taken and len(values["name"]) <= NAME_LENGTH:
            taken.add(name)
            things[kind, public_id(domain_id, kind, local_id)] = (local_id, values)
    members = frozenset(
        (public_id(domain_id, GROUP, group_id), public_id(domain_id, USER, user_id))
        for group_id, user_ids in memberships.items()
        for user_id in user_ids
    )
    return Seen(things, members, complete)


def user_values(user: DirectoryUser) -> Values:
    """What of a user's row comes from the directory."""
    return {
        "name": user.name,
        "enabled": user.enabled,
        "default_project_id": user.default_project_id,
        "extra": user.extra or None,
    }


def group_values(group: DirectoryGroup) -> Values:
    """What of a group's row comes from the directory."""
    return {"name": group.name, "description": group.description, "extra": group.extra or None}


def plan(
    stored: Mapping[tuple[str, str], Values],
    members: Iterable[tuple[str, str]],
    holders: Mapping[tuple[str, str], str],
    seen: Seen,
) -> Changes:
    """From rows and memberships that the mirror has to those that were seen.

    `stored` are the rows concerned, `members` the memberships that `seen` speaks of, and `holders` says which row of
    the domain has a name now. Only what was seen completely tells what is gone.
    """
    changes = Changes(remove=[key for key in stored if seen.complete and key not in seen.things])
    gone = set(changes.remove)
    for key, (local_id, values) in seen.things.items():
        kind, id_ = key
        holder = holders.get((kind, values["name"]))
        if holder not in {None, id_} and (kind, holder) not in gone:
            changes.park.append((kind, str(holder)))
        if key not in stored:
            changes.add.append((kind, id_, local_id, values))
        elif different := {n: value for n, value in values.items() if stored[key][n] != value}:
            changes.change.append((kind, id_, different))
    there, old = {*stored, *seen.things} - gone, set(members)
    wanted = {(g, u) for g, u in seen.members if (GROUP, g) in there and (USER, u) in there}
    still = {(g, u) for g, u in old if (GROUP, g) not in gone and (USER, u) not in gone}
    changes.leave, changes.join = still - seen.members, wanted - old
    return changes
