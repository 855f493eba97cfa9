"""The directory port: users and groups that are kept elsewhere, such as in a company's LDAP servers.

A directory belongs to one domain and knows its users and groups by ids of its own (`local ids`), which it never gives
to somebody else. The identity service keeps a mirror of what it has seen, so a directory is asked at logins and
listings only. Reading needs nothing of the directory's owner; whether it may be written is a word in `features`:
create-users, update-users, delete-users, create-groups, update-groups (who is in them, too), delete-groups.

Every verb raises Unavailable, with a sentence that names no host, when the directory cannot be asked. Verbs that write
raise NotFound, Duplicate, and BadRequest for what the directory has no place for; they can be repeated.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec

from maldon.ports.keyvalue import KeyValue

CREATE_USERS, UPDATE_USERS, DELETE_USERS = "create-users", "update-users", "delete-users"
CREATE_GROUPS, UPDATE_GROUPS, DELETE_GROUPS = "create-groups", "update-groups", "delete-groups"
FEATURES = frozenset({CREATE_USERS, UPDATE_USERS, DELETE_USERS, CREATE_GROUPS, UPDATE_GROUPS, DELETE_GROUPS})


class DirectoryUser(msgspec.Struct, frozen=True):
    """A user as the directory has it; `extra` holds the attributes that the API shows beside (email, description …)."""

    id: str
    name: str
    enabled: bool = True
    default_project_id: str | None = None
    extra: dict[str, Any] = {}


class DirectoryGroup(msgspec.Struct, frozen=True):
    """A group, without its members."""

    id: str
    name: str
    description: str | None = None
    extra: dict[str, Any] = {}


class Directory(Protocol):
    """Users and groups of one domain."""

    features: frozenset[str]

    async def authenticate(self, user_id: str | None, password: str) -> bool:
        """Whether it is the user's password. None is nobody's id: never right, and looks as long."""

    async def user(self, user_id: str) -> DirectoryUser | None: ...

    async def user_named(self, name: str) -> DirectoryUser | None: ...

    async def users(self, limit: int) -> list[DirectoryUser]:
        """All of them, or `limit` of them if there are more."""

    async def group(self, group_id: str) -> DirectoryGroup | None: ...

    async def groups(self, limit: int) -> list[DirectoryGroup]:
        """All of them, or `limit` of them if there are more."""

    async def groups_of(self, user_id: str) -> list[DirectoryGroup]:
        """The groups a user is in; none for nobody."""

    async def members_of(self, group_id: str) -> set[str]:
        """The ids of the users in a group; none for no group."""

    async def memberships(self) -> dict[str, set[str]]:
        """The same for every group that has members."""

    async def add_user(self, user: DirectoryUser, password: str | None) -> DirectoryUser:
        """The user as it is kept; its id may be another than the one proposed."""

    async def change_user(self, user: DirectoryUser, password: str | None) -> None:
        """Have the user of this id be so; a password of None stays what it is."""

    async def remove_user(self, user_id: str) -> None:
        """Out of its groups, too."""

    async def add_group(self, group: DirectoryGroup) -> DirectoryGroup:
        """The group as it is kept; its id may be another than the one proposed."""

    async def change_group(self, group: DirectoryGroup) -> None: ...

    async def remove_group(self, group_id: str) -> None: ...

    async def add_member(self, group_id: str, user_id: str) -> None:
        """Nothing happens to one who is in it."""

    async def remove_member(self, group_id: str, user_id: str) -> None:
        """Raises NotFound for one who is not in it."""

    async def close(self) -> None: ...


class DirectoryDriver(Protocol):
    """What an entry point of the group `maldon.directory` names: a class made with a domain's options.

    `Options` is a Struct whose every field has a default. A domain is configured with the options that differ, under
    the driver's name; those in `secrets` are never shown. `keyvalue` is the cloud's store, for those who keep things
    there.
    """

    Options: ClassVar[type[msgspec.Struct]]
    secrets: ClassVar[frozenset[str]]

    def __call__(self, domain_id: str, options: Any, keyvalue: KeyValue) -> Directory: ...


Drivers = Mapping[str, Any]
"""Directory drivers by name: each a function without arguments that gives the DirectoryDriver, imported when called."""
