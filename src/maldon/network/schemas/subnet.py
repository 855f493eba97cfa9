"""Bodies of subnets and subnet pools."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.network.schemas.body import Change, Route, Short, Standard

Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]
Length = Annotated[int, Meta(ge=0, le=128)]


class Pool(Struct, forbid_unknown_fields=True):
    start: Short
    end: Short


Pools = Annotated[list[Pool], Meta(max_length=100)]
Nameservers = Annotated[list[Short], Meta(max_length=5)]
Routes = Annotated[list[Route], Meta(max_length=20)]
Prefixes = Annotated[list[Short], Meta(min_length=1, max_length=100)]


class Create(Standard, kw_only=True):
    network_id: Short
    ip_version: Literal[4, 6] | UnsetType = UNSET
    cidr: Short | UnsetType | None = UNSET
    gateway_ip: Short | UnsetType | None = UNSET
    allocation_pools: Pools | UnsetType | None = UNSET
    dns_nameservers: Nameservers | None = None
    host_routes: Routes | None = None
    enable_dhcp: bool = True
    ipv6_ra_mode: Mode | None = None
    ipv6_address_mode: Mode | None = None
    subnetpool_id: Short | UnsetType | None = UNSET
    prefixlen: Length | UnsetType | None = UNSET


class Update(Change, kw_only=True):
    gateway_ip: Short | UnsetType | None = UNSET
    allocation_pools: Pools | UnsetType = UNSET
    dns_nameservers: Nameservers | UnsetType | None = UNSET
    host_routes: Routes | UnsetType | None = UNSET
    enable_dhcp: bool | UnsetType = UNSET


class PoolCreate(Standard, kw_only=True):
    prefixes: Prefixes
    default_prefixlen: Length | UnsetType = UNSET
    min_prefixlen: Length | UnsetType = UNSET
    max_prefixlen: Length | UnsetType = UNSET
    default_quota: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    shared: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    address_scope_id: None = None


class PoolUpdate(Change, kw_only=True):
    prefixes: Prefixes | UnsetType = UNSET
    default_prefixlen: Length | UnsetType = UNSET
    min_prefixlen: Length | UnsetType = UNSET
    max_prefixlen: Length | UnsetType = UNSET
    default_quota: Annotated[int, Meta(ge=0, le=2**31 - 1)] | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET
    address_scope_id: UnsetType | None = UNSET
