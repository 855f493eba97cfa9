"""A shorter way for SQLite: a statement that is one object for all requests is compiled once, sqlite3 runs it itself.

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
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import msgspec
from sqlalchemy import BindParameter, Boolean, Delete, Dialect, Insert, Integer, Select, String, Update
from sqlalchemy.exc import CompileError

from maldon.store.schema import Json, document

Convert = Callable[[Any], Any]
T = TypeVar("T")
FAILURES = (sqlite3.Error, KeyError, OverflowError, TypeError, ValueError)
_TRUTH: Convert = {None: None, 0: False, 1: True}.__getitem__


class TooHard(Exception):
    """This statement needs SQLAlchemy."""


class _Compiled:
    """A statement's text and how its values are found among the parameters."""

    __slots__ = ("_dialect", "_known", "_text", "_wanted")

    def __init__(self, statement: Any, dialect: Dialect, keys: Sequence[str] | None = None) -> None:
        compiled: Any = statement.compile(
            dialect=dialect, column_keys=keys, compile_kwargs={"render_postcompile": False}
        )
        self._dialect, self._text = dialect, str(compiled)
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

    def _values(self, params: Mapping[str, Any] | None) -> list[Any]:
        known = self._known if params is None else {**self._known, **params} if self._known else params
        return [known[key] if convert is None else convert(known[key]) for key, convert in self._wanted]

    def _bind(self, bind: BindParameter[Any]) -> Convert | None:
        return bind.type.dialect_impl(self._dialect).bind_processor(self._dialect)


class Change(_Compiled):
    """An INSERT, UPDATE or DELETE as sqlite3 takes it. Raises one of FAILURES when the long way has to be gone."""

    __slots__ = ("_keys",)

    def __init__(self, statement: Insert | Update | Delete, dialect: Dialect, params: Any) -> None:
        first = params[0] if isinstance(params, list) and params else params
        of_rows = isinstance(statement, Insert) and statement.select is None
        self._keys = frozenset(first) if of_rows and isinstance(first, Mapping) else None
        if statement._returning:  # noqa: SLF001 - nothing else tells
            raise TooHard
        super().__init__(statement, dialect, None if self._keys is None else [*self._keys])

    def run(self, raw: sqlite3.Connection, params: Any) -> int:
        """How many rows are concerned."""
        if isinstance(params, list):
            return raw.executemany(self._text, [self._of(row) for row in params]).rowcount
        return raw.execute(self._text, self._of(params)).rowcount

    def _of(self, row: Mapping[str, Any] | None) -> list[Any]:
        if self._keys is not None and (row is None or row.keys() != self._keys):
            raise KeyError(row)
        return self._values(row)


class Shortcut(_Compiled):
    """A SELECT as sqlite3 takes it. Raises one of FAILURES when the long way has to be gone."""

    __slots__ = ("_converts", "_row", "_types")

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        self._types = [described["type"] for described in statement.column_descriptions]
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
        cursor = raw.execute(self._text, self._values(params))
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
        self._seen: WeakSet[Any] = WeakSet()
        self._known: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def find(self, statement: Any) -> Shortcut | None:
        """The shortcut of a SELECT that comes again; None where the long way has to be gone."""
        if statement in self._known:
            known: Shortcut | None = self._known[statement]
            return known
        if not isinstance(statement, Select) or not self._comes_again(statement):
            return None
        return self._keep(statement, lambda: Shortcut(statement, self._dialect))

    def find_change(self, statement: Any, params: Any) -> Change | None:
        """The shortcut of an INSERT, UPDATE or DELETE that comes again; None where the long way has to be gone."""
        if statement in self._known:
            known: Change | None = self._known[statement]
            return known
        if not isinstance(statement, Insert | Update | Delete) or not self._comes_again(statement):
            return None
        return self._keep(statement, lambda: Change(statement, self._dialect, params))

    def _comes_again(self, statement: Any) -> bool:
        known = statement in self._seen
        self._seen.add(statement)
        return known

    def _keep(self, statement: Any, make: Callable[[], T]) -> T | None:
        try:
            found: T | None = make()
        except (TooHard, CompileError):
            found = None
        self._known[statement] = found
        return found
