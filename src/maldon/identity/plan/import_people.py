"""What an import of people adds to the books, and what is wrong with its lines. Pure.

Whatever is here already, by its id or by its name in its domain, is taken for the same and left as it is: so an import
may be repeated, and another cloud's `admin` becomes ours. Lines may come in any order. A line is bad when it names what
is neither here nor in the file, or what the API would refuse too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from maldon.identity.hashes import is_known
from maldon.identity.schemas import import_line as lines
from maldon.kernel.errors import BadRequest

T = TypeVar("T")
Numbered = tuple[int, Any]
_SYSTEM = "system"
_NOUNS = ("domain", "project", "role", "group", "user")


@dataclass
class Books:
    """What is here, and what is being added. `ids` and `names` are by noun; `outside` are domains of directories."""

    ids: dict[str, dict[str, Any]] = field(default_factory=lambda: {noun: {} for noun in _NOUNS})
    names: dict[str, dict[tuple[str, str], str]] = field(default_factory=lambda: {noun: {} for noun in _NOUNS})
    links: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()

    def hold(self, noun: str, id_: str, scope: str, name: str) -> None:
        """One that is here: `scope` is its domain, or "" for what has none."""
        self.ids[noun][id_] = scope
        self.names[noun][scope, name] = id_


@dataclass
class Plan:
    """`rows` by kind, in an order in which they can be written; sentences for the operator."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)
    same: list[str] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)


def plan(books: Books, numbered: Iterable[Numbered]) -> Plan:
    """What to add."""
    return _Planner(books).all(list(numbered))


