"""Which roles follow from which, and who holds what in the end. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """An assignment. Its target is a project, a domain or the system; an inherited one counts below it only."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool


@dataclass(frozen=True, slots=True)
class Effective:
    """A role that a user has somewhere, and the assignment it comes from."""

    user_id: str
    target_kind: str
    target_id: str
    role_id: str
    origin: Held


def closure(role_ids: Iterable[str], implied: Mapping[str, Iterable[str]]) -> set[str]:
    """The roles and everything they imply, at any distance; circles do no harm."""
    found: set[str] = set()
    ahead = list(role_ids)
    while ahead:
        role_id = ahead.pop()
        if role_id not in found:
            found.add(role_id)
            ahead.extend(implied.get(role_id, ()))
    return found


def expand(
    held: Iterable[Held],
    members: Mapping[str, Iterable[str]],
    below: Mapping[str, Iterable[str]],
    implied: Mapping[str, Iterable[str]],
) -> list[Effective]:
    """Groups become their members, inherited targets the projects below them, roles what they imply. Each once."""
    found: dict[tuple[str, str, str, str], Effective] = {}
    for one in held:
        for user_id in members.get(one.actor_id, ()) if one.actor_kind == "group" else (one.actor_id,):
            for kind, target_id in _targets(one, below):
                for role_id in sorted(closure((one.role_id,), implied)):
                    key = (user_id, kind, target_id, role_id)
                    found.setdefault(key, Effective(*key, one))
    return list(found.values())


def _targets(one: Held, below: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    if not one.inherited:
        yield one.target_kind, one.target_id
        return
    for project_id in below.get(one.target_id, ()):
        yield "project", project_id
