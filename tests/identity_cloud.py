"""A cloud of the identity service alone, with its own tokens: begun as every cloud begins."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maldon.drivers.directory.keyvalue import KeyValueDirectory
from maldon.drivers.directory.ldap import LdapDirectory
from maldon.drivers.keyvalue.memory import MemoryKeyValue
from maldon.identity.routes import SERVICE
from maldon.identity.service import (
    Bootstrap,
    CredentialKeys,
    Directories,
    IdentitySettings,
    Passwords,
    TokenKeys,
    TokenVerifier,
    bootstrap,
)
from maldon.ports.keyvalue import KeyValue
from tests.harness import Answer, Cloud, cloud

ADMIN, DEMO_USER = "admin secret", "demo secret"
QUICK = IdentitySettings(hash_memory_kib=64, hash_passes=1)
DRIVERS = {"ldap": lambda: LdapDirectory, "keyvalue": lambda: KeyValueDirectory}
START = Bootstrap(
    ADMIN,
    DEMO_USER,
    "node secret",
    {
        "identity": ("keystone", "http://cloud.test/identity"),
        "compute": ("nova", "http://cloud.test/compute/v2.1"),
        "volume": ("cinder", "http://cloud.test/volume/v3/$(project_id)s"),
    },
)


@dataclass
class Identity:
    """Asks the API below /v3 with a token; "" asks without."""

    cloud: Cloud
    keys: TokenKeys
    token: str = ""

    async def __call__(self, method: str, path: str, json: Any = None, **headers: str) -> Answer:
        return await self.cloud.as_(self.token)(method, f"/identity/v3{path}", json, **headers)

    def as_(self, token: str) -> "Identity":
        return replace(self, token=token)

    async def make(self, noun: str, path: str = "", **values: Any) -> Any:
        """POST one; its body."""
        got = await self("POST", f"/{path or noun + 's'}", {noun: values})
        assert got.status == 201, got.body
        return got.json[noun]

    async def show(self, noun: str, id_: str) -> Any:
        got = await self("GET", f"/{noun}s/{id_}")
        assert got.status == 200, got.body
        return got.json[noun]

    async def login(self, user: str, password: str, scope: Any = None, **more: Any) -> Answer:
        """POST /auth/tokens; `user` is a name in the default domain."""
        who = {"name": user, "domain": {"id": "default"}, "password": password, **more}
        return await self.auth({"methods": ["password"], "password": {"user": who}}, scope)

    async def auth(self, proof: Any, scope: Any = None, query: str = "") -> Answer:
        body = {"auth": {"identity": proof, **({} if scope is None else {"scope": scope})}}
        return await self.as_("")("POST", f"/auth/tokens{query}", body)

    async def logged_in(self, user: str, password: str, scope: Any = None) -> "Identity":
        got = await self.login(user, password, scope)
        assert got.status == 201, got.body
        return self.as_(got.headers["x-subject-token"])

    async def look(self, token: str, query: str = "") -> Answer:
        return await self("GET", f"/auth/tokens{query}", X_Subject_Token=token)

    async def id_of(self, noun: str, name: str) -> str:
        listed = (await self("GET", f"/{noun}s?name={name}")).json[f"{noun}s"]
        return listed[0]["id"]

    async def user(self, name: str, role: str = "member", project: str = "demo") -> Any:
        """A user with the password "pw" and a role on a project of the default domain."""
        made = await self.make("user", name=name, password="pw")
        project_id, role_id = await self.id_of("project", project), await self.id_of("role", role)
        got = await self("PUT", f"/projects/{project_id}/users/{made['id']}/roles/{role_id}")
        assert got.status == 204, got.body
        return made


def project_scope(name: str) -> Any:
    return {"project": {"name": name, "domain": {"id": "default"}}}


@contextlib.asynccontextmanager
async def identity_cloud(
    url: str,
    home: Path,
    settings: IdentitySettings = QUICK,
    overrides: dict[str, str] | None = None,
    store: KeyValue | None = None,
) -> AsyncIterator[Identity]:
    """Begun, and asked by its admin. The `store` is for tokens that are kept."""
    keys = TokenKeys(home / "fernet-keys", settings.active_keys)
    secrets = CredentialKeys(home / "credential-keys")
    directories = Directories(DRIVERS, MemoryKeyValue(), secrets, home / "domains")
    kit = [settings, Passwords(settings), secrets, directories]

    def make_verifier(db, clock):
        return TokenVerifier(db, keys, clock, settings, store)

    async with cloud(url, [SERVICE], make_verifier=make_verifier, kit=kit, overrides=overrides) as made:
        await bootstrap(made.op(), START)
        made.clock.advance(1)
        try:
            yield await Identity(made, keys).logged_in("admin", ADMIN, project_scope("admin"))
        finally:
            await directories.close()
