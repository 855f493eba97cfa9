"""The directories of the contract suite: each driver, and the identity API over each of them and over its own tables.

The API is asked as a directory would be, by `AskedByApi`: so our own tables keep the promises of the port too, and the
mirror shows of a driver what the driver says.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from maldon.drivers.directory.keyvalue import KeyValueDirectory
from maldon.drivers.directory.ldap import LdapDirectory
from maldon.drivers.keyvalue.memory import MemoryKeyValue
from maldon.drivers.keyvalue.redis import RedisKeyValue
from maldon.kernel.errors import BadRequest, Conflict, Duplicate, Forbidden, NotFound, Unavailable
from maldon.ports.directory import FEATURES, DirectoryGroup, DirectoryUser
from tests.harness import Answer
from tests.identity_cloud import Identity, identity_cloud
from tests.ldap_tree import Tree

ERRORS = {400: BadRequest, 403: Forbidden, 404: NotFound, 409: Duplicate, 503: Unavailable}
OWN = frozenset({"id", "name", "domain_id", "enabled", "password_expires_at", "options", "links", "default_project_id"})


def ldap(options: dict[str, Any], domain_id: str = "a-domain") -> LdapDirectory:
    return LdapDirectory(domain_id, msgspec.convert(options, LdapDirectory.Options, strict=False), MemoryKeyValue())


class AskedByApi:
    """The users and groups of a domain, by HTTP. Ids are the API's."""

    features = FEATURES

    def __init__(self, cloud: Identity, domain_id: str) -> None:
        self.cloud, self.domain_id = cloud, domain_id

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        self.cloud.cloud.clock.advance(30)  # longer than a listing is good for, shorter than the token
        got = await self.cloud(method, path, body)
        if got.status >= 400:
            raise ERRORS.get(got.status, Conflict)(got.json["error"]["message"] if got.body else path)
        return got

    async def authenticate(self, user_id: str | None, password: str) -> bool:
        got = await self.cloud.auth(
            {"methods": ["password"], "password": {"user": {"id": user_id or "0" * 64, "password": password}}}
        )
        return got.status == 201

    async def user(self, user_id: str) -> DirectoryUser | None:
        with contextlib.suppress(NotFound):
            return self._user((await self.ask("GET", f"/users/{user_id}")).json["user"])
        return None

    async def user_named(self, name: str) -> DirectoryUser | None:
        found = (await self.cloud("GET", f"/users?domain_id={self.domain_id}&name={name}")).json["users"]
        return self._user(found[0]) if found else None

    async def users(self, limit: int) -> list[DirectoryUser]:
        got = await self.ask("GET", f"/users?domain_id={self.domain_id}&limit={limit}")
        return [self._user(one) for one in got.json["users"]]

    async def group(self, group_id: str) -> DirectoryGroup | None:
        with contextlib.suppress(NotFound):
            return self._group((await self.ask("GET", f"/groups/{group_id}")).json["group"])
        return None

    async def groups(self, limit: int) -> list[DirectoryGroup]:
        got = await self.ask("GET", f"/groups?domain_id={self.domain_id}&limit={limit}")
        return [self._group(one) for one in got.json["groups"]]

    async def groups_of(self, user_id: str) -> list[DirectoryGroup]:
        with contextlib.suppress(NotFound):
            return [self._group(one) for one in (await self.ask("GET", f"/users/{user_id}/groups")).json["groups"]]
        return []

    async def members_of(self, group_id: str) -> set[str]:
        with contextlib.suppress(NotFound):
            return {one["id"] for one in (await self.ask("GET", f"/groups/{group_id}/users")).json["users"]}
        return set()

    async def memberships(self) -> dict[str, set[str]]:
        found = {group.id: await self.members_of(group.id) for group in await self.groups(1000)}
        return {id_: members for id_, members in found.items() if members}

    async def add_user(self, user: DirectoryUser, password: str | None) -> DirectoryUser:
        body = {"domain_id": self.domain_id, "name": user.name, "enabled": user.enabled, **user.extra}
        if password is not None:
            body["password"] = password
        return self._user((await self.ask("POST", "/users", {"user": body})).json["user"])

    async def change_user(self, user: DirectoryUser, password: str | None) -> None:
        now = await self.user(user.id)
        gone = dict.fromkeys((now.extra if now else {}).keys() - user.extra.keys())
        body = {"name": user.name, "enabled": user.enabled, **user.extra, **gone}
        if password is not None:
            body["password"] = password
        await self.ask("PATCH", f"/users/{user.id}", {"user": body})

    async def remove_user(self, user_id: str) -> None:
        await self.ask("DELETE", f"/users/{user_id}")

    async def add_group(self, group: DirectoryGroup) -> DirectoryGroup:
        body = {"domain_id": self.domain_id, "name": group.name, "description": group.description}
        return self._group((await self.ask("POST", "/groups", {"group": body})).json["group"])

    async def change_group(self, group: DirectoryGroup) -> None:
        body = {"name": group.name, "description": group.description}
        await self.ask("PATCH", f"/groups/{group.id}", {"group": body})

    async def remove_group(self, group_id: str) -> None:
        await self.ask("DELETE", f"/groups/{group_id}")

    async def add_member(self, group_id: str, user_id: str) -> None:
        await self.ask("PUT", f"/groups/{group_id}/users/{user_id}")

    async def remove_member(self, group_id: str, user_id: str) -> None:
        await self.ask("DELETE", f"/groups/{group_id}/users/{user_id}")

    async def close(self) -> None:
        """The cloud closes what is open."""

    def _user(self, shown: dict[str, Any]) -> DirectoryUser:
        assert shown["domain_id"] == self.domain_id
        extra = {name: value for name, value in shown.items() if name not in OWN and value is not None}
        return DirectoryUser(shown["id"], shown["name"], shown["enabled"], shown.get("default_project_id"), extra)

    def _group(self, shown: dict[str, Any]) -> DirectoryGroup:
        assert shown["domain_id"] == self.domain_id
        return DirectoryGroup(shown["id"], shown["name"], shown["description"])


ENABLED = {"user_attribute_ignore": "default_project_id", "user_enabled_emulation": True}


async def emulation(tree: Tree) -> dict[str, Any]:
    """Options of a tree where a user is enabled by membership, for its entries have no attribute that says so."""
    dn = f"cn=enabled,{tree.base}"
    tree.add(dn, "groupOfNames", member="cn=dumb,dc=nonexistent")
    return tree.writable(**ENABLED, user_enabled_emulation_dn=dn)


@contextlib.asynccontextmanager
async def directory(kind: str, request: Any, tmp_path: Any) -> AsyncIterator[Any]:
    """An empty directory that may be written: a driver's, or "api over" one of them or over "sql"."""
    way, _, driver = kind.rpartition(" over ")
    options = await emulation(Tree(request.getfixturevalue("ldap_server"))) if driver == "ldap" else {}
    if way:
        async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as cloud:
            domain = await cloud.make("domain", name="theirs")
            config = {"identity": {"driver": driver}, **({driver: options} if options else {})}
            got = await cloud("PUT", f"/domains/{domain['id']}/config", {"config": config})
            assert got.status == 201, got.body
            yield AskedByApi(cloud, domain["id"])
        return
    if driver == "ldap":
        made: Any = ldap(options)
        store = MemoryKeyValue()
    else:
        store = RedisKeyValue(request.getfixturevalue("redis_url")) if "redis" in driver else MemoryKeyValue()
        made = KeyValueDirectory(str(tmp_path), KeyValueDirectory.Options(), store)
    yield made
    await made.close()
    await store.close()
