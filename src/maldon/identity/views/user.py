"""A user, never the password.

A list of users goes from row to bytes: what else a client gave is put in as the text it is stored as.
"""

import re
from typing import Any

import msgspec
from sqlalchemy import Text, type_coerce

from maldon.identity.models.user import user
from maldon.identity.plan.user_options import password_end
from maldon.kernel.clock import micros_text

# What a list selects; the documents stay texts.
LISTED = (
    user.c.id,
    user.c.name,
    user.c.domain_id,
    user.c.enabled,
    user.c.default_project_id,
    user.c.password_expires_at,
    type_coerce(user.c.options, Text).label("options"),
    type_coerce(user.c.extra, Text).label("extra"),
)
_NO_OPTIONS = msgspec.Raw(b"{}")
_UNENDING = re.compile(r'"ignore_password_expiry": ?true')
_encode = msgspec.json.Encoder().encode


class _Links(msgspec.Struct, gc=False):
    self: str


class _Listed(msgspec.Struct, gc=False, omit_defaults=True):
    id: str
    name: str
    domain_id: str
    enabled: bool
    options: msgspec.Raw
    links: _Links
    password_expires_at: str | None
    default_project_id: str | None = None


def show(row: Any, base: str) -> dict[str, Any]:
    """One user."""
    shown: dict[str, Any] = {
        **(row.extra or {}),
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "password_expires_at": time_text(password_end(row)),
        "options": row.options or {},
        "links": {"self": f"{base}/users/{row.id}"},
    }
    if row.default_project_id is not None:
        shown["default_project_id"] = row.default_project_id
    return shown


def time_text(at: int | None) -> str | None:
    """As this API shows when a password ends."""
    return None if at is None else micros_text(at)


def listed(row: Any, base: str) -> msgspec.Raw:
    """The same of a row of LISTED, as JSON."""
    id_, name, domain_id, enabled, project_id, ends, options, extra = row
    own = msgspec.Raw(options.encode()) if options else _NO_OPTIONS
    end = None if ends is None or (options and _UNENDING.search(options)) else micros_text(ends)
    shown = _encode(_Listed(id_, name, domain_id, enabled, own, _Links(f"{base}/users/{id_}"), end, project_id))
    return msgspec.Raw(extra[:-1].encode() + b"," + shown[1:] if extra else shown)
