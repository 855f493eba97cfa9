"""Entries of an LDAP server: found, made, changed and removed over a connection that is given; users and groups alike.

Several pages are fetched where `page_size` asks for them. What the server refuses is said in the words of the errors.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from maldon.drivers.directory.ldap_connections import NO_SUCH_OBJECT, Connections
from maldon.drivers.directory.ldap_entries import Entry, entry_of
from maldon.drivers.directory.ldap_options import LdapOptions
from maldon.kernel.errors import Unavailable

EVERY = 100_000
_PAGED = "1.2.840.113556.1.4.319"
_FOUND = frozenset({0, 4, 10})  # all, as many as were asked for, a referral
_NO_MEMBER_LEFT, _NEITHER_IN_NOR_OUT = 65, frozenset({16, 20})
_SCOPES = {"one": "LEVEL", "sub": "SUBTREE"}
_ALIASES = {
    "default": "ALWAYS",
    "never": "NEVER",
    "always": "ALWAYS",
    "searching": "SEARCH",
    "finding": "BASE",
}


class LdapTree:
    """The tree of one directory. `who` is put into sentences."""

    def __init__(self, options: LdapOptions, who: str, connections: Connections) -> None:
        self.who, self._options, self._connections = who, options, connections

    def search(
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
                search_scope=scope or _SCOPES[self._options.query_scope],
                dereference_aliases=_ALIASES[self._options.alias_dereferencing],
                attributes=list(attributes),
                size_limit=0 if self._options.page_size else limit,
                paged_size=self._options.page_size or None,
                paged_cookie=cookie,
                time_limit=self._options.connection_timeout,
            )
            if result["result"] not in _FOUND:
                if scope == "BASE" and result["result"] == NO_SUCH_OBJECT:
                    return
                raise Unavailable(
                    f"{self.who} cannot be searched as it is configured; its operator has to look at the tree, the "
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

    def add(self, connection: Any, dn: str, objectclass: str, values: Mapping[str, list[str]]) -> None:
        _, result, _, _ = connection.add(dn, objectclass, {name: value for name, value in values.items() if value})
        self._connections.check(result, f"add {dn}")

    def replace(self, connection: Any, entry: Entry, values: Mapping[str, list[str]]) -> None:
        """Have the entry say this, if it does not."""
        changes = {
            name: [("MODIFY_REPLACE", new)] for name, new in values.items() if entry.values.get(name.lower(), []) != new
        }
        if changes:
            _, result, _, _ = connection.modify(entry.dn, changes)
            self._connections.check(result, f"modify {entry.dn}")

    def delete(self, connection: Any, dn: str) -> None:
        _, result, _, _ = connection.delete(dn)
        self._connections.check(result, f"delete {dn}")

    def set_password(self, connection: Any, dn: str, password: str) -> None:
        """By the server's own verb, so that it hashes it its own way."""
        attribute = self._options.user_pass_attribute
        if attribute.lower() == "userpassword":
            done = connection.extend.standard.modify_password(dn, new_password=password)
            result = done[1] if isinstance(done, tuple) else connection.result
        else:
            _, result, _, _ = connection.modify(dn, {attribute: [("MODIFY_REPLACE", [password])]})
        self._connections.check(result, f"password of {dn}")

    def set_member(self, connection: Any, dn: str, attribute: str, member: str, *, inside: bool) -> None:
        """In or out; nothing happens to one who is so already. The last one out leaves a name of nobody behind."""
        change = ("MODIFY_ADD" if inside else "MODIFY_DELETE", [member])
        _, result, _, _ = connection.modify(dn, {attribute: [change]})
        if result["result"] == _NO_MEMBER_LEFT and not inside:  # which an entry of this class cannot be
            both = [("MODIFY_ADD", [self._options.dumb_member]), change]
            _, result, _, _ = connection.modify(dn, {attribute: both})
        if result["result"] not in _NEITHER_IN_NOR_OUT:
            self._connections.check(result, f"members of {dn}")


def all_of(objectclass: str, further: str | None, conditions: Mapping[str, str]) -> str:
    """A search filter: the class, what the operator adds, and these attributes with these values."""
    from ldap3.utils.conv import escape_filter_chars

    parts = [f"(objectClass={objectclass})"]
    if further:
        parts.append(further if further.startswith("(") else f"({further})")
    parts += [f"({attribute}={escape_filter_chars(value)})" for attribute, value in conditions.items()]
    return f"(&{''.join(parts)})"


def dn_of(attribute: str, value: str, tree: str) -> str:
    """The DN of an entry right below the tree."""
    from ldap3.utils.dn import escape_rdn

    return f"{attribute}={escape_rdn(value)},{tree}"
