"""A shorter way for SQLite: a SELECT that is one object for all requests is compiled once and run by sqlite3 itself.

SQLAlchemy's ceremony around a statement costs several times what SQLite takes to answer it. An object that comes a
second time is one that somebody keeps; it gets a Shortcut if it is simple enough, and goes SQLAlchemy's way if it is
not. Both ways give the same values; rows are named tuples. An IN of parameters takes its values as one JSON text, so
that the statement is the same however many they are. Whatever goes wrong here is tried again the long way, which then
says what is wrong.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import msgspec
from sqlalchemy import BindParameter, Boolean, Dialect, Integer, Select, String

from maldon.store.schema import Json, document

Convert = Callable[[Any], Any]
FAILURES = (sqlite3.Error, KeyError, OverflowError, TypeError, ValueError)
_TRUTH: Convert = {None: None, 0: False, 1: True}.__getitem__


class TooHard(Exception):
    """This statement needs SQLAlchemy."""


class Shortcut:
    """One statement as sqlite3 takes it. Raises one of FAILURES when the long way has to be gone."""

    __slots__ = ("_converts", "_dialect", "_known", "_row", "_text", "_types", "_wanted")

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": False})
        self._dialect, self._text = dialect, str(compiled)
        self._types = [described["type"] for described in statement.column_descriptions]
        binds: dict[str, BindParameter[Any]] = {name: bind for bind, name in compiled.bind_names.items()}
        if compiled.literal_execute_params or any(bind.callable for bind in binds.values()):
            raise TooHard
        several = {compiled.bind_names[bind] for bind in compiled.post_compile_params}
        for name in several:
            if not isinstance(binds[name].type, String | Integer):
                raise TooHard
            self._text = self._text.replace(f"(__[POSTCOMPILE_{name}])", "(SELECT value FROM json_each(?))")
        if "POSTCOMPILE" in self._text:
            raise TooHard
        converts = {name: _json if name in several else self._bind(bind) for name, bind in binds.items()}
        self._wanted = [(binds[name].key, converts[name]) for name in compiled.positiontup]
        self._known = {bind.key: bind.value for bind in binds.values() if not bind.required}
        self._row: Any = None
        self._converts: list[tuple[int, Convert]] = []

    def all(self, raw: sqlite3.Connection, params: Mapping[str, Any] | None) -> list[Any]:
        """Every row, by the connection of a transaction."""
        cursor = self._executed(raw, params)
        return self._rows(cursor.fetchall())

    def first(self, raw: sqlite3.Connection, params: Mapping[str, Any] | None) -> Any:
        """The first row, or None."""
        cursor = self._executed(raw, params)
        found = cursor.fetchone()
        cursor.close()
        return None if found is None else self._rows([found])[0]

    def _executed(self, raw: sqlite3.Connection, params: Mapping[str, Any] | None) -> sqlite3.Cursor:
        known = self._known if params is None else {**self._known, **params}
        values = [known[key] if convert is None else convert(known[key]) for key, convert in self._wanted]
        cursor = raw.execute(self._text, values)
        if self._row is None:
            self._learn([name for name, *_ in cursor.description])
        return cursor

    def _learn(self, names: Sequence[str]) -> None:
        """What rows look like is known once there is an answer."""
        if len(names) != len(self._types):
            raise TypeError(names)
        self._converts = [(at, convert) for at, kind in enumerate(self._types) if (convert := self._result(kind))]
        plain = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024
        row = type("Row", (plain,), {"__slots__": (), "_mapping": property(plain._asdict)})
        self._row = partial(tuple.__new__, row)

    def _rows(self, found: list[Any]) -> list[Any]:
        if self._converts and found:
            columns: list[Iterable[Any]] = list(zip(*found, strict=True))
            for at, convert in self._converts:
                columns[at] = map(convert, columns[at])
            return list(map(self._row, zip(*columns, strict=True)))
        return list(map(self._row, found))

    def _bind(self, bind: BindParameter[Any]) -> Convert | None:
        return bind.type.dialect_impl(self._dialect).bind_processor(self._dialect)

    def _result(self, kind: Any) -> Convert | None:
        if isinstance(kind, Boolean):
            return _TRUTH
        if isinstance(kind, Json):
            return document
        return kind.dialect_impl(self._dialect).result_processor(self._dialect, None)  # type: ignore[no-any-return]


def _json(values: Any) -> str:
    return msgspec.json.encode([*values]).decode()


class Shortcuts:
    """The shortcuts of one database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._seen: WeakSet[Select[Any]] = WeakSet()
        self._known: WeakKeyDictionary[Select[Any], Shortcut | None] = WeakKeyDictionary()

    def find(self, statement: Any) -> Shortcut | None:
        """The shortcut of a statement that comes again; None where the long way has to be gone."""
        try:
            return self._known[statement]
        except KeyError:
            pass
        if statement not in self._seen:
            self._seen.add(statement)
            return None
        try:
            found = Shortcut(statement, self._dialect) if isinstance(statement, Select) else None
        except TooHard:
            found = None
        self._known[statement] = found
        return found
