"""Users and groups in LDAP servers (OpenLDAP, 389 Directory, Active Directory), read, and written where allowed.

A user is found by a search below `user_tree_dn`, a password is checked by binding as the user. A group names its
members by their DNs, or by their ids (`group_members_are_ids`, as posixGroup does). Whether a user is enabled is said
by an attribute, by bits of one, or by membership in a group of those enabled. Several pages are fetched where
`page_size` asks for them. The library is imported for the first directory.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar, TypeVar

from maldon.drivers.directory.ldap_entries import Entry, GroupMap, UserMap, entry_of
from maldon.drivers.directory.ldap_options import LdapOptions
from maldon.kernel.errors import NotFound, Unavailable
from maldon.ports import directory as words
from maldon.ports.directory import DirectoryGroup, DirectoryUser
from maldon.ports.keyvalue import KeyValue

T = TypeVar("T")
_PAGED = "1.2.840.113556.1.4.319"
_GROUPS_LIMIT = 100_000
_NAMES_NOBODY = frozenset({"groupofnames", "groupofuniquenames"})  # classes whose entries must have a member


class LdapDirectory:
    """See ports.directory."""

    Options: ClassVar = LdapOptions
    secrets: ClassVar = frozenset({"password"})

    def __init__(self, domain_id: str, options: LdapOptions, keyvalue: KeyValue) -> None:  # noqa: ARG002 - the port's
        from maldon.drivers.directory.ldap_connections import Connections

        self._options = options
        self._who = f"The directory of domain {domain_id}"
        self._connections = Connections(options, self._who)
        self._users, self._groups = UserMap(options), GroupMap(options)
        self._user_tree = options.user_tree_dn or f"ou=Users,{options.suffix}"
        self._group_tree = options.group_tree_dn or f"ou=UserGroups,{options.suffix}"
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
        return await self._read(self._one_user, self._options.user_id_attribute, user_id)

    async def user_named(self, name: str) -> DirectoryUser | None:
        return await self._read(self._one_user, self._options.user_name_attribute, name)

    async def users(self, limit: int) -> list[DirectoryUser]:
        return await self._read(self._all_users, limit)

    async def group(self, group_id: str) -> DirectoryGroup | None:
        return await self._read(self._one_group, group_id)

    async def groups(self, limit: int) -> list[DirectoryGroup]:
        return await self._read(self._all_groups, limit)

    async def groups_of(self, user_id: str) -> list[DirectoryGroup]:
        return await self._read(self._groups_of, user_id)

    async def members_of(self, group_id: str) -> set[str]:
        return await self._read(self._members_of, group_id)

    async def memberships(self) -> dict[str, set[str]]:
        return await self._read(self._memberships)

    # changes

    async def add_user(self, user: DirectoryUser, password: str | None) -> DirectoryUser:
        return await self._write(self._add_user, user, password)

    async def change_user(self, user: DirectoryUser, password: str | None) -> None:
        await self._write(self._change_user, user, password)

    async def remove_user(self, user_id: str) -> None:
        await self._write(self._remove_user, user_id)

    async def add_group(self, group: DirectoryGroup) -> DirectoryGroup:
        return await self._write(self._add_group, group)

    async def change_group(self, group: DirectoryGroup) -> None:
        await self._write(self._change_group, group)

    async def remove_group(self, group_id: str) -> None:
        await self._write(self._remove_group, group_id)

    async def add_member(self, group_id: str, user_id: str) -> None:
        await self._write(self._add_member, group_id, user_id)

    async def remove_member(self, group_id: str, user_id: str) -> None:
        await self._write(self._remove_member, group_id, user_id)

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

    def _search(
        self,
        connection: Any,
        base: str,
        condition: str,
        attributes: Iterable[str],
        limit: int,
        scope: str | None = None,
    ) -> Iterator[Entry]:
        """The entries, at most `limit`, page by page. Raises Unavailable where the base is not there."""
        found, cookie = 0, None
        while True:
            _, result, response, _ = connection.search(
                base,
                condition,
                search_scope=scope or {"one": "LEVEL", "sub": "SUBTREE"}[self._options.query_scope],
                dereference_aliases=_ALIASES[self._options.alias_dereferencing],
                attributes=list(attributes),
                size_limit=0 if self._options.page_size else limit,
                paged_size=self._options.page_size or None,
                paged_cookie=cookie,
                time_limit=self._options.connection_timeout,
            )
            if result["result"] not in {0, 4, 10}:
                if scope == "BASE" and result["result"] == 32:
                    return
                raise Unavailable(
                    f"{self._who} cannot be searched as it is configured; its operator has to look at the tree, the "
                    "filter and the rights of the cloud's account.",
                    internal=f"{base} {condition}: {result['description']} {result['message']}",
                )
            for one in response or ():
                if one["type"] == "searchResEntry":
                    yield entry_of(one)
                    found += 1
                    if found >= limit:
                        return
            cookie = result.get("controls", {}).get(_PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    def _user_entries(self, connection: Any, conditions: Mapping[str, str], limit: int) -> Iterator[Entry]:
        wanted = _all_of(self._options.user_objectclass, self._options.user_filter, conditions)
        return self._search(connection, self._user_tree, wanted, self._users.attributes(), limit)

    def _user_entry(self, connection: Any, user_id: str) -> Entry | None:
        conditions = {self._options.user_id_attribute: user_id}
        return next(self._user_entries(connection, conditions, 1), None)

    def _group_entries(
        self, connection: Any, conditions: Mapping[str, str], limit: int, *, members: bool = False
    ) -> Iterator[Entry]:
        wanted = _all_of(self._options.group_objectclass, self._options.group_filter, conditions)
        attributes = [*self._groups.attributes(), *([self._options.group_member_attribute] if members else [])]
        return self._search(connection, self._group_tree, wanted, attributes, limit)

    def _group_entry(self, connection: Any, group_id: str, *, members: bool = False) -> Entry:
        conditions = {self._options.group_id_attribute: group_id}
        entry = next(self._group_entries(connection, conditions, 1, members=members), None)
        if entry is None:
            raise NotFound(f"{self._who} has no such group.")
        return entry

    def _authenticate(self, user_id: str | None, password: str) -> bool:
        entry = None if user_id is None else self._connections.read(lambda c: self._user_entry(c, user_id))
        if user_id is None:
            self._connections.read(lambda c: self._user_entry(c, "nobody"))
        dn = entry.dn if entry is not None else _dn(self._options.user_id_attribute, "nobody", self._user_tree)
        return self._connections.accepts(dn, password) and entry is not None

    def _one_user(self, connection: Any, attribute: str, value: str) -> DirectoryUser | None:
        entry = next(self._user_entries(connection, {attribute: value}, 1), None)
        return None if entry is None else self._users.user(entry, self._enabled_dns(connection))

    def _all_users(self, connection: Any, limit: int) -> list[DirectoryUser]:
        enabled = self._enabled_dns(connection)
        entries = self._user_entries(connection, {}, limit)
        return [user for entry in entries if (user := self._users.user(entry, enabled)) is not None]

    def _one_group(self, connection: Any, group_id: str) -> DirectoryGroup | None:
        entry = next(self._group_entries(connection, {self._options.group_id_attribute: group_id}, 1), None)
        return None if entry is None else self._groups.group(entry)

    def _all_groups(self, connection: Any, limit: int) -> list[DirectoryGroup]:
        entries = self._group_entries(connection, {}, limit)
        return [group for entry in entries if (group := self._groups.group(entry)) is not None]

    def _groups_of(self, connection: Any, user_id: str) -> list[DirectoryGroup]:
        entry = self._user_entry(connection, user_id)
        if entry is None:
            return []
        conditions = {self._options.group_member_attribute: self._as_member(entry)}
        entries = self._group_entries(connection, conditions, _GROUPS_LIMIT)
        return [group for found in entries if (group := self._groups.group(found)) is not None]

    def _as_member(self, entry: Entry) -> str:
        """How a group names this user."""
        if self._options.group_members_are_ids:
            return entry.first(self._options.user_id_attribute) or ""
        return entry.dn

    def _members_of(self, connection: Any, group_id: str) -> set[str]:
        conditions = {self._options.group_id_attribute: group_id}
        entries = list(self._group_entries(connection, conditions, 1, members=True))
        return self._memberships_in(connection, entries).get(group_id, set())

    def _memberships(self, connection: Any) -> dict[str, set[str]]:
        return self._memberships_in(connection, list(self._group_entries(connection, {}, _GROUPS_LIMIT, members=True)))

    def _memberships_in(self, connection: Any, entries: list[Entry]) -> dict[str, set[str]]:
        member = self._options.group_member_attribute.lower()
        named = {entry.first(self._options.group_id_attribute) or "": entry.values.get(member, []) for entry in entries}
        if self._options.group_members_are_ids:
            return {id_: set(members) for id_, members in named.items() if members}
        ids = self._ids_by_dn(connection) if any(named.values()) else {}
        known = {id_: {ids[dn.lower()] for dn in members if dn.lower() in ids} for id_, members in named.items()}
        return {id_: members for id_, members in known.items() if members}

    def _ids_by_dn(self, connection: Any) -> dict[str, str]:
        attribute = self._options.user_id_attribute
        condition = _all_of(self._options.user_objectclass, self._options.user_filter, {})
        entries = self._search(connection, self._user_tree, condition, [attribute], _GROUPS_LIMIT)
        return {entry.dn.lower(): id_ for entry in entries if (id_ := entry.first(attribute))}

    # enabled by membership

    def _emulation(self) -> tuple[str, str]:
        """The DN of the group of those enabled, and its attribute of members."""
        attribute = (
            self._options.group_member_attribute if self._options.user_enabled_emulation_use_group_config else ""
        )
        dn = self._options.user_enabled_emulation_dn or f"cn=enabled_users,{self._user_tree}"
        return dn, attribute or "member"

    def _enabled_dns(self, connection: Any) -> frozenset[str]:
        if not self._users.emulated:
            return frozenset()
        dn, attribute = self._emulation()
        found = self._search(connection, dn, "(objectClass=*)", [attribute], 1, "BASE")
        return frozenset(member.lower() for entry in found for member in entry.values.get(attribute.lower(), ()))

    def _set_enabled(self, connection: Any, user_dn: str, *, enabled: bool) -> None:
        if not self._users.emulated:
            return
        dn, attribute = self._emulation()
        self._modify_member(connection, dn, attribute, user_dn, add=enabled)

    # changes

    def _add_user(self, connection: Any, user: DirectoryUser, password: str | None) -> DirectoryUser:
        options = self._options
        id_ = user.name if options.user_id_attribute.lower() == options.user_name_attribute.lower() else user.id
        dn = _dn(options.user_id_attribute, id_, self._user_tree)
        values = {options.user_id_attribute: [id_], **self._users.written(user)}
        if options.user_objectclass.lower() in {"person", "organizationalperson", "inetorgperson"}:
            values = {"sn": [user.name], "cn": [user.name], **values}  # which these classes cannot be without
        _, result, _, _ = connection.add(dn, options.user_objectclass, {k: v for k, v in values.items() if v})
        self._connections.check(result, f"add {dn}")
        self._set_password(connection, dn, password)
        if user.enabled:
            self._set_enabled(connection, dn, enabled=True)
        return DirectoryUser(id_, user.name, user.enabled, user.default_project_id, user.extra)

    def _set_password(self, connection: Any, dn: str, password: str | None) -> None:
        """By the server's own verb, so that it hashes it its own way."""
        if password is None:
            return
        if self._options.user_pass_attribute.lower() == "userpassword":
            done = connection.extend.standard.modify_password(dn, new_password=password)
            result = done[1] if isinstance(done, tuple) else connection.result
        else:
            _, result, _, _ = connection.modify(
                dn, {self._options.user_pass_attribute: [("MODIFY_REPLACE", [password])]}
            )
        self._connections.check(result, f"password of {dn}")

    def _change_user(self, connection: Any, user: DirectoryUser, password: str | None) -> None:
        entry = self._user_entry(connection, user.id)
        if entry is None:
            raise NotFound(f"{self._who} has no such user.")
        self._replace(connection, entry, self._users.written(user, entry))
        self._set_password(connection, entry.dn, password)
        self._set_enabled(connection, entry.dn, enabled=user.enabled)

    def _replace(self, connection: Any, entry: Entry, values: Mapping[str, list[str]]) -> None:
        changes = {
            name: [("MODIFY_REPLACE", new)] for name, new in values.items() if entry.values.get(name.lower(), []) != new
        }
        if changes:
            _, result, _, _ = connection.modify(entry.dn, changes)
            self._connections.check(result, f"modify {entry.dn}")

    def _remove_user(self, connection: Any, user_id: str) -> None:
        entry = self._user_entry(connection, user_id)
        if entry is None:
            raise NotFound(f"{self._who} has no such user.")
        conditions = {self._options.group_member_attribute: self._as_member(entry)}
        for group in list(self._group_entries(connection, conditions, _GROUPS_LIMIT)):
            self._modify_member(
                connection,
                group.dn,
                self._options.group_member_attribute,
                conditions[self._options.group_member_attribute],
                add=False,
            )
        self._set_enabled(connection, entry.dn, enabled=False)
        self._delete(connection, entry.dn)

    def _add_group(self, connection: Any, group: DirectoryGroup) -> DirectoryGroup:
        options = self._options
        id_ = group.name if options.group_id_attribute.lower() == options.group_name_attribute.lower() else group.id
        dn = _dn(options.group_id_attribute, id_, self._group_tree)
        values = {options.group_id_attribute: [id_], **self._groups.written(group)}
        if self._needs_member:
            values[options.group_member_attribute] = [options.dumb_member]
        _, result, _, _ = connection.add(dn, options.group_objectclass, {k: v for k, v in values.items() if v})
        self._connections.check(result, f"add {dn}")
        return DirectoryGroup(id_, group.name, group.description, group.extra)

    def _change_group(self, connection: Any, group: DirectoryGroup) -> None:
        self._replace(connection, self._group_entry(connection, group.id), self._groups.written(group))

    def _remove_group(self, connection: Any, group_id: str) -> None:
        self._delete(connection, self._group_entry(connection, group_id).dn)

    def _delete(self, connection: Any, dn: str) -> None:
        _, result, _, _ = connection.delete(dn)
        self._connections.check(result, f"delete {dn}")

    @property
    def _needs_member(self) -> bool:
        return self._options.group_objectclass.lower() in _NAMES_NOBODY

    def _member(self, connection: Any, group_id: str, user_id: str) -> tuple[Entry, str]:
        """The group's entry and how it names the user."""
        group, user = self._group_entry(connection, group_id, members=True), self._user_entry(connection, user_id)
        if user is None:
            raise NotFound(f"{self._who} has no such user.")
        return group, self._as_member(user)

    def _add_member(self, connection: Any, group_id: str, user_id: str) -> None:
        group, member = self._member(connection, group_id, user_id)
        self._modify_member(connection, group.dn, self._options.group_member_attribute, member, add=True)

    def _remove_member(self, connection: Any, group_id: str, user_id: str) -> None:
        group, member = self._member(connection, group_id, user_id)
        there = [one.lower() for one in group.values.get(self._options.group_member_attribute.lower(), [])]
        if member.lower() not in there:
            raise NotFound("The user is not in the group.")
        self._modify_member(connection, group.dn, self._options.group_member_attribute, member, add=False)

    def _modify_member(self, connection: Any, dn: str, attribute: str, member: str, *, add: bool) -> None:
        """In or out; nothing happens to one who is so already. The last one out leaves a name of nobody behind."""
        change = ("MODIFY_ADD" if add else "MODIFY_DELETE", [member])
        _, result, _, _ = connection.modify(dn, {attribute: [change]})
        if result["result"] == 65 and not add:  # an entry of this class cannot be without a member
            both = [("MODIFY_ADD", [self._options.dumb_member]), change]
            _, result, _, _ = connection.modify(dn, {attribute: both})
        if result["result"] not in {16, 20}:
            self._connections.check(result, f"members of {dn}")


_ALIASES = {
    "default": "ALWAYS",
    "never": "NEVER",
    "always": "ALWAYS",
    "searching": "SEARCH",
    "finding": "BASE",
}


def _all_of(objectclass: str, further: str | None, conditions: Mapping[str, str]) -> str:
    """A search filter: the class, what the operator adds, and these attributes with these values."""
    from ldap3.utils.conv import escape_filter_chars

    parts = [f"(objectClass={objectclass})"]
    if further:
        parts.append(further if further.startswith("(") else f"({further})")
    parts += [f"({attribute}={escape_filter_chars(value)})" for attribute, value in conditions.items()]
    return f"(&{''.join(parts)})"


def _dn(attribute: str, value: str, tree: str) -> str:
    from ldap3.utils.dn import escape_rdn

    return f"{attribute}={escape_rdn(value)},{tree}"
