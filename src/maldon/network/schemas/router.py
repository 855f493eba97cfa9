"""Bodies of routers and floating IPs."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from maldon.network.schemas.body import Change, Describe, FixedIp, Owned, Route, Short, Standard

Routes = Annotated[list[Route], Meta(max_length=30)]


class Gateway(Struct, forbid_unknown_fields=True, kw_only=True):
    network_id: Short | UnsetType | None = UNSET
    enable_snat: bool | UnsetType = UNSET
    external_fixed_ips: Annotated[list[FixedIp], Meta(max_length=20)] | UnsetType = UNSET


class Create(Standard, kw_only=True):
    admin_state_up: bool = True
    external_gateway_info: Gateway | None = None
    availability_zone_hints: Annotated[list[Short], Meta(max_length=20)] = field(default_factory=list)


class Update(Change, kw_only=True):
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: Gateway | UnsetType | None = UNSET
    routes: Routes | UnsetType | None = UNSET


class ExtraRoutes(Struct, forbid_unknown_fields=True, kw_only=True):
    routes: Routes


class Leg(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is plugged in or out: a subnet or a port."""

    subnet_id: Short | UnsetType = UNSET
    port_id: Short | UnsetType = UNSET


class FloatingCreate(Owned, kw_only=True):
    floating_network_id: Short
    floating_ip_address: Short | UnsetType | None = UNSET
    subnet_id: Short | UnsetType | None = UNSET
    port_id: Short | None = None
    fixed_ip_address: Short | None = None


class FloatingUpdate(Describe, kw_only=True):
    port_id: Short | UnsetType | None = UNSET
    fixed_ip_address: Short | UnsetType | None = UNSET
