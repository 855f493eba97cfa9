"""Users and groups in LDAP servers (OpenLDAP, 389 Directory, Active Directory), read, and written where allowed.

A password is checked by binding as the user. Each verb is done by a worker thread over a connection of the cloud's own
account: `ldap_users` and `ldap_groups` say how, `ldap_tree` how entries are found and changed, `ldap_connections` how
servers are reached. The library is imported for the first directory.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar, TypeVar

from maldon.drivers.directory.ldap_options import LdapOptions
from maldon.kernel.errors import Unavailable
from maldon.ports import directory as words
from maldon.ports.directory import DirectoryGroup, DirectoryUser
from maldon.ports.keyvalue import KeyValue

T = TypeVar("T")


class LdapDirectory:
    """See ports.directory."""

    Options: ClassVar = LdapOptions
    secrets: ClassVar = frozenset({"password"})

    def __init__(self, domain_id: str, options: LdapOptions, keyvalue: KeyValue) -> None:  # noqa: ARG002 - the port's
        from maldon.drivers.directory.ldap_connections import Connections
        from maldon.drivers.directory.ldap_groups import LdapGroups
        from maldon.drivers.directory.ldap_tree import LdapTree
        from maldon.drivers.directory.ldap_users import LdapUsers

        self._options = options
        self._who = f"The directory of domain {domain_id}"
        self._connections = Connections(options, self._who)
        tree = LdapTree(options, self._who, self._connections)
        self._users = LdapUsers(options, tree)
        self._groups = LdapGroups(options, tree, self._users)
        # Threads of its own: a server that does not answer must not keep others from hashing passwords.
        self._threads = ThreadPoolExecutor(options.pool_size, thread_name_prefix="ldap")
        self._closed = False
        self._patience_s = options.connection_timeout * (options.pool_retry_max + 1) * 2

    @property
    def features(self) -> frozenset[str]:
        allowed = {
            words.CREATE_USERS: self._options.user_allow_create,
            words.UPDATE_USERS: self._options.user_allow_update,
            words.DELETE_USERS: self._options.user_allow_delete,
            words.CREATE_GROUPS: self._options.group_allow_create,
            words.UPDATE_GROUPS: self._options.group_allow_update,
            words.DELETE_GROUPS: self._options.group_allow_delete,
        }
        return frozenset(word for word, yes in allowed.items() if yes)

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)  # once those who are asking have their answers
        self._connections.close()

    # who is there

    async def authenticate(self, user_id: str | None, password: str) -> bool:
        return await self._in_thread(self._authenticate, user_id, password)

    async def user(self, user_id: str) -> DirectoryUser | None:
        return await self._read(self._users.one, self._options.user_id_attribute, user_id)

    async def user_named(self, name: str) -> DirectoryUser | None:
        return await self._read(self._users.one, self._options.user_name_attribute, name)

    async def users(self, limit: int) -> list[DirectoryUser]:
        return await self._read(self._users.all, limit)

    async def group(self, group_id: str) -> DirectoryGroup | None:
        return await self._read(self._groups.one, group_id)

    async def groups(self, limit: int) -> list[DirectoryGroup]:
        return await self._read(self._groups.all, limit)

    async def groups_of(self, user_id: str) -> list[DirectoryGroup]:
        return await self._read(self._groups.of, user_id)

    async def members_of(self, group_id: str) -> set[str]:
        return await self._read(self._groups.members_of, group_id)

    async def memberships(self) -> dict[str, set[str]]:
        return await self._read(self._groups.memberships)

    # changes

    async def add_user(self, user: DirectoryUser, password: str | None) -> DirectoryUser:
        return await self._write(self._users.add, user, password)

    async def change_user(self, user: DirectoryUser, password: str | None) -> None:
        await self._write(self._users.change, user, password)

    async def remove_user(self, user_id: str) -> None:
        await self._write(self._groups.remove_user, user_id)

    async def add_group(self, group: DirectoryGroup) -> DirectoryGroup:
        return await self._write(self._groups.add, group)

    async def change_group(self, group: DirectoryGroup) -> None:
        await self._write(self._groups.change, group)

    async def remove_group(self, group_id: str) -> None:
        await self._write(self._groups.remove, group_id)

    async def add_member(self, group_id: str, user_id: str) -> None:
        await self._write(self._groups.add_member, group_id, user_id)

    async def remove_member(self, group_id: str, user_id: str) -> None:
        await self._write(self._groups.remove_member, group_id, user_id)

    # the same in a thread, over a connection

    async def _read(self, ask: Callable[..., T], *given: Any) -> T:
        return await self._in_thread(self._connections.read, lambda connection: ask(connection, *given))

    async def _write(self, tell: Callable[..., T], *given: Any) -> T:
        return await self._in_thread(self._connections.write, lambda connection: tell(connection, *given))

    async def _in_thread(self, call: Callable[..., T], *given: Any) -> T:
        if self._closed:
            raise Unavailable(f"{self._who} has just been configured anew; try again.")
        try:
            async with asyncio.timeout(self._patience_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *given))
        except TimeoutError as error:
            raise Unavailable(f"{self._who} takes too long to answer; try again in a while.") from error

    def _authenticate(self, user_id: str | None, password: str) -> bool:
        """For who is not there the server is asked as much."""
        dn, there = self._connections.read(lambda connection: self._users.dn_to_try(connection, user_id))
        return self._connections.accepts(dn, password) and there
