"""Tables for a test without migrations: made once per database, emptied for every further test."""

from functools import lru_cache

from sqlalchemy import Connection, Table, delete, insert, inspect, text

from maldon.store.database import ServerDatabase, SqliteDatabase
from maldon.store.migrate import compare_bytes
from maldon.store.schema import LOCK_ROWS, lock_rows, metadata


@lru_cache(maxsize=4)
def _by_dependency(_count: int) -> tuple[Table, ...]:
    return tuple(reversed(metadata.sorted_tables))


def _empty(connection: Connection) -> None:
    mysql = connection.dialect.name in {"mysql", "mariadb"}
    if mysql:
        connection.execute(text("SET FOREIGN_KEY_CHECKS=0"))
    for table in _by_dependency(len(metadata.tables)):
        if table is not lock_rows:
            connection.execute(delete(table))
    _count_anew(connection)
    if mysql:
        connection.execute(text("SET FOREIGN_KEY_CHECKS=1"))


def _count_anew(connection: Connection) -> None:
    """Numbers begin at one again, as SQLite has it in its new file."""
    for table in _by_dependency(len(metadata.tables)):
        column = table.autoincrement_column
        if column is None or not connection.dialect.name.startswith(("postgresql", "mysql", "mariadb")):
            continue
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER SEQUENCE {table.name}_{column.name}_seq RESTART"))
        else:
            connection.execute(text(f"ALTER TABLE {table.name} AUTO_INCREMENT=1"))


def _make(connection: Connection) -> None:
    if metadata.tables.keys() <= set(inspect(connection).get_table_names()):
        _empty(connection)
        return
    compare_bytes(connection)
    metadata.drop_all(connection)
    metadata.create_all(connection)
    connection.execute(insert(lock_rows), [{"id": n} for n in range(LOCK_ROWS)])


async def create_all(database: SqliteDatabase | ServerDatabase) -> None:
    """Every table that is declared, without a row in it."""
    await database.run_sync(_make)
