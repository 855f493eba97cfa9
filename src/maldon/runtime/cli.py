"""The command `maldon`. What the public APIs do is done with the stock `openstack` command; here is only the rest."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from maldon import __version__
from maldon.runtime.home import Home, Trouble
from maldon.runtime.options import HOME

GROUPS = {"identity": "identity_cli:identity", "object": "object_cli:object_", "ring": "ring_cli:ring"}


class _Sentences(click.Group):
    """Says a Trouble as one sentence, exit code 1. Groups of commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *GROUPS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in GROUPS:
            module, _, name = GROUPS[cmd_name].partition(":")
            group: click.Command = getattr(importlib.import_module(f"maldon.runtime.{module}"), name)
            return group
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (Trouble, ExceptionGroup) as error:
            trouble = _trouble(error)
            if trouble is None:
                raise
            click.echo(f"maldon: {trouble}", err=True)
            sys.exit(1)


def _trouble(error: Exception) -> Trouble | None:
    """The first Trouble in an exception, which a task group may have wrapped."""
    if isinstance(error, ExceptionGroup):
        return next((found for inner in error.exceptions if (found := _trouble(inner))), None)
    return error if isinstance(error, Trouble) else None


@click.group(cls=_Sentences)
@click.version_option(__version__)
def main() -> None:
    """Maldon, a cloud that speaks the OpenStack APIs."""


@main.command()
@HOME
@click.option("--port", type=click.IntRange(1, 65535), help="Port all APIs share (9910).")
@click.option(
    "--simulate", is_flag=True, help="No guests, no wires, no root: fake hypervisor and switch under real APIs."
)
@click.option("--hosts", type=click.IntRange(1, 1000), help="How many hosts a simulated cloud has (1).")
@click.option("--workers", type=click.IntRange(1, 64), help="How many processes serve objects (1).")
@click.option("--detach", is_flag=True, help="Return once every API answers; the cloud runs on.")
@click.option("--ready-fd", type=int, hidden=True)
def up(detach: bool, **wanted: Any) -> None:  # noqa: FBT001 - click names its arguments
    """Start the whole cloud in one process."""
    from maldon.runtime.wanted import Wanted

    if detach:
        from maldon.runtime.detach import up_detached

        up_detached(Wanted(**wanted))
        return
    from maldon.runtime.up import up as start

    start(Wanted(**wanted))


@main.command()
@HOME
@click.option("--simulate", is_flag=True, help="Let node-agent stand for simulated hosts.")
@click.option("--worker", type=int, default=0, hidden=True)
@click.argument("roles", nargs=-1, required=True)
def run(home: Path, roles: tuple[str, ...], *, simulate: bool, worker: int) -> None:
    """Run only these ROLES in this process."""
    from maldon.runtime.run_roles import run_roles

    run_roles(home, roles, simulate=simulate, worker=worker)


@main.command()
@HOME
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, one line a process.")
def status(home: Path, *, as_json: bool) -> None:
    """Say what runs: processes, roles and their states."""
    from maldon.runtime.status import processes, table

    rows = processes(Home(home))
    if not rows:
        raise Trouble(f"No cloud runs in {Home(home).path}; `maldon up --home {Home(home).path}` starts it.")
    click.echo("\n".join(json.dumps(row) for row in rows) if as_json else table(rows))


@main.command()
@HOME
@click.option("--purge", is_flag=True, help="Remove guests, namespaces, taps and files as well.")
def down(home: Path, *, purge: bool) -> None:
    """Stop the cloud; guests run on unless purged."""
    from maldon.runtime.down import down as stop

    click.echo(stop(Home(home), purge=purge))


@main.command()
@HOME
@click.option("--fix", is_flag=True, help="Put right what can be put right without asking.")
def doctor(home: Path, *, fix: bool) -> None:
    """Compare the books with what is observed; print differences, exit 1 if there are any."""
    from maldon.runtime.doctor import examine, put_right

    for line in put_right(Home(home)) if fix else ():
        click.echo(f"fixed: {line}")
    findings = examine(Home(home))
    click.echo("\n".join(findings) if findings else "the books and what is observed agree")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
