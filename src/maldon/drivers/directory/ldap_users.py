"""Users in an LDAP server, over a connection that is given.

One is found by a search below `user_tree_dn`. Whether a user is enabled is said by an attribute, by bits of one, or by
membership in a group of those enabled.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from maldon.drivers.directory.ldap_entries import Entry, UserMap
from maldon.drivers.directory.ldap_options import LdapOptions
from maldon.drivers.directory.ldap_tree import EVERY, LdapTree, all_of, dn_of
from maldon.kernel.errors import NotFound
from maldon.ports.directory import DirectoryUser

_NOBODY = "nobody"
_NAMED_TWICE = frozenset({"person", "organizationalperson", "inetorgperson"})  # which cannot be without sn and cn


class LdapUsers:
    """Read and written."""

    def __init__(self, options: LdapOptions, tree: LdapTree) -> None:
        self._options, self._tree, self._map = options, tree, UserMap(options)
        self._base = options.user_tree_dn or f"ou=Users,{options.suffix}"

    def entry(self, connection: Any, user_id: str) -> Entry | None:
        return next(self._entries(connection, {self._options.user_id_attribute: user_id}, 1), None)

    def need(self, connection: Any, user_id: str) -> Entry:
        """Raises NotFound."""
        entry = self.entry(connection, user_id)
        if entry is None:
            raise NotFound(f"{self._tree.who} has no such user.")
        return entry

    def _entries(self, connection: Any, conditions: Mapping[str, str], limit: int) -> Iterator[Entry]:
        wanted = all_of(self._options.user_objectclass, self._options.user_filter, conditions)
        return self._tree.search(connection, self._base, wanted, self._map.attributes(), limit)

    def dn_to_try(self, connection: Any, user_id: str | None) -> tuple[str, bool]:
        """The DN that a password is tried with, and whether there is such a user. Nobody is looked for as long."""
        entry = self.entry(connection, _NOBODY if user_id is None else user_id)
        if user_id is None or entry is None:
            return dn_of(self._options.user_id_attribute, _NOBODY, self._base), False
        return entry.dn, True

    def one(self, connection: Any, attribute: str, value: str) -> DirectoryUser | None:
        entry = next(self._entries(connection, {attribute: value}, 1), None)
        return None if entry is None else self._map.user(entry, self._enabled_dns(connection))

    def all(self, connection: Any, limit: int) -> list[DirectoryUser]:
        enabled = self._enabled_dns(connection)
        entries = self._entries(connection, {}, limit)
        return [user for entry in entries if (user := self._map.user(entry, enabled)) is not None]

    def ids_by_dn(self, connection: Any) -> dict[str, str]:
        """By DN in lower case."""
        attribute = self._options.user_id_attribute
        wanted = all_of(self._options.user_objectclass, self._options.user_filter, {})
        entries = self._tree.search(connection, self._base, wanted, [attribute], EVERY)
        return {entry.dn.lower(): id_ for entry in entries if (id_ := entry.first(attribute))}

    # changes

    def add(self, connection: Any, user: DirectoryUser, password: str | None) -> DirectoryUser:
        options = self._options
        id_ = user.name if options.user_id_attribute.lower() == options.user_name_attribute.lower() else user.id
        dn = dn_of(options.user_id_attribute, id_, self._base)
        values = {options.user_id_attribute: [id_], **self._map.written(user)}
        if options.user_objectclass.lower() in _NAMED_TWICE:
            values = {"sn": [user.name], "cn": [user.name], **values}
        self._tree.add(connection, dn, options.user_objectclass, values)
        if password is not None:
            self._tree.set_password(connection, dn, password)
        if user.enabled:
            self._set_enabled(connection, dn, enabled=True)
        return DirectoryUser(id_, user.name, user.enabled, user.default_project_id, user.extra)

    def change(self, connection: Any, user: DirectoryUser, password: str | None) -> None:
        entry = self.need(connection, user.id)
        self._tree.replace(connection, entry, self._map.written(user, entry))
        if password is not None:
            self._tree.set_password(connection, entry.dn, password)
        self._set_enabled(connection, entry.dn, enabled=user.enabled)

    def remove(self, connection: Any, entry: Entry) -> None:
        self._set_enabled(connection, entry.dn, enabled=False)
        self._tree.delete(connection, entry.dn)

    # enabled by membership

    def _emulation(self) -> tuple[str, str]:
        """The DN of the group of those enabled, and its attribute of members."""
        options = self._options
        attribute = options.group_member_attribute if options.user_enabled_emulation_use_group_config else ""
        return options.user_enabled_emulation_dn or f"cn=enabled_users,{self._base}", attribute or "member"

    def _enabled_dns(self, connection: Any) -> frozenset[str]:
        if not self._map.emulated:
            return frozenset()
        dn, attribute = self._emulation()
        found = self._tree.search(connection, dn, "(objectClass=*)", [attribute], 1, "BASE")
        return frozenset(member.lower() for entry in found for member in entry.values.get(attribute.lower(), ()))

    def _set_enabled(self, connection: Any, user_dn: str, *, enabled: bool) -> None:
        if self._map.emulated:
            dn, attribute = self._emulation()
            self._tree.set_member(connection, dn, attribute, user_dn, inside=enabled)
