"""Aggregates as each microversion shows them."""

from typing import Any

from maldon.compute.verbs.aggregate import Aggregate
from maldon.kernel.clock import micros_text
from maldon.web.microversion import Version


def created(aggregate: Aggregate, version: Version) -> dict[str, Any]:
    """The answer to a create: nothing is in it yet."""
    shown = {
        "id": aggregate.id,
        "name": aggregate.name,
        "availability_zone": aggregate.zone,
        "created_at": micros_text(aggregate.created_at),
        "updated_at": micros_text(aggregate.updated_at) if aggregate.updated_at is not None else None,
        "deleted": False,
        "deleted_at": None,
    }
    return shown | {"uuid": aggregate.uuid} if version >= (2, 41) else shown


def full(aggregate: Aggregate, version: Version) -> dict[str, Any]:
    """An aggregate by itself."""
    return created(aggregate, version) | {"hosts": aggregate.hosts, "metadata": aggregate.properties}
