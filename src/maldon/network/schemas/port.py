"""Bodies of ports."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from maldon.network.schemas.body import Change, FixedIp, Short, Standard, Text

Mac = Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")]


class Pair(Struct, forbid_unknown_fields=True, kw_only=True):
    ip_address: Short
    mac_address: Mac | UnsetType | None = UNSET


class DhcpOption(Struct, forbid_unknown_fields=True, kw_only=True):
    opt_name: Annotated[str, Meta(min_length=1, max_length=64)]
    opt_value: Text | None = None
    ip_version: Annotated[int, Meta(ge=4, le=6)] = 4


FixedIps = Annotated[list[FixedIp], Meta(max_length=50)]
Groups = Annotated[list[Short], Meta(max_length=50)]
Pairs = Annotated[list[Pair], Meta(max_length=10)]
Options = Annotated[list[DhcpOption], Meta(max_length=50)]
Profile = Annotated[dict[Text, Any], Meta(max_length=50)]


class Create(Standard, kw_only=True):
    network_id: Short
    admin_state_up: bool = True
    mac_address: Mac | UnsetType = UNSET
    fixed_ips: FixedIps | UnsetType | None = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    device_id: Text | UnsetType | None = UNSET
    device_owner: Text | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    extra_dhcp_opts: Options | UnsetType | None = UNSET
    host_id: Text | UnsetType | None = field(default=UNSET, name="binding:host_id")
    vnic_type: Short | UnsetType = field(default=UNSET, name="binding:vnic_type")
    profile: Profile | UnsetType | None = field(default=UNSET, name="binding:profile")


class Update(Change, kw_only=True):
    admin_state_up: bool | UnsetType = UNSET
    mac_address: Mac | UnsetType = UNSET
    fixed_ips: FixedIps | UnsetType | None = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    device_id: Text | UnsetType | None = UNSET
    device_owner: Text | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    extra_dhcp_opts: Options | UnsetType | None = UNSET
    host_id: Text | UnsetType | None = field(default=UNSET, name="binding:host_id")
    vnic_type: Short | UnsetType = field(default=UNSET, name="binding:vnic_type")
    profile: Profile | UnsetType | None = field(default=UNSET, name="binding:profile")
