"""What can be set about an LDAP directory, in the words that operators of Keystone know. All have a default.

What this driver has no use for (debug_level, the pools of Keystone's own library) is no option here.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(max_length=4096)]
Attribute = Annotated[str, Meta(max_length=255, pattern=r"^[A-Za-z][A-Za-z0-9.;-]*$")]
Count = Annotated[int, Meta(ge=1, le=1000)]
Seconds = Annotated[int, Meta(ge=1, le=3600)]
Words = Annotated[list[Text], Meta(max_length=100)] | Text
Scope = Literal["one", "sub"]
Aliases = Literal["default", "never", "always", "searching", "finding"]
Demand = Literal["demand", "allow", "never"]


class LdapOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url` may name several servers, parted by commas: the first that answers is asked."""

    url: Text = "ldap://localhost"
    user: Text | None = None
    password: Text | None = None
    suffix: Text = "cn=example,cn=com"
    query_scope: Scope = "one"
    page_size: Annotated[int, Meta(ge=0, le=10_000)] = 0
    alias_dereferencing: Aliases = "default"
    chase_referrals: bool = False

    user_tree_dn: Text | None = None
    user_filter: Text | None = None
    user_objectclass: Attribute = "inetOrgPerson"
    user_id_attribute: Attribute = "cn"
    user_name_attribute: Attribute = "sn"
    user_description_attribute: Attribute = "description"
    user_mail_attribute: Attribute = "mail"
    user_pass_attribute: Attribute = "userPassword"  # noqa: S105 - a name
    user_enabled_attribute: Attribute = "enabled"
    user_enabled_invert: bool = False
    user_enabled_mask: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    user_enabled_default: Text | bool | int = "True"
    user_attribute_ignore: Words = msgspec.field(default_factory=lambda: ["default_project_id"])
    user_default_project_id_attribute: Attribute | None = None
    user_enabled_emulation: bool = False
    user_enabled_emulation_dn: Text | None = None
    user_enabled_emulation_use_group_config: bool = False
    user_additional_attribute_mapping: Words = msgspec.field(default_factory=list)
    user_allow_create: bool = False
    user_allow_update: bool = False
    user_allow_delete: bool = False

    group_tree_dn: Text | None = None
    group_filter: Text | None = None
    group_objectclass: Attribute = "groupOfNames"
    group_id_attribute: Attribute = "cn"
    group_name_attribute: Attribute = "ou"
    group_member_attribute: Attribute = "member"
    group_members_are_ids: bool = False
    group_desc_attribute: Attribute = "description"
    group_attribute_ignore: Words = msgspec.field(default_factory=list)
    group_additional_attribute_mapping: Words = msgspec.field(default_factory=list)
    group_allow_create: bool = False
    group_allow_update: bool = False
    group_allow_delete: bool = False
    dumb_member: Text = "cn=dumb,dc=nonexistent"

    use_tls: bool = False
    tls_cacertfile: Text | None = None
    tls_cacertdir: Text | None = None
    tls_req_cert: Demand = "demand"
    connection_timeout: Seconds = 5
    use_pool: bool = True
    pool_size: Count = 10
    pool_retry_max: Annotated[int, Meta(ge=1, le=10)] = 3
    pool_retry_delay: Annotated[float, Meta(ge=0, le=60)] = 0.1
    pool_connection_lifetime: Annotated[int, Meta(ge=1, le=86_400)] = 600


def words(value: list[str] | str) -> list[str]:
    """A list, which may be written with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if part.strip()]
