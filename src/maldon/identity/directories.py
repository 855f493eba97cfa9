"""Which directory a domain's users and groups are in: our own tables, or one that its configuration names.

A domain is configured by the API, or by a file that goes before: `domains/<name or id of the domain>.toml` in the home,
with the same sections. The configuration is read whenever it is needed, so a change counts at once in every process; a
directory stays open for as long as its configuration stays the same. What cannot be honoured, such as a driver that is
not installed, is said to whoever asks for the domain's people: Unavailable, with a sentence.

A secret stays sealed from the books to the driver that is opened with it. Only a file, and a row from before secrets
were sealed, holds it as it is.
"""

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from maldon.identity.credential_keys import CredentialKeys
from maldon.identity.models.domain_config import domain_option
from maldon.identity.models.project import project
from maldon.identity.schemas.domain_config import IDENTITY, NATIVE, IdentityOptions, Sealed, Sections
from maldon.kernel.errors import Unavailable
from maldon.kernel.op import Database, Session
from maldon.ports.directory import Directory, Drivers
from maldon.ports.keyvalue import KeyValue

Config = dict[str, dict[str, Any]]
_o = domain_option.c
_OPTIONS = select(_o.section, _o.name, _o.value, _o.sealed).where(_o.domain_id == bindparam("domain"))
_NAME = select(project.c.name).where(project.c.id == bindparam("domain"))
_DRIVER = (domain_option.c.section == IDENTITY) & (domain_option.c.name == "driver")


class BadFile(Exception):
    """A domain's file that cannot be honoured; the text is a sentence for the operator."""


class Directories:
    """The process's open directories. `drivers` are those installed, `folder` holds the files of domains."""

    def __init__(self, drivers: Drivers, keyvalue: KeyValue, keys: CredentialKeys, folder: Path | None = None) -> None:
        self._drivers, self._keyvalue, self._keys = drivers, keyvalue, keys
        self._open: dict[str, tuple[Config, Directory]] = {}
        self._sections: Sections | None = None
        self._files = _read_files(folder, self.sections) if folder is not None else {}

    def sections(self) -> Sections:
        """The options there are, by section: those of the domain itself and those of every driver installed."""
        if self._sections is None:
            loaded = {name: load() for name, load in sorted(self._drivers.items())}
            kinds = {name: driver.Options for name, driver in loaded.items()}
            secrets = {name: driver.secrets for name, driver in loaded.items()}
            self._sections = Sections({IDENTITY: IdentityOptions, **kinds}, secrets)
        return self._sections

    def has_file(self, domain_id: str, name: str) -> bool:
        """Whether a file configures the domain, so that the API cannot."""
        return domain_id in self._files or name in self._files

    async def config(self, session: Session, domain_id: str) -> Config:
        """The domain's configuration, secrets and all."""
        if self._files:
            name = await session.scalar(_NAME, {"domain": domain_id})
            if self.has_file(domain_id, str(name)):
                return self._files.get(domain_id) or self._files[str(name)]
        found: Config = {}
        for row in await session.all(_OPTIONS, {"domain": domain_id}):
            value = row.value if row.sealed is None else Sealed(row.sealed)
            found.setdefault(row.section, {})[row.name] = value
        return found

    async def of(self, db: Database, domain_id: str) -> Directory | None:
        """The domain's directory; None when its people are in our own tables. Raises Unavailable."""
        async with db.read() as session:
            config = await self.config(session, domain_id)
        known = self._open.get(domain_id)
        if driver_of(config) == NATIVE:
            if known is not None:
                del self._open[domain_id]
                await known[1].close()
            return None
        if known is not None and known[0] == config:
            return known[1]
        directory = self._opened(domain_id, config)
        self._open[domain_id] = (config, directory)
        if known is not None:
            await known[1].close()
        return directory

    async def outside(self, session: Session) -> list[str]:
        """The ids of the domains whose people are in a directory."""
        rows = await session.all(select(domain_option.c.domain_id, domain_option.c.value).where(_DRIVER))
        found = {row.domain_id for row in rows if row.value not in {None, NATIVE}}
        if self._files:
            chosen = select(project.c.id, project.c.name).where(project.c.is_domain.is_(True))
            for row in await session.all(chosen):
                if self.has_file(row.id, row.name):
                    outside = driver_of(await self.config(session, row.id)) != NATIVE
                    (found.add if outside else found.discard)(row.id)
        return sorted(found)

    async def close(self) -> None:
        opened, self._open = self._open, {}
        await asyncio.gather(*(directory.close() for _, directory in opened.values()))

    def _opened(self, domain_id: str, config: Config) -> Directory:
        name = driver_of(config)
        if name not in self._drivers:
            installed = ", ".join(sorted({NATIVE, *self._drivers}))
            raise Unavailable(
                f"The users of domain {domain_id} are in a directory of the kind {name[:100]!r}, which is not "
                f"installed here; installed are {installed}."
            )
        driver = self._drivers[name]()
        told = config.get(name, {})
        given = {option: self._opened_value(domain_id, name, option, value) for option, value in told.items()}
        try:
            options = msgspec.convert(_given(given), driver.Options, strict=False)
        except msgspec.ValidationError as error:
            raise Unavailable(
                f"The configuration of domain {domain_id} cannot be honoured: [{name}] {error}."
            ) from error
        directory: Directory = driver(domain_id, options, self._keyvalue)
        return directory

    def _opened_value(self, domain_id: str, section: str, option: str, value: Any) -> Any:
        """What an option is, of a secret too. Raises Unavailable when the secret's key is gone."""
        if not isinstance(value, Sealed):
            return value
        text = self._keys.reveal(value.text)
        if text is None:
            raise Unavailable(
                f"The option {option} of {section} of domain {domain_id} was sealed with a key that this cloud has no "
                "more. Set it anew in the domain's configuration."
            )
        return msgspec.json.decode(text)

    def stored(self, section: str, option: str, value: Any) -> dict[str, Any]:
        """The columns that keep an option's value."""
        if isinstance(value, Sealed):
            return {"value": None, "sealed": value.text}
        if value is not None and option in self.sections().secrets.get(section, ()):
            return {"value": None, "sealed": self._keys.hide(msgspec.json.encode(value).decode())}
        return {"value": value, "sealed": None}


def driver_of(config: Config) -> str:
    """The name of the driver that a configuration names."""
    return str(config.get(IDENTITY, {}).get("driver") or NATIVE)


def limit_of(config: Config, otherwise: int) -> int:
    """How many users or groups a listing fetches."""
    return int(config.get(IDENTITY, {}).get("list_limit") or otherwise)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """An option set to nothing is as it is by default."""
    return {name: value for name, value in options.items() if value is not None}


def _read_files(folder: Path, sections: Any) -> dict[str, Config]:
    """The configurations in a folder, by domain. Raises BadFile."""
    found: dict[str, Config] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            config = tomllib.loads(path.read_text())
            sections().check(config)
        except Exception as error:
            raise BadFile(f"{path} cannot be honoured: {error}") from error
        found[path.stem] = config
    return found
