"""Brings the database to this release's schema at start, by Alembic; a database already there costs one SELECT.

Several processes may start at once: the servers' advisory lock lets one of them migrate and the others wait.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, exc, insert, select, text

from maldon.store.database import ServerDatabase, SqliteDatabase
from maldon.store.schema import LOCK_ROWS, lock_rows

HEAD = "0006"
_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 7_236_411


async def migrate(database: SqliteDatabase | ServerDatabase) -> bool:
    """Apply what is missing; whether anything was."""
    return bool(await database.run_sync(_bring_to_head))


def _bring_to_head(connection: Connection) -> bool:
    _one_at_a_time(connection)
    try:
        if _version(connection) == HEAD:
            return False
        compare_bytes(connection)
        upgrade(connection, "head")
    finally:
        _next_please(connection)
    return True


def _version(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except exc.DBAPIError:
        return None


def upgrade(connection: Connection, revision: str) -> None:
    """Run the migrations up to `revision` on an open connection."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(_SCRIPTS))
    if not connection.in_transaction():
        connection.begin()  # else Alembic begins one of its own, and commits ours with it

    def steps(current: Any, _context: Any) -> Any:
        return script._upgrade_revs(revision, current)  # noqa: SLF001 - Alembic's own commands call it so

    if not connection.in_transaction():
        connection.begin()  # else Alembic begins and commits one of its own inside ours
    context = MigrationContext.configure(connection, opts={"fn": steps, "target_metadata": None})
    with Operations.context(context):
        context.run_migrations()
    if connection.execute(select(lock_rows.c.id).limit(1)).first() is None:
        connection.execute(insert(lock_rows), [{"id": n} for n in range(LOCK_ROWS)])


def compare_bytes(connection: Connection) -> None:
    """Have new tables compare text byte by byte, trailing spaces included: MySQL's and MariaDB's word for it differ."""
    if connection.dialect.name in {"mysql", "mariadb"}:
        is_mariadb = "MariaDB" in (connection.execute(text("SELECT VERSION()")).scalar() or "")
        collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        connection.execute(text(f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {collation}"))


def _one_at_a_time(connection: Connection) -> None:
    match connection.dialect.name:
        case "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
        case "mysql" | "mariadb":
            connection.execute(text("SELECT GET_LOCK('maldon-migrate', 120)"))


def _next_please(connection: Connection) -> None:
    if connection.dialect.name in {"mysql", "mariadb"}:
        connection.exec_driver_sql("COMMIT")  # before the next one looks
        connection.execute(text("SELECT RELEASE_LOCK('maldon-migrate')"))
