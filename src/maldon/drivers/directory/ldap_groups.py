"""Groups in an LDAP server, and who is in them, over a connection that is given.

A group names its members by their DNs, or by their ids (`group_members_are_ids`, as posixGroup does).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from maldon.drivers.directory.ldap_entries import Entry, GroupMap
from maldon.drivers.directory.ldap_options import LdapOptions
from maldon.drivers.directory.ldap_tree import EVERY, LdapTree, all_of, dn_of
from maldon.drivers.directory.ldap_users import LdapUsers
from maldon.kernel.errors import NotFound
from maldon.ports.directory import DirectoryGroup

_NAMES_NOBODY = frozenset({"groupofnames", "groupofuniquenames"})  # classes whose entries must have a member


class LdapGroups:
    """Read and written."""

    def __init__(self, options: LdapOptions, tree: LdapTree, users: LdapUsers) -> None:
        self._options, self._tree, self._users, self._map = options, tree, users, GroupMap(options)
        self._base = options.group_tree_dn or f"ou=UserGroups,{options.suffix}"

    def _entries(
        self, connection: Any, conditions: Mapping[str, str], limit: int, *, members: bool = False
    ) -> Iterator[Entry]:
        wanted = all_of(self._options.group_objectclass, self._options.group_filter, conditions)
        attributes = [*self._map.attributes(), *([self._options.group_member_attribute] if members else [])]
        return self._tree.search(connection, self._base, wanted, attributes, limit)

    def _entry(self, connection: Any, group_id: str, *, members: bool = False) -> Entry | None:
        conditions = {self._options.group_id_attribute: group_id}
        return next(self._entries(connection, conditions, 1, members=members), None)

    def _need(self, connection: Any, group_id: str, *, members: bool = False) -> Entry:
        entry = self._entry(connection, group_id, members=members)
        if entry is None:
            raise NotFound(f"{self._tree.who} has no such group.")
        return entry

    def one(self, connection: Any, group_id: str) -> DirectoryGroup | None:
        entry = self._entry(connection, group_id)
        return None if entry is None else self._map.group(entry)

    def all(self, connection: Any, limit: int) -> list[DirectoryGroup]:
        return self._shown(self._entries(connection, {}, limit))

    def of(self, connection: Any, user_id: str) -> list[DirectoryGroup]:
        """Those that a user is in."""
        user = self._users.entry(connection, user_id)
        return [] if user is None else self._shown(self._with(connection, self._as_member(user)))

    def _with(self, connection: Any, member: str) -> Iterator[Entry]:
        return self._entries(connection, {self._options.group_member_attribute: member}, EVERY)

    def _shown(self, entries: Iterator[Entry]) -> list[DirectoryGroup]:
        return [group for entry in entries if (group := self._map.group(entry)) is not None]

    def _as_member(self, user: Entry) -> str:
        """How a group names this user."""
        if self._options.group_members_are_ids:
            return user.first(self._options.user_id_attribute) or ""
        return user.dn

    def members_of(self, connection: Any, group_id: str) -> set[str]:
        entry = self._entry(connection, group_id, members=True)
        return set() if entry is None else self._members(connection, [entry]).get(group_id, set())

    def memberships(self, connection: Any) -> dict[str, set[str]]:
        return self._members(connection, list(self._entries(connection, {}, EVERY, members=True)))

    def _members(self, connection: Any, entries: list[Entry]) -> dict[str, set[str]]:
        """The ids of the members by the group's id, those left out whom nobody is."""
        member = self._options.group_member_attribute.lower()
        named = {entry.first(self._options.group_id_attribute) or "": entry.values.get(member, []) for entry in entries}
        if self._options.group_members_are_ids:
            return {id_: set(members) for id_, members in named.items() if members}
        ids = self._users.ids_by_dn(connection) if any(named.values()) else {}
        known = {id_: {ids[dn.lower()] for dn in members if dn.lower() in ids} for id_, members in named.items()}
        return {id_: members for id_, members in known.items() if members}

    # changes

    def add(self, connection: Any, group: DirectoryGroup) -> DirectoryGroup:
        options = self._options
        id_ = group.name if options.group_id_attribute.lower() == options.group_name_attribute.lower() else group.id
        values = {options.group_id_attribute: [id_], **self._map.written(group)}
        if options.group_objectclass.lower() in _NAMES_NOBODY:
            values[options.group_member_attribute] = [options.dumb_member]
        dn = dn_of(options.group_id_attribute, id_, self._base)
        self._tree.add(connection, dn, options.group_objectclass, values)
        return DirectoryGroup(id_, group.name, group.description, group.extra)

    def change(self, connection: Any, group: DirectoryGroup) -> None:
        self._tree.replace(connection, self._need(connection, group.id), self._map.written(group))

    def remove(self, connection: Any, group_id: str) -> None:
        self._tree.delete(connection, self._need(connection, group_id).dn)

    def add_member(self, connection: Any, group_id: str, user_id: str) -> None:
        group, member = self._both(connection, group_id, user_id)
        self._set(connection, group, member, inside=True)

    def remove_member(self, connection: Any, group_id: str, user_id: str) -> None:
        group, member = self._both(connection, group_id, user_id)
        there = [one.lower() for one in group.values.get(self._options.group_member_attribute.lower(), [])]
        if member.lower() not in there:
            raise NotFound("The user is not in the group.")
        self._set(connection, group, member, inside=False)

    def remove_user(self, connection: Any, user_id: str) -> None:
        """Out of every group, then out of the tree."""
        user = self._users.need(connection, user_id)
        member = self._as_member(user)
        for group in list(self._with(connection, member)):
            self._set(connection, group, member, inside=False)
        self._users.remove(connection, user)

    def _both(self, connection: Any, group_id: str, user_id: str) -> tuple[Entry, str]:
        """The group's entry and how it names the user."""
        group = self._need(connection, group_id, members=True)
        return group, self._as_member(self._users.need(connection, user_id))

    def _set(self, connection: Any, group: Entry, member: str, *, inside: bool) -> None:
        self._tree.set_member(connection, group.dn, self._options.group_member_attribute, member, inside=inside)
