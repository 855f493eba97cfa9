"""Bodies of security groups and rules."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from maldon.network.schemas.body import Change, Describe, Owned, Short, Standard

Number = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Create(Standard, kw_only=True):
    stateful: bool = True


class Update(Change, kw_only=True):
    stateful: bool | UnsetType = UNSET


class RuleCreate(Owned, kw_only=True):
    security_group_id: Short
    direction: Literal["ingress", "egress"]
    ethertype: Short | None = "IPv4"
    protocol: Short | int | None = None
    port_range_min: Number | None = None
    port_range_max: Number | None = None
    remote_ip_prefix: Short | None = None
    remote_group_id: Short | None = None


class RuleUpdate(Describe, kw_only=True):
    """Nothing but words may change."""