class _Planner:
    def __init__(self, books: Books) -> None:
        self._books, self._plan = books, Plan()
        self._same: dict[str, dict[str, str]] = {noun: {} for noun in _NOUNS}
        self._new: set[tuple[str, str]] = set()

    def all(self, numbered: Sequence[Numbered]) -> Plan:
        of = {kind: [one for one in numbered if isinstance(one[1], kind)] for kind in lines.Line.__args__}
        self._each(of[lines.Domain], self._domain)
        self._projects(of[lines.Project])
        self._each(of[lines.Role], self._role)
        self._each(of[lines.ImpliedRole], self._implied_role)
        self._each(of[lines.Group], self._group)
        self._each(of[lines.User], self._user)
        self._each(of[lines.Membership], self._membership)
        self._each(of[lines.Assignment], self._assignment)
        self._plan.bad.sort()
        return self._plan

    def _each(self, numbered: Iterable[tuple[int, T]], place: Callable[[int, T], None]) -> None:
        for number, line in numbered:
            try:
                place(number, line)
            except BadRequest as error:
                self._plan.bad.append((number, error.public))

    def _projects(self, waiting: Sequence[Numbered]) -> None:
        """Parents first, in whatever order they come."""
        while True:
            ready = [
                one for one in waiting if self._find("project", _parent(one[1])) or self._is_domain(_parent(one[1]))
            ]
            if not ready:
                break
            self._each(ready, self._project)
            done = {number for number, _ in ready}
            waiting = [one for one in waiting if one[0] not in done]
        for number, line in waiting:
            what = f"project {line.id}: its parent {_parent(line)} is neither here nor in the file, or below itself."
            self._plan.bad.append((number, what))

    # one line each

    def _domain(self, number: int, line: lines.Domain) -> None:
        place = {"name_scope": "", "is_domain": True, "description": line.description or ""}
        self._add(number, "domain", line, "", place | {"enabled": line.enabled, "tokens_from": 0})

    def _project(self, number: int, line: lines.Project) -> None:
        domain_id, parent = self._need("domain", line.domain_id, line), _parent(line)
        parent_id = self._find("project", parent) or self._find("domain", parent)
        if self._books.ids["project"].get(str(parent_id), parent_id) != domain_id:
            raise BadRequest(f"project {line.id}: its parent {parent} is in another domain.")
        place = {"name_scope": domain_id, "domain_id": domain_id, "parent_id": parent_id, "is_domain": False}
        values = {"description": line.description or "", "enabled": line.enabled, "tokens_from": 0}
        self._add(number, "project", line, domain_id, place | values)

    def _role(self, number: int, line: lines.Role) -> None:
        domain_id = "" if line.domain_id is None else self._need("domain", line.domain_id, line)
        self._add(number, "role", line, domain_id, {"domain_id": domain_id, "description": line.description})

    def _implied_role(self, _number: int, line: lines.ImpliedRole) -> None:
        prior, implied = (self._need("role", id_, line) for id_ in (line.prior_role_id, line.implied_role_id))
        roles = self._books.ids["role"]
        if prior == implied or (roles[implied] and not roles[prior]):
            raise BadRequest(f"the role {line.prior_role_id} cannot imply {line.implied_role_id}.")
        if self._books.names["role"].get(("", "admin")) == implied:
            raise BadRequest("the role admin cannot be implied.")
        self._link("implied_role", {"prior_id": prior, "implied_id": implied})

    def _group(self, number: int, line: lines.Group) -> None:
        domain_id = self._home(line)
        self._add(number, "group", line, domain_id, {"domain_id": domain_id, "description": line.description})

    def _user(self, number: int, line: lines.User) -> None:
        domain_id = self._home(line)
        if line.password_hash is not None and not is_known(line.password_hash):
            raise BadRequest(
                f"user {line.id}: the password_hash is of no form that can be checked here (bcrypt, bcrypt-sha256, "
                "scrypt, pbkdf2-sha512, argon2). Without it the user has no password until one is set."
            )
        project = line.default_project_id
        values = {
            "domain_id": domain_id,
            "enabled": line.enabled,
            "default_project_id": None if project is None else self._find("project", project),
            "tokens_from": 0,
        }
        self._add(number, "user", line, domain_id, values | _password(line))

    def _membership(self, _number: int, line: lines.Membership) -> None:
        group, user = self._need("group", line.group_id, line), self._need("user", line.user_id, line)
        self._link("membership", {"group_id": group, "user_id": user})

    def _assignment(self, _number: int, line: lines.Assignment) -> None:
        actor = "user" if line.type.startswith("User") else "group"
        target = line.type.removeprefix("User").removeprefix("Group").lower()
        role_id = self._need("role", line.role_id, line)
        target_id = _SYSTEM if target == _SYSTEM else self._need(target, line.target_id, line)
        owner, domain_id = self._books.ids["role"][role_id], self._books.ids["project"].get(target_id, target_id)
        if owner and owner != domain_id:
            raise BadRequest(f"the role {line.role_id} belongs to a domain and can be given only there.")
        values = {
            "actor_kind": actor,
            "actor_id": self._need(actor, line.actor_id, line),
            "target_kind": target,
            "target_id": target_id,
            "role_id": role_id,
            "inherited": line.inherited,
        }
        self._link("assignment", values)

    # the books

    def _add(self, number: int, noun: str, line: Any, scope: str, values: Mapping[str, Any]) -> None:
        """A thing with an id and a name, unless it is here."""
        books, told = self._books, f"{noun} {line.name} ({line.id})"
        if (noun, line.id) in self._new:
            raise BadRequest(f"{told} is in the file twice.")
        if line.id in books.ids[noun]:
            self._plan.kept[noun] += 1
            return
        held = books.names[noun].get((scope, line.name))
        if held is not None and (noun, held) in self._new:
            raise BadRequest(f"{told} has the name of another in the file, {held}.")
        if held is not None:
            self._same[noun][line.id] = held
            self._plan.same.append(f"line {number}: {told} is taken for the one that is here as {held}")
            self._plan.kept[noun] += 1
            return
        if noun in {"domain", "project"} and (line.id in books.ids["domain"] or line.id in books.ids["project"]):
            raise BadRequest(f"{told} has an id that is taken by a project or domain.")
        row = {"id": line.id, "name": line.name, **values, "extra": lines.extra_of(line)}
        books.hold(noun, line.id, scope, line.name)
        self._new.add((noun, line.id))
        self._plan.rows.setdefault(noun, []).append(row)

    def _link(self, kind: str, values: dict[str, Any]) -> None:
        """A row of nothing but ids, unless it is here."""
        there, key = self._books.links.setdefault(kind, set()), tuple(values.values())
        if key in there:
            self._plan.kept[kind] += 1
        else:
            there.add(key)
            self._plan.rows.setdefault(kind, []).append(values)

    def _find(self, noun: str, id_: str) -> str | None:
        """The id that it has here."""
        here = self._same[noun].get(id_, id_)
        return here if here in self._books.ids[noun] else None

    def _is_domain(self, id_: str) -> bool:
        return self._find("domain", id_) is not None

    def _need(self, noun: str, id_: str, line: Any) -> str:
        found = self._find(noun, id_)
        if found is None:
            what = f"{line.__struct_config__.tag} {getattr(line, 'id', '')}".rstrip()
            raise BadRequest(f"{what}: the {noun} {id_} is neither here nor in the file.")
        return found

    def _home(self, line: Any) -> str:
        """The domain of a user or group."""
        domain_id = self._need("domain", line.domain_id, line)
        if domain_id in self._books.outside:
            what = f"{line.__struct_config__.tag} {line.id}"
            raise BadRequest(
                f"{what}: the people of domain {domain_id} are in a directory, not in this cloud's tables."
            )
        return domain_id


def _password(line: lines.User) -> dict[str, Any]:
    """The columns of a user's password; whose choice it was counts only with the time when it was made."""
    if line.password_hash is None:
        return dict.fromkeys(("password", "password_at", "password_own", "password_expires_at"))
    return {
        "password": line.password_hash,
        "password_at": line.password_created_at,
        "password_own": None if line.password_created_at is None else line.password_own,
        "password_expires_at": line.password_expires_at,
    }


def _parent(line: lines.Project) -> str:
    return line.parent_id or line.domain_id
