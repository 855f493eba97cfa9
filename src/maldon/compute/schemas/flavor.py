"""Bodies about flavors."""

import re
from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.compute.schemas.number import Number, number
from maldon.compute.schemas.server import Bool, Name, plain_name, truthful
from maldon.compute.verbs.flavor import Flavor
from maldon.kernel.errors import BadRequest
from maldon.kernel.ids import new_id
from maldon.web.microversion import Version

Description = Annotated[str, Meta(max_length=65535)] | None
SpecKey = Annotated[str, Meta(pattern="^[a-zA-Z0-9_:. -]{1,255}$")]
SpecValue = Annotated[str, Meta(max_length=255)] | int | float
Specs = dict[SpecKey, SpecValue]
FLAVOR_ID = re.compile(r"(?! )[a-zA-Z0-9. _-]{1,255}(?<! )")
FACTOR_MOST = 3.40282e38


class FlavorWanted(
    Struct,
    forbid_unknown_fields=True,
    rename={"ephemeral": "OS-FLV-EXT-DATA:ephemeral", "is_public": "os-flavor-access:is_public"},
):
    name: Name
    ram: Number
    vcpus: Number
    disk: Number
    id: Annotated[str, Meta(max_length=255)] | int | float | None = None
    ephemeral: Number = 0
    swap: Number = 0
    rxtx_factor: float | int | Annotated[str, Meta(pattern=r"^[0-9]{1,39}(\.[0-9]{1,39})?$")] = 1.0
    is_public: Bool = True
    description: Description | UnsetType = UNSET


class CreateFlavor(Struct, forbid_unknown_fields=True):
    flavor: FlavorWanted


class FlavorChange(Struct, forbid_unknown_fields=True):
    description: Description


class UpdateFlavor(Struct, forbid_unknown_fields=True):
    flavor: FlavorChange


class ExtraSpecs(Struct, forbid_unknown_fields=True):
    extra_specs: Specs


class Tenant(Struct, forbid_unknown_fields=True):
    tenant: Annotated[str, Meta(pattern="^[a-zA-Z0-9-]{1,64}$")]


class FlavorAction(
    Struct, forbid_unknown_fields=True, rename={"add": "addTenantAccess", "remove": "removeTenantAccess"}
):
    add: Tenant | UnsetType = UNSET
    remove: Tenant | UnsetType = UNSET


def create(body: CreateFlavor, version: Version) -> Flavor:
    """The flavor wanted. Raises BadRequest."""
    wanted = body.flavor
    plain_name(wanted.name)
    if version < (2, 55) and wanted.description is not UNSET:
        raise BadRequest(
            "Invalid input for field/attribute flavor. Additional properties are not allowed ('description' was "
            "unexpected)"
        )
    flavor_id = new_id() if wanted.id is None or wanted.id in {"auto", ""} else str(wanted.id)
    if not FLAVOR_ID.fullmatch(flavor_id):
        raise BadRequest(f"Invalid input for field/attribute id. Value: {flavor_id[:60]!r} is no flavor ID.")
    factor = float(wanted.rxtx_factor)
    if not 0 < factor <= FACTOR_MOST:
        raise BadRequest("Invalid input for field/attribute rxtx_factor. It must be greater than 0.")
    return Flavor(
        id=flavor_id,
        name=wanted.name,
        vcpus=number(wanted.vcpus, "vcpus", 1),
        memory_mb=number(wanted.ram, "ram", 1),
        disk_gb=number(wanted.disk, "disk"),
        ephemeral_gb=number(wanted.ephemeral, "OS-FLV-EXT-DATA:ephemeral"),
        swap_mb=number(wanted.swap, "swap"),
        rxtx_factor=factor,
        is_public=truthful(wanted.is_public),
        description=None if wanted.description is UNSET else wanted.description,
        extra_specs={},
    )


def texts(specs: Mapping[str, str | int | float]) -> dict[str, str]:
    """Extra specs as they are kept. Raises BadRequest."""
    if any(not key.strip() for key in specs):
        raise BadRequest("Key names of extra specs must not be blank.")
    return {key: value if isinstance(value, str) else str(value) for key, value in specs.items()}
