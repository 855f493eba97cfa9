"""Bodies of the network API: {"network": {…}}, or {"networks": [{…}, …]} for many at once.

Values are read leniently ("true" and "1400" are a boolean and a number), because the clients write them so. What comes
out is a plain dict that holds exactly the attributes given (and the defaults of a creation), by their API names.
"""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.kernel.errors import BadRequest
from maldon.web.request import Request

BULK_LIMIT = 500

Text = Annotated[str, Meta(max_length=255)]
Short = Annotated[str, Meta(max_length=64)]
Tag = Annotated[str, Meta(min_length=1, max_length=255)]
Given = dict[str, Any]


class Owned(Struct, forbid_unknown_fields=True, kw_only=True):
    """What every resource takes."""

    description: Text | None = ""
    project_id: Short | UnsetType = UNSET
    tenant_id: Short | UnsetType = UNSET


class Standard(Owned, kw_only=True):
    """What every resource with a name takes."""

    name: Text = ""


class Describe(Struct, forbid_unknown_fields=True, kw_only=True):
    """What every resource lets its owner change."""

    description: Text | UnsetType | None = UNSET


class Change(Describe, kw_only=True):
    """The same where there is a name."""

    name: Text | UnsetType = UNSET


class FixedIp(Struct, forbid_unknown_fields=True, kw_only=True):
    """An address wanted: any of a subnet, or that very one."""

    subnet_id: Short | UnsetType = UNSET
    ip_address: Short | UnsetType = UNSET


class Route(Struct, forbid_unknown_fields=True, kw_only=True):
    """Where packets for a range go next."""

    destination: Short
    nexthop: Short


async def load_one(request: Request, one: str, kind: type[Struct]) -> Given:
    """The one item of the body. Raises BadRequest naming the field."""
    return _checked(_member(await request.load(dict[str, Any]), one, dict), kind)


async def load_some(request: Request, one: str, many: str, kind: type[Struct]) -> tuple[list[Given], bool]:
    """The items of the body, and whether it was a list of them."""
    body = await request.load(dict[str, Any])
    if many not in body:
        return [_checked(_member(body, one, dict), kind)], False
    items = _member(body, many, list)
    if not 1 <= len(items) <= BULK_LIMIT:
        raise BadRequest(f"'{many}' wants 1 to {BULK_LIMIT} items.")
    inner = [item[one] if isinstance(item, dict) and list(item) == [one] else item for item in items]
    return [_checked(item, kind) for item in inner], True


def _member(body: dict[str, Any], name: str, kind: type) -> Any:
    if list(body) != [name] or not isinstance(body[name], kind):
        raise BadRequest(f"The body must hold '{name}' and nothing else.")
    return body[name]


def _checked(item: Any, kind: type[Struct]) -> Given:
    try:
        given: Given = msgspec.to_builtins(msgspec.convert(item, kind, strict=False))
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        field = where.rstrip("`").removeprefix("$").lstrip(".")
        place = f" for {field}" if field else ""
        raise BadRequest(f"Invalid input{place}. Reason: {what}.", kind="HTTPBadRequest") from error
    return given


@lru_cache(maxsize=4096)
def address(text: str) -> str:
    """The one way to write an address. Raises BadRequest."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise BadRequest(f"'{text[:64]}' is not a valid IP address.", kind="InvalidInput") from None


@lru_cache(maxsize=4096)
def cidr(text: str) -> str:
    """The one way to write a range. Raises BadRequest."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise BadRequest(f"'{text[:64]}' is not a valid CIDR.", kind="InvalidInput") from None


def routes(given: list[Given]) -> list[Given]:
    """Routes with addresses in their one form. Raises BadRequest, for one given twice too."""
    found = []
    for route in given:
        one = {"destination": cidr(route["destination"]), "nexthop": address(route["nexthop"])}
        if one in found:
            raise BadRequest(f"The route {one} is given twice.", kind="InvalidInput")
        found.append(one)
    return found
