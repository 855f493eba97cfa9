"""The commands `maldon identity …`: what the identity service needs of an operator beside its API."""

import asyncio
from pathlib import Path

import click

from maldon.runtime.home import Home, Trouble
from maldon.runtime.options import HOME


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
    from maldon.runtime.process import open_process
    from maldon.runtime.settings import read_settings

    if not (home / "state.json").exists():
        raise Trouble(f"There is no cloud in {home.path}.")
    async with open_process(home, read_settings(home / "maldon.toml")) as process:
        return await rotate_credential_keys(process.op())
