"""The words that the bodies of the identity API are written in, and how a body is read.

Beside the fields it knows, an object keeps whatever else a client sends, as Keystone does; that is bounded in size.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from maldon.kernel.clock import parse_time
from maldon.kernel.errors import BadRequest
from maldon.web.request import Request, decode

T = TypeVar("T", bound=msgspec.Struct)
EXTRA_LIMIT = 16_384
OURS = frozenset({"id", "links", "password", "original_password", "password_expires_at"})

Id = Annotated[str, Meta(min_length=1, max_length=64)]
ShortName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Text = Annotated[str, Meta(max_length=16_384)]
Password = Annotated[str, Meta(max_length=4096)]
Url = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^[a-zA-Z0-9+.-]+:\S+$")]
Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^,/]*$")]

Moment = Annotated[str, Meta(max_length=64)]

MaybeText = Text | UnsetType | None
MaybeBool = bool | UnsetType


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What a project, domain or role may be told about itself; null takes an option away."""

    immutable: bool | UnsetType | None = UNSET


class RoleRef(msgspec.Struct):
    """A role by its id or its name."""

    id: Id | None = None
    name: Name | None = None


def moment(text: str | None, name: str) -> int | None:
    """The time that a text says, in UTC unless it says otherwise. Raises BadRequest."""
    try:
        return None if text is None else parse_time(text)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{name} is no time in ISO 8601 format, such as 2030-01-31T12:00:00Z.") from error


async def load(request: Request, noun: str, kind: type[T]) -> tuple[T, dict[str, Any]]:
    """The object under `noun` in the body, and what else it holds. Raises BadRequest."""
    outer = await request.load(dict[str, msgspec.Raw])
    if noun not in outer:
        raise BadRequest(f"Expecting to find {noun} in request body.")
    raw = bytes(outer[noun])
    wanted = decode(raw, kind)
    extra = {k: v for k, v in decode(raw, dict[str, Any]).items() if k not in kind.__struct_fields__ and k not in OURS}
    if extra and len(msgspec.json.encode(extra)) > EXTRA_LIMIT:
        raise BadRequest(f"The further attributes of a {noun} may take {EXTRA_LIMIT} bytes together.")
    return wanted, extra


def given(wanted: msgspec.Struct, *fields: str) -> dict[str, Any]:
    """Those of the fields that the client sent."""
    return {name: value for name in fields if (value := getattr(wanted, name)) is not UNSET}


def options(wanted: msgspec.Struct | UnsetType, old: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The options after a change; None when there are none."""
    new = {} if wanted is UNSET else msgspec.to_builtins(wanted)
    return {k: v for k, v in {**(old or {}), **new}.items() if v is not None} or None
