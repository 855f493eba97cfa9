"""Bodies about aggregates."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.compute.schemas.server import Name, plain_name
from maldon.kernel.errors import BadRequest

Zone = Annotated[str, Meta(min_length=1, max_length=255, pattern="^[^:]*$")]
Key = Annotated[str, Meta(pattern="^[a-zA-Z0-9_:. -]{1,255}$")]


class AggregateWanted(Struct, forbid_unknown_fields=True):
    name: Name
    availability_zone: Zone | None = None


class CreateAggregate(Struct, forbid_unknown_fields=True):
    aggregate: AggregateWanted


class AggregateChange(Struct, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET
    availability_zone: Zone | UnsetType | None = UNSET


class UpdateAggregate(Struct, forbid_unknown_fields=True):
    aggregate: AggregateChange


class HostName(Struct, forbid_unknown_fields=True):
    host: Name


class Properties(Struct, forbid_unknown_fields=True):
    metadata: dict[Key, Annotated[str, Meta(max_length=255)] | None]


class AggregateAction(Struct, forbid_unknown_fields=True):
    add_host: HostName | UnsetType = UNSET
    remove_host: HostName | UnsetType = UNSET
    set_metadata: Properties | UnsetType = UNSET


class ImageId(Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^[0-9a-fA-F-]{32,36}$")]


class CacheImages(Struct, forbid_unknown_fields=True):
    cache: Annotated[list[ImageId], Meta(min_length=1, max_length=1000)]


def create(body: CreateAggregate) -> AggregateWanted:
    """Raises BadRequest."""
    _check(body.aggregate.name, body.aggregate.availability_zone)
    return body.aggregate


def update(body: UpdateAggregate) -> AggregateChange:
    """Raises BadRequest."""
    wanted = body.aggregate
    if wanted.name is UNSET and wanted.availability_zone is UNSET:
        raise BadRequest("Invalid input for field/attribute aggregate. A name or an availability_zone is required.")
    _check(
        "x" if wanted.name is UNSET else wanted.name,
        None if wanted.availability_zone is UNSET else wanted.availability_zone,
    )
    return wanted


def _check(name: str, zone: str | None) -> None:
    plain_name(name)
    if zone is not None:
        plain_name(zone)


def act(body: AggregateAction) -> AggregateAction:
    """Raises BadRequest unless there is exactly one action."""
    if [body.add_host, body.remove_host, body.set_metadata].count(UNSET) != 2:
        raise BadRequest("An aggregate action is one of add_host, remove_host and set_metadata.")
    return body
