"""Settings are frozen dataclasses whose every field is an `option` with a default and a help sentence.

A section of the settings file is a table named like the section; a variable MALDON_<SECTION>_<FIELD> goes before it.
Zero settings are required.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class BadSetting(Exception):
    """A sentence that names the option and what it wants."""


def option(default: Any, help: str) -> Any:  # noqa: A002 - the word users know
    """A field of a settings class."""
    return dataclasses.field(default=default, metadata={"help": help})


def load(kind: type[T], section: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> T:
    """An instance of `kind` from a settings table and the environment. Raises BadSetting."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in table.keys() - known:
        raise BadSetting(f"[{section}] has no option {name!r}; it knows {', '.join(sorted(known))}.")
    for name in known:
        variable = f"MALDON_{section}_{name}".upper().replace("-", "_")
        if variable in environ:
            values[name] = _parsed(environ[variable], hints[name], variable)
        elif name in table:
            values[name] = _checked(table[name], hints[name], f"[{section}] {name}")
    return kind(**values)


def _plain(hint: Any) -> type:
    if isinstance(hint, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    plain: type = typing.get_origin(hint) or hint
    return plain


def _parsed(text: str, hint: Any, name: str) -> Any:
    kind = _plain(hint)
    if kind is bool:
        if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
            raise BadSetting(f"{name} wants true or false, not {text!r}.")
        return text.lower() in {"true", "1", "yes"}
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return kind(text)
    except ValueError:
        raise BadSetting(f"{name} wants {kind.__name__}, not {text!r}.") from None


def _checked(value: Any, hint: Any, name: str) -> Any:
    kind = _plain(hint)
    if kind is tuple and isinstance(value, list):
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadSetting(f"{name} wants {kind.__name__}, not {value!r}.")
    return value
