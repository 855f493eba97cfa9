"""Options that several commands have."""

from pathlib import Path

import click

HOME = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="MALDON_HOME",
    default=Path(".maldon"),
    show_default=True,
    help="Directory that holds the cloud.",
)
