"""A company's tree in a real LDAP server: users and groups of a test's own, and options that point there."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ldap3

from tests.servers import Slapd


@dataclass
class Tree:
    """Written by the server's admin; each has a subtree of its own."""

    server: Slapd
    base: str = field(init=False)

    def __post_init__(self) -> None:
        self.base = f"ou={uuid.uuid4().hex[:12]},{Slapd.root}"
        for dn in (self.base, f"ou=Users,{self.base}", f"ou=UserGroups,{self.base}"):
            self.add(dn, "organizationalUnit")

    def options(self, **more: Any) -> dict[str, Any]:
        """The section [ldap] for this tree: read only, by the server's reader."""
        return {
            "url": self.server.url,
            "user": Slapd.reader,
            "password": Slapd.reader_password,
            "suffix": self.base,
            "user_id_attribute": "uid",
            "user_name_attribute": "cn",
            "user_attribute_ignore": "default_project_id,enabled",
            "group_name_attribute": "cn",
            **more,
        }

    def writable(self, **more: Any) -> dict[str, Any]:
        """The same for whoever may write."""
        allowed = {f"{one}_allow_{verb}": True for one in ("user", "group") for verb in ("create", "update", "delete")}
        return self.options(user=Slapd.admin, password=Slapd.password, **allowed, **more)

    def user_dn(self, uid: str) -> str:
        return f"uid={uid},ou=Users,{self.base}"

    def user(self, uid: str, name: str = "", password: str = "pw", **more: Any) -> str:
        """A new user's DN."""
        dn, name = self.user_dn(uid), name or uid
        self.add(dn, "inetOrgPerson", cn=name, sn=name, userPassword=password, **more)
        return dn

    def group(self, name: str, members: Iterable[str] = (), **more: Any) -> str:
        """A new group of these users, by their uids; its DN."""
        dn = f"cn={name},ou=UserGroups,{self.base}"
        dns = [self.user_dn(uid) for uid in members] or ["cn=dumb,dc=nonexistent"]
        self.add(dn, "groupOfNames", member=dns, **more)
        return dn

    def add(self, dn: str, *classes: str, **attributes: Any) -> None:
        self._done("add", dn, list(classes), attributes)

    def set(self, dn: str, **attributes: Any) -> None:
        """Replace these attributes; None takes one away."""
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [] if value is None else value if isinstance(value, list) else [value])]
            for name, value in attributes.items()
        }
        self._done("modify", dn, changes)

    def delete(self, dn: str) -> None:
        self._done("delete", dn)

    def _done(self, verb: str, *given: Any) -> None:
        server = ldap3.Server("127.0.0.1", self.server.port, get_info=ldap3.NONE)
        connection = ldap3.Connection(
            server, Slapd.admin, Slapd.password, client_strategy=ldap3.SAFE_SYNC, check_names=False, auto_bind=True
        )
        try:
            done, result, _, _ = getattr(connection, verb)(*given)
            assert done, (verb, given, result)
        finally:
            connection.unbind()
