"""The words every table is written in, the same for SQLite, PostgreSQL and MariaDB.

Ids are text, times are whole microseconds, documents are JSON texts. Text compares byte by byte everywhere.
"""

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = String(64)
Name = String(255)
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Time = BigInteger


_decode = msgspec.json.Decoder().decode


def document(text: str | None) -> Any:
    """What a JSON text holds."""
    return None if text is None else _decode(text)


class Json(TypeDecorator[Any]):
    """A JSON document as text. A value is replaced whole, never changed in place."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        return dialect.type_descriptor(mysql.MEDIUMTEXT() if dialect.name in {"mysql", "mariadb"} else Text())

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:  # noqa: ARG002
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Any) -> Any:  # noqa: ARG002
        return document(value)


def table(name: str, *items: SchemaItem) -> Table:
    """A table of the one database."""
    return Table(name, metadata, *items, mysql_engine="InnoDB")


def id_column(name: str = "id") -> Column[str]:
    """A text primary key."""
    return Column(name, Id, primary_key=True)


LOCK_ROWS = 256
lock_rows = table("lock_row", Column("id", BigInteger, primary_key=True, autoincrement=False))
