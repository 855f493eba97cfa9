"""One line of a file of people from another cloud: a JSON object whose `kind` says what it is.

The members are columns of Keystone's tables, so that its database writes such lines by itself (docs/keystone.md). So a
truth may be 0 or 1, and the further attributes a JSON text within the JSON.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from maldon.identity.schemas.fields import EXTRA_LIMIT, OURS, Id, Name, Text
from maldon.kernel.errors import BadRequest

LONGEST = 131_072
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999_999)] | None
Extra = dict[str, Any] | Annotated[str, Meta(max_length=LONGEST)] | None


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    pass


class _Thing(_Line, frozen=True, kw_only=True):
    id: Id
    name: Name
    description: Text | None = None
    extra: Extra = None


class Domain(_Thing, tag="domain", frozen=True, kw_only=True):
    enabled: bool = True


class Project(_Thing, tag="project", frozen=True, kw_only=True):
    domain_id: Id
    parent_id: Id | None = None
    enabled: bool = True


class Role(_Thing, tag="role", frozen=True, kw_only=True):
    domain_id: Id | None = None


class ImpliedRole(_Line, tag="implied_role", frozen=True):
    prior_role_id: Id
    implied_role_id: Id


class Group(_Thing, tag="group", frozen=True, kw_only=True):
    domain_id: Id


class User(_Line, tag="user", frozen=True):
    """The times are microseconds since 1970."""

    id: Id
    name: Name
    domain_id: Id
    enabled: bool = True
    default_project_id: Id | None = None
    password_hash: Annotated[str, Meta(max_length=255)] | None = None
    password_created_at: Moment = None
    password_expires_at: Moment = None
    password_own: bool | None = None
    extra: Extra = None


class Membership(_Line, tag="membership", frozen=True):
    group_id: Id
    user_id: Id


class Assignment(_Line, tag="assignment", frozen=True):
    type: Literal["UserProject", "GroupProject", "UserDomain", "GroupDomain", "UserSystem", "GroupSystem"]
    actor_id: Id
    target_id: Id
    role_id: Id
    inherited: bool = False


Line = Domain | Project | Role | ImpliedRole | Group | User | Membership | Assignment


def read(raw: bytes) -> Line:
    """The line. Raises BadRequest with a sentence."""
    if len(raw) > LONGEST or b"\\u0000" in raw:
        raise BadRequest(f"A line has {LONGEST} bytes at most, and no character U+0000.")
    try:
        line: Line = msgspec.json.decode(raw, type=Line, strict=False)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"It is no line of this kind of file: {str(error)[:200]}.") from error
    return line


def extra_of(line: Any) -> dict[str, Any] | None:
    """The further attributes of a thing, those left out that it has by itself. Raises BadRequest."""
    try:
        found = msgspec.json.decode(line.extra or "{}", type=dict[str, Any] | None) if _is_text(line) else line.extra
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"Its extra is no JSON object: {str(error)[:200]}.") from error
    kept = {name: value for name, value in (found or {}).items() if name not in OURS | set(line.__struct_fields__)}
    if kept and len(msgspec.json.encode(kept)) > EXTRA_LIMIT:
        raise BadRequest(f"Its extra takes more than {EXTRA_LIMIT} bytes.")
    return kept or None


def _is_text(line: Any) -> bool:
    return isinstance(line.extra, str)
