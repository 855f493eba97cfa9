"""All books of a disk, one after the other, for those loops that must not miss any.

A walk that remembers (`seen`) passes over books whose files did not change since: most, most of the time.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path as File

import apsw

from maldon.objectstore.books.database import FILE
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.shelf import DAMAGED, Key, Shelf
from maldon.objectstore.path import Path

Seen = dict[str, tuple[int, int]]
"""When the two files of a book last changed, by its folder."""


async def walk(shelf: Shelf, kind: Kind, seen: Seen | None = None) -> AsyncIterator[Key]:
    """The keys of all books of a kind; with `seen` only of those that changed, which it then knows."""
    found = await asyncio.to_thread(_dated, shelf.root / kind.value)
    if seen is not None:
        for gone in seen.keys() - {folder.name for folder, _ in found}:
            del seen[gone]
    for folder, changed in found:
        if seen is not None and seen.get(folder.name) == changed:
            continue
        key = await asyncio.to_thread(_key, folder)
        if key is None:
            continue
        if seen is not None:
            seen[folder.name] = changed  # before: whoever fails to do its part takes it out again
        yield key


async def sweep(shelf: Shelf, kind: Kind, before_s: float) -> None:
    """Remove what was being made or received beside books when a process died, before a time."""
    for partition in inside(shelf.root / kind.value):
        for folder in inside(partition):
            if folder.name.startswith(".") and folder.stat().st_mtime < before_s:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _dated(top: File) -> list[tuple[File, tuple[int, int]]]:
    return [(folder, (_changed(folder / FILE), _changed(folder / f"{FILE}-wal"))) for folder in folders(top)]


def folders(top: File) -> list[File]:
    """Those of all books below it, readable or not."""
    return [folder for partition in inside(top) for folder in inside(partition) if not folder.name.startswith(".")]


def inside(folder: File) -> list[File]:
    """What lies in it; nothing, if it is not there."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _changed(file: File) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _key(folder: File) -> Key | None:
    """What the book says it is; None when it cannot be read, which whoever uses it will see to."""
    try:
        db = apsw.Connection(str(folder / FILE), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.set_busy_timeout(1000)
            account, container = db.execute("SELECT account, container FROM heading").get
        finally:
            db.close()
    except (*DAMAGED, apsw.BusyError, apsw.CantOpenError, apsw.SQLError, TypeError):
        return None
    return int(folder.parent.name), Path(account, container)
