"""The migrations make exactly the tables that the rooms declare, on every database."""

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

import maldon.runtime.process  # noqa: F401 - declares every table
from maldon.store.database import open_database
from maldon.store.migrate import migrate
from maldon.store.schema import LOCK_ROWS, lock_rows, metadata


def differences(connection):
    context = MigrationContext.configure(connection, opts={"compare_type": False})
    return [
        change
        for change in compare_metadata(context, metadata)
        if not (change[0] == "add_table" and change[1].name.startswith("test_"))
        and not (change[0] == "add_index" and change[1].table.name.startswith("test_"))
    ]


async def test_migrations_and_models_agree(empty_database_url):
    db = open_database(empty_database_url)
    try:
        assert await migrate(db)
        assert not await migrate(db)
        assert await db.run_sync(differences) == []
        async with db.read() as session:
            assert await session.scalar(select(func.count()).select_from(lock_rows)) == LOCK_ROWS
    finally:
        await db.close()


async def test_processes_that_start_together_migrate_once(empty_database_url):
    dbs = [open_database(empty_database_url) for _ in range(3)]
    try:
        applied = await asyncio.gather(*(migrate(db) for db in dbs))
        assert sorted(applied) == [False, False, True]
    finally:
        for db in dbs:
            await db.close()
