"""What every cloud begins with: the default domain, three projects, the roles, the first users, the catalog.

Made at every start in one transaction; a repeat changes only what is missing, and the addresses, which follow the ports
given. The passwords of people are set when they are made and never again; those of machines follow what is given.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, insert, select, update

from maldon.identity.api.domain import new_domain
from maldon.identity.api.project import new_project
from maldon.identity.api.role import new_role
from maldon.identity.api.user import new_user
from maldon.identity.models.catalog import endpoint, region, service
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment, implied_role, role
from maldon.identity.models.user import user
from maldon.identity.passwords import Passwords
from maldon.identity.tree import DEFAULT_DOMAIN
from maldon.identity.verbs.catalog import put_in_place
from maldon.identity.verifier import bump
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.ports.catalog import CatalogService

_CHAIN = ("admin", "manager", "member", "reader")
_ROLES = (*_CHAIN, "service", "agent", "ResellerAdmin")
_INTERFACES = ("public", "internal", "admin")
NODE = "node"
# Nobody is there to change a machine's password, and who knows its name must not be able to lock it out.
_MACHINE = dict.fromkeys(
    ("ignore_lockout_failure_attempts", "ignore_password_expiry", "ignore_user_inactivity", "lock_password"), True
)

_ADMIN = {"ignore_user_inactivity": True}  # else nobody might be left to enable anybody


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """`endpoints` maps a service type to its name and URL; `accounts` a service's user name to its password.

    A `catalog` that is kept elsewhere counts instead of `endpoints`.
    """

    admin_password: str
    demo_password: str
    node_password: str
    endpoints: Mapping[str, tuple[str, str]]
    accounts: Mapping[str, str] = field(default_factory=dict)
    region: str = "RegionOne"
    catalog: Sequence[CatalogService] | None = None

    def passwords(self) -> dict[str, str]:
        """By user name."""
        return {"admin": self.admin_password, "demo": self.demo_password, **self.machines()}

    def machines(self) -> dict[str, str]:
        """Those of users that are no people."""
        return {NODE: self.node_password, **self.accounts}


async def bootstrap(op: Op, wanted: Bootstrap) -> bool:
    """See that it is all there; whether anything had to be changed."""
    hashes = await _hashes(op, wanted)
    async with op.db.begin() as session:
        await session.lock("identity.bootstrap")
        await bump(op, session)
        books = _Books(session, op.clock.now())
        await books.people(wanted, hashes)
        if wanted.catalog is None:
            await books.catalog(wanted)
        elif await put_in_place(session, wanted.catalog):
            books.changed = True
    return books.changed


async def project_id(session: Session, name: str) -> str:
    """The id of a project of the default domain that was made here."""
    chosen = select(project.c.id).where(project.c.name_scope == DEFAULT_DOMAIN, project.c.name == name)
    return str(await session.scalar(chosen))


async def _hashes(op: Op, wanted: Bootstrap) -> dict[str, tuple[str | None, str]]:
    """The hash found and the one to be stored: of users to be made, of machines whose password is another now."""
    passwords, given = op.use(Passwords), wanted.passwords()
    async with op.db.read() as session:
        chosen = select(user.c.name, user.c.password).where(user.c.domain_id == DEFAULT_DOMAIN, user.c.name.in_(given))
        stored = {row.name: row.password for row in await session.all(chosen)}

    async def fresh(name: str) -> str | None:
        if name in stored and (name not in wanted.machines() or (await passwords.check(stored[name], given[name]))[0]):
            return None
        return await passwords.hash(given[name])

    made = zip(given, await asyncio.gather(*(fresh(name) for name in given)), strict=True)
    return {name: (stored.get(name), hashed) for name, hashed in made if hashed is not None}


class _Books:
    """The transaction, and whether it has changed anything."""

    def __init__(self, session: Session, now: int) -> None:
        self._session, self._now = session, now
        self.changed = False

    async def people(self, wanted: Bootstrap, hashes: Mapping[str, tuple[str | None, str]]) -> None:
        """Domain, projects, roles, users, and who has which role where."""
        await self._ensure(project, {"id": DEFAULT_DOMAIN}, new_domain(DEFAULT_DOMAIN, "Default"))
        projects = {
            name: await self._named(
                project, "name_scope", DEFAULT_DOMAIN, new_project(new_hex_id(), name, DEFAULT_DOMAIN)
            )
            for name in ("admin", "demo", "service")
        }
        roles = {name: await self._role(name) for name in _ROLES}
        for prior, then in itertools.pairwise(_CHAIN):
            await self._ensure(implied_role, {"prior_id": roles[prior], "implied_id": roles[then]})
        options = {"admin": _ADMIN, **dict.fromkeys(wanted.machines(), _MACHINE)}
        users = {
            name: await self._user(name, hashes.get(name), projects, options.get(name)) for name in wanted.passwords()
        }
        await self._give(users["admin"], "project", projects["admin"], roles["admin"])
        await self._give(users["admin"], "domain", DEFAULT_DOMAIN, roles["admin"])
        await self._give(users["admin"], SYSTEM, SYSTEM, roles["admin"])
        await self._give(users["demo"], "project", projects["demo"], roles["member"])
        for name in wanted.machines():
            await self._give(users[name], "project", projects["service"], roles["agent" if name == NODE else "service"])

    async def catalog(self, wanted: Bootstrap) -> None:
        """A service of each type with its three endpoints."""
        await self._ensure(region, {"id": wanted.region}, {"description": ""})
        for type_, (name, url) in wanted.endpoints.items():
            made = {"id": new_hex_id(), "name": name, "type": type_, "description": "", "enabled": True}
            service_id = await self._named(service, "type", type_, made)
            for interface in _INTERFACES:
                await self._endpoint(service_id, interface, wanted.region, url)

    async def _ensure(self, table: Table, key: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
        """A row with this key."""
        conditions = [table.c[name] == value for name, value in key.items()]
        if await self._session.first(select(table).where(*conditions)) is None:
            await self._insert(table, {**(more or {}), **key})

    async def _insert(self, table: Table, values: Mapping[str, Any]) -> None:
        await self._session.run(insert(table), dict(values))
        self.changed = True

    async def _named(self, table: Table, scope: str, value: str, made: Mapping[str, Any]) -> str:
        """The id of the row of this name in its scope."""
        chosen = select(table.c.id).where(table.c[scope] == value, table.c.name == made["name"])
        id_ = await self._session.scalar(chosen)
        if id_ is None:
            await self._insert(table, made)
        return str(id_ or made["id"])

    async def _role(self, name: str) -> str:
        fixed = {"options": {"immutable": True}} if name in _CHAIN else {}
        return await self._named(role, "domain_id", "", new_role(name) | fixed)

    async def _user(
        self, name: str, hashed: tuple[str | None, str] | None, projects: Mapping[str, str], options: Any
    ) -> str:
        """The id of the user; a new hash of a user who was there kills that one's tokens."""
        found, fresh = hashed or (None, None)
        made = new_user(name, DEFAULT_DOMAIN) | {"password": fresh, "password_at": self._now, "options": options}
        made["default_project_id"] = projects.get(name)
        id_ = await self._named(user, "domain_id", DEFAULT_DOMAIN, made)
        if found is not None:
            outdated = update(user).where(user.c.id == id_, user.c.password == found)
            if await self._session.run(outdated.values(password=fresh, tokens_from=self._now)):
                self.changed = True
        return id_

    async def _give(self, user_id: str, kind: str, target_id: str, role_id: str) -> None:
        key = {"actor_kind": "user", "actor_id": user_id, "target_kind": kind, "target_id": target_id}
        await self._ensure(assignment, {**key, "role_id": role_id, "inherited": False})

    async def _endpoint(self, service_id: str, interface: str, region_id: str, url: str) -> None:
        key = {"service_id": service_id, "interface": interface, "region_id": region_id}
        row = await self._session.first(select(endpoint).where(*(endpoint.c[k] == v for k, v in key.items())))
        if row is None:
            await self._insert(endpoint, {"id": new_hex_id(), **key, "url": url, "enabled": True})
        elif row.url != url:
            await self._session.run(update(endpoint).where(endpoint.c.id == row.id).values(url=url))
            self.changed = True
