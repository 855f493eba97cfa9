"""Lists of servers: which filters there are, who may use them, and the rows of one page.

Users may filter by what they see; admins by everything. What a user may not use is ignored, and refused since 2.75 when
nobody may use it. `name` is meant as a regular expression by the API; it becomes the nearest LIKE, so that no
expression of a user runs in the database.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import starmap
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, false, or_, select

from maldon.compute.models.server import server_tags, servers
from maldon.compute.plan.states import POWER, pairs
from maldon.compute.verbs.server import LIVE_ROW
from maldon.kernel.clock import parse_time
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.web.microversion import Version
from maldon.web.request import Request, truth

SORTABLE = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "display_name": "name",
    "name": "name",
    "uuid": "id",
    "id": "id",
    "vm_state": "state",
    "task_state": "task",
    "power_state": "power",
    "image_ref": "image_id",
    "instance_type_id": "flavor_id",
    "key_name": "key_name",
    "host": "host",
    "node": "host",
    "project_id": "project_id",
    "user_id": "user_id",
    "availability_zone": "availability_zone",
    "hostname": "hostname",
    "display_description": "description",
    "launched_at": "launched_at",
    "launch_index": "launch_index",
    "config_drive": "config_drive",
    "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
    "locked": "locked",
}
_PLAIN = {
    "image": "image_id",
    "image_ref": "image_id",
    "flavor": "flavor_id",
    "reservation_id": "reservation_id",
    "uuid": "id",
    "key_name": "key_name",
    "availability_zone": "availability_zone",
    "host": "host",
    "node": "host",
    "user_id": "user_id",
    "hostname": "hostname",
    "vm_state": "state",
    "task_state": "task",
    "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
}
_PATTERN = {"name": "name", "display_name": "name", "description": "description", "display_description": "description"}
EVERYBODY = frozenset({
    "name", "status", "image", "flavor", "ip", "reservation_id", "changes-since", "all_tenants", "deleted",
    "ip6", "tags", "tags-any", "not-tags", "not-tags-any", "changes-before", "locked", "uuid",
    "limit", "marker", "sort_key", "sort_dir",
})  # fmt: skip
SINCE_2_83 = frozenset({
    "availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state",
    "task_state", "vm_state", "progress", "user_id",
})  # fmt: skip
ADMINS = SINCE_2_83 | {
    "host", "node", "hostname", "project_id", "tenant_id", "access_ip_v4", "access_ip_v6", "display_name",
    "description", "display_description", "launch_index", "soft_deleted", "kernel_id", "ramdisk_id", "root_device_name",
    "instance_type_id", "image_ref", "updated_at", "deleted_at",
}  # fmt: skip
_NEW = {"ip6": (2, 5), "tags": (2, 26), "tags-any": (2, 26), "not-tags": (2, 26), "not-tags-any": (2, 26),
        "changes-before": (2, 66), "locked": (2, 73)}  # fmt: skip
_NO_FILTERS = frozenset({"limit", "marker", "sort_key", "sort_dir", "all_tenants"})
_ATOM = re.compile(r"(\\.|\[\^?\]?[^\]]*\]|\([^()]*\)|.)([*+?]|\{[0-9,]*\})?", re.DOTALL)


def usable(request: Request, op: Op) -> dict[str, str]:
    """The filters of a request that count for its asker. Raises BadRequest for unknown ones since 2.75."""
    admin = op.can("os_compute_api:servers:allow_all_filters", {})
    allowed = set(EVERYBODY)
    if op.version >= (2, 83):
        allowed |= SINCE_2_83
    if admin:
        allowed |= ADMINS
    found: dict[str, str] = {}
    for name, value in request.query:
        late = op.version < _NEW.get(name, (0, 0))
        if name in allowed and (not late or (name == "ip6" and admin)):
            found.setdefault(name, value)
        elif op.version >= (2, 75) and name not in EVERYBODY | ADMINS:
            raise BadRequest(
                "Invalid input for query parameters: Additional properties are not allowed "
                f"({name[:60]!r} was unexpected)"
            )
    return found


@cache
def _all(columns: tuple[ColumnElement[Any], ...], *, everybody: bool) -> Select[Any]:
    statement = select(*columns)
    return statement if everybody else statement.where(servers.c.project_id == bindparam("project"))


@cache
def _living(columns: tuple[ColumnElement[Any], ...], *, everybody: bool) -> Select[Any]:
    """What is usually asked for; made once per form, because making it costs more than a short page."""
    return _all(columns, everybody=everybody).where(LIVE_ROW)


def matching(
    filters: Mapping[str, str], version: Version, columns: tuple[ColumnElement[Any], ...], project_id: str | None
) -> tuple[Select[Any], dict[str, Any] | None]:
    """The servers that the filters leave, of a project or of all; the parameters, if it is a statement to be kept.

    Raises BadRequest.
    """
    everybody, params = project_id is None, {"project": project_id}
    if filters.keys() <= _NO_FILTERS:
        return _living(columns, everybody=everybody), params
    statement = _all(columns, everybody=everybody)
    since = filters.get("changes-since")
    if since is not None:
        statement = statement.where(servers.c.updated_at >= _time(since, "changes-since"))
    elif not truth(filters.get("deleted", "false"), "deleted"):
        statement = statement.where(LIVE_ROW)
    else:
        statement = statement.where(servers.c.deleted_at.is_not(None))
    if (before := filters.get("changes-before")) is not None:
        if since is not None and _time(before, "changes-before") < _time(since, "changes-since"):
            raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
        statement = statement.where(servers.c.updated_at <= _time(before, "changes-before"))
    for name, value in filters.items():
        for condition in _condition(name, value, version):
            statement = statement.where(condition)
    return statement.params(params), None


def _condition(name: str, value: str, version: Version) -> list[ColumnElement[bool]]:
    if name in _PATTERN:
        return [pattern(servers.c[_PATTERN[name]], value)]
    if name in _PLAIN:
        return [servers.c[_PLAIN[name]] == (value.rsplit("/", 1)[-1] if name in {"image", "flavor"} else value)]
    special = _SPECIAL.get(name)
    return [special(value, version)] if special else []


def pattern(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """The nearest LIKE of a regular expression: it may find more, where one has no word for what was meant."""
    branches: list[list[tuple[str, str]]] = [[]]
    for atom, repeated in _ATOM.findall(text[:255]):
        if atom == "|":
            branches.append([])
        else:
            branches[-1].append((atom, repeated))
    return or_(*(column.like(_like(branch), escape="|") for branch in branches))


def _like(atoms: list[tuple[str, str]]) -> str:
    starts, ends = atoms[:1] == [("^", "")], atoms[-1:] == [("$", "")]
    inner = atoms[starts : len(atoms) - ends]
    return ("" if starts else "%") + "".join(starmap(_wildcard, inner)) + ("" if ends else "%")


def _wildcard(atom: str, repeated: str) -> str:
    if repeated or (atom[0] == "(" and len(atom) > 1):
        return "%"
    if atom == "." or (len(atom) > 1 and (atom[0] == "[" or atom[1].isalnum())):
        return "_"
    return f"|{atom[-1]}" if atom[-1] in "|%_" else atom[-1]


def _time(text: str, name: str) -> int:
    try:
        return parse_time(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid input for query parameter {name}. {text[:60]!r} is no ISO 8601 time.") from None


def _status(value: str, version: Version) -> ColumnElement[bool]:
    there = pairs(value)
    if not there and version >= (2, 38):
        raise BadRequest(f"Invalid status value: {value[:60]!r}.")
    tests = [and_(servers.c.state == s, servers.c.task == t if t else servers.c.task.is_(None)) for s, t in there]
    return or_(*tests) if tests else false()


def _power(value: str, _version: Version) -> ColumnElement[bool]:
    names = [name for name, number in POWER.items() if value == str(number)]
    return servers.c.power.in_(names)


def _tags(*, every: bool, wanted: bool) -> Callable[[str, Version], ColumnElement[bool]]:
    def condition(value: str, _version: Version) -> ColumnElement[bool]:
        tags = [tag for tag in value.split(",") if tag]
        has = [servers.c.id.in_(select(server_tags.c.server_id).where(server_tags.c.tag == tag)) for tag in tags[:50]]
        found = and_(*has) if every else or_(*has)
        return found if wanted else ~found

    return condition


_SPECIAL: dict[str, Callable[[str, Version], ColumnElement[bool]]] = {
    "status": _status,
    "power_state": _power,
    "tags": _tags(every=True, wanted=True),
    "tags-any": _tags(every=False, wanted=True),
    "not-tags": _tags(every=True, wanted=False),
    "not-tags-any": _tags(every=False, wanted=False),
    "locked": lambda value, _v: servers.c.locked.is_(truth(value, "locked")),
    "config_drive": lambda value, _v: servers.c.config_drive.is_(truth(value or "false", "config_drive")),
    "project_id": lambda value, _v: servers.c.project_id == value,
    "tenant_id": lambda value, _v: servers.c.project_id == value,
}


def address_matches(addresses: Any, filters: Mapping[str, str]) -> bool:
    """Whether one of a server's addresses fits the filters `ip` and `ip6`."""
    for name, family in (("ip", 4), ("ip6", 6)):
        if (text := filters.get(name)) is None:
            continue
        plain = text.removeprefix("^").removesuffix("$").replace("\\", "").replace(".*", "")
        found = [one["addr"] for net in addresses.values() for one in net if one["version"] == family]
        whole = _is_address(plain) and text.endswith("$")
        if not any(a == plain if whole else (a.startswith(plain) if text[:1] == "^" else plain in a) for a in found):
            return False
    return True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
