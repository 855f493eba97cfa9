"""Bodies of networks."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from maldon.network.schemas.body import Change, Short, Standard

Mtu = Annotated[int, Meta(ge=0, le=65535)]


class Create(Standard, kw_only=True):
    admin_state_up: bool = True
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = field(default=UNSET, name="router:external")
    is_default: bool | UnsetType | None = UNSET
    mtu: Mtu | UnsetType = UNSET
    port_security_enabled: bool = True
    network_type: Short | UnsetType | None = field(default=UNSET, name="provider:network_type")
    physical_network: Short | UnsetType | None = field(default=UNSET, name="provider:physical_network")
    segmentation_id: Annotated[int, Meta(ge=0, le=2**24 - 1)] | UnsetType | None = field(
        default=UNSET, name="provider:segmentation_id"
    )


class Update(Change, kw_only=True):
    admin_state_up: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = field(default=UNSET, name="router:external")
    is_default: bool | UnsetType | None = UNSET
    mtu: Mtu | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
