#!/usr/bin/env python3
"""Writes the migration that brings the last one's schema to what the rooms declare now.

    .venv/bin/python setup/migration.py 0002 "What it is for"

It writes the newest one, again as often as wanted until it is released, and no other: what the rooms declare now is
what the newest one leads to. Read what it wrote: a migration widens; moving data and narrowing come in later releases.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Connection

import maldon.runtime.process  # noqa: F401 - declares every table
from maldon.store import migrate
from maldon.store.database import open_database
from maldon.store.schema import Json, metadata

FRAME = '''"""{title}."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from maldon.store.schema import Json

revision = {revision!r}
down_revision = {before!r}


def upgrade() -> None:
{body}
'''


def render(kind: str, thing: Any, context: Any) -> Any:  # noqa: ARG001 - Alembic's signature
    """Our own type by its name; everything else as Alembic has it."""
    return "Json()" if kind == "type" and isinstance(thing, Json) else False


def difference(connection: Connection) -> str:
    options = {"render_item": render, "compare_type": False, "target_metadata": metadata}
    context = MigrationContext.configure(connection, opts=options)
    script = produce_migrations(context, metadata)
    return render_python_code(
        script.upgrade_ops, render_item=render, migration_context=context, sqlalchemy_module_prefix="sa."
    )


async def write(revision: str, title: str) -> Path:
    """Write it; the file."""
    versions = Path(migrate.__file__).parent / "migrations" / "versions"
    others = sorted(path.name[:4] for path in versions.glob("[0-9]*.py") if path.name[:4] != revision)
    before = others[-1] if others else None
    if before is not None and before > revision:
        sys.exit(
            f"{before} comes after {revision}: what the rooms declare now is where {before} leads, so that one can be "
            f"written anew, and {int(before) + 1:04} be added."
        )
    with tempfile.TemporaryDirectory() as folder:
        db = open_database(f"{folder}/empty.db")
        if before is not None:
            await db.run_sync(lambda connection: migrate.upgrade(connection, before))
        body = await db.run_sync(difference)
        await db.close()
    lines = [line for line in body.splitlines() if not line.strip().startswith("# ###")]
    text = FRAME.format(title=title, revision=revision, before=before, body="\n".join(line.rstrip() for line in lines))
    for old in versions.glob(f"{revision}_*.py"):
        old.unlink()  # it may have had another title
    path = versions / f"{revision}_{title.split(maxsplit=1)[0].lower()}.py"
    path.write_text(text)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(write(sys.argv[1], sys.argv[2]))}\n")
