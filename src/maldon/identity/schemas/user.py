"""Bodies of users. Options that promise what we do not enforce, second factors first, are refused, not stored."""

import msgspec
from msgspec import UNSET, UnsetType

from maldon.identity.schemas.fields import Id, MaybeBool, Name, Password

Flag = bool | UnsetType | None


class UserOptions(msgspec.Struct, forbid_unknown_fields=True):
    """`lock_password` is honoured; the others waive rules that this cloud does not have."""

    lock_password: Flag = UNSET
    ignore_password_expiry: Flag = UNSET
    ignore_change_password_upon_first_use: Flag = UNSET
    ignore_lockout_failure_attempts: Flag = UNSET
    ignore_user_inactivity: Flag = UNSET


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
