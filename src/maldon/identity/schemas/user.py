"""Bodies of users. Options that promise what we do not enforce are refused, not stored."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from maldon.identity.schemas.fields import Id, MaybeBool, Name, Password

Flag = bool | UnsetType | None
Method = Annotated[str, Meta(min_length=1, max_length=64)]
Rule = Annotated[list[Method], Meta(min_length=1, max_length=8)]
Rules = Annotated[list[Rule], Meta(max_length=16)]


class UserOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What waives a rule about passwords for one user; the second factors that a login takes."""

    lock_password: Flag = UNSET
    ignore_password_expiry: Flag = UNSET
    ignore_change_password_upon_first_use: Flag = UNSET
    ignore_lockout_failure_attempts: Flag = UNSET
    ignore_user_inactivity: Flag = UNSET
    multi_factor_auth_enabled: Flag = UNSET
    multi_factor_auth_rules: Rules | UnsetType | None = UNSET


class CreateUser(msgspec.Struct):
    name: Name
    domain_id: Id | None = None
    enabled: bool = True
    password: Password | None = None
    default_project_id: Id | None = None
    options: UserOptions | UnsetType = UNSET


class UpdateUser(msgspec.Struct):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType = UNSET
    enabled: MaybeBool = UNSET
    password: Password | UnsetType | None = UNSET
    default_project_id: Id | UnsetType | None = UNSET
    options: UserOptions | UnsetType = UNSET


class ChangePassword(msgspec.Struct):
    password: Password
    original_password: Password
