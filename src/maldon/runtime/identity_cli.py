"""The commands `maldon identity …`: what the identity service needs of an operator beside its API."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from maldon.kernel.errors import CloudError
from maldon.kernel.op import Op
from maldon.runtime.home import Home, Trouble
from maldon.runtime.options import HOME

if TYPE_CHECKING:
    from maldon.identity.service import Imported


@click.group()
def identity() -> None:
    """Care for the identity service."""


@identity.command("rotate-keys")
@HOME
def rotate_keys(home: Path) -> None:
    """Make a new token key; tokens made with the ones before stay valid, and running processes need no restart."""
    from maldon.identity.service import token_keys
    from maldon.runtime.settings import read_settings

    at = Home(home)
    if not (at / "fernet-keys").exists():
        raise Trouble(f"There is no cloud in {at.path}.")
    token_keys(at.path, read_settings(at / "maldon.toml").identity).rotate()
    click.echo("rotated")


@identity.command("rotate-credential-keys")
@HOME
def rotate_credential_keys(home: Path) -> None:
    """Make a new key for the secrets in the database and bring all of them under it; the cloud may run meanwhile."""
    moved = asyncio.run(_rotate_credential_keys(Home(home)))
    click.echo(f"rotated, {moved} secrets sealed anew")


async def _rotate_credential_keys(home: Home) -> int:
    from maldon.identity.service import rotate_credential_keys

    async with _cloud(home) as op:
        return await rotate_credential_keys(op)


@identity.command("import")
@HOME
@click.argument("file", type=click.File("rb"))
def import_people(home: Path, file: BinaryIO) -> None:
    """Add the people, projects and roles of another cloud, out of a FILE with a JSON object a line.

    docs/keystone.md says how Keystone's database writes one. What is here already stays as it is; when a line is bad,
    nothing is added.
    """
    found = asyncio.run(_import_people(Home(home), file))
    for line in [*found.same, *found.bad]:
        click.echo(line, err=line in found.bad)
    if found.bad:
        raise Trouble(f"Nothing was imported. Bad lines: {len(found.bad)}.")
    for kind in sorted({*found.added, *found.kept}):
        click.echo(f"{kind}: {found.added.get(kind, 0)} added, {found.kept[kind]} here already")


async def _import_people(home: Home, file: BinaryIO) -> "Imported":
    from maldon.identity.service import import_people

    async with _cloud(home) as op:
        try:
            return await import_people(op, file)
        except CloudError as error:
            raise Trouble(f"Nothing was imported: {error.public}") from error


@identity.command()
@HOME
@click.option("--repair", is_flag=True, help="Take away roles and default projects that name what is gone.")
@click.option("--forget-departed", is_flag=True, help="Take away the roles of who is gone from an LDAP directory.")
def doctor(home: Path, *, repair: bool, forget_departed: bool) -> None:
    """Look for what does not fit together in the books of identity; print it, exit 1 if there is any."""
    repaired, findings = asyncio.run(_examine(Home(home), repair=repair, forget_departed=forget_departed))
    if repaired:
        click.echo(f"repaired {repaired}")
    click.echo("\n".join(findings) if findings else "the books of identity fit together")
    sys.exit(1 if findings else 0)


async def _examine(home: Home, *, repair: bool, forget_departed: bool) -> tuple[int, list[str]]:
    """How many were repaired, and what is left."""
    from maldon.identity import service

    async with _cloud(home) as op:
        repaired = await service.repair(op) if repair else 0
        repaired += await service.forget_departed(op) if forget_departed else 0
        async with op.db.read() as session:
            return repaired, await service.audit(op, session)


@contextlib.asynccontextmanager
async def _cloud(home: Home) -> AsyncIterator[Op]:
    """An asking of the cloud's own. Raises Trouble when there is no cloud in the home."""
    from maldon.runtime.process import open_process
    from maldon.runtime.settings import read_settings

    if not (home / "state.json").exists():
        raise Trouble(f"There is no cloud in {home.path}.")
    async with open_process(home, read_settings(home / "maldon.toml")) as process:
        yield process.op()
