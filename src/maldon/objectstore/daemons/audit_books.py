"""Looks through every account and container database of the disks, slowly, and sets aside what is damaged.

What was set aside, here or by whoever came upon the damage, is salvaged: its sound rows become the book again. A
replica has the rest and sends it when it sees the two differ. A wreck is kept until its reclaim age.
"""

import asyncio
import shutil
import time
from pathlib import Path as File

import structlog

from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.salvage import Lost, flaw, salvage
from maldon.objectstore.books.shelf import BROKEN, QUARANTINE, Shelf
from maldon.objectstore.books.walk import folders, inside
from maldon.objectstore.node import NoSpace
from maldon.objectstore.proxy.placing import Placing

log = structlog.get_logger()
DONE = "salvaged"  # a file beside the wreck that says so


class AuditBooks:
    """A loop over the disks of a node."""

    def __init__(self, books: Books, placing: Placing) -> None:
        self._books, self._placing = books, placing

    async def once(self) -> int:
        """How many books were set aside."""
        bad = 0
        for shelf in self._books.shelves.values():
            for kind in Kind:
                for folder in await asyncio.to_thread(folders, shelf.root / kind.value):
                    bad += await self._audit(shelf, folder)
        return bad

    async def _audit(self, shelf: Shelf, folder: File) -> bool:
        try:
            why = await asyncio.to_thread(flaw, folder, shelf.settings.audit_rows_per_s)
        except BROKEN as error:
            log.warning("a database cannot be looked through", folder=str(folder), error=repr(error))
            return False
        if why:
            shelf.set_aside(folder, why)
        return bool(why)

    async def salvage(self) -> int:
        """Bring back what was set aside; how many books."""
        saved = 0
        for shelf in self._books.shelves.values():
            for kind in Kind:
                for wreck in await asyncio.to_thread(inside, shelf.root / QUARANTINE / kind.value):
                    if not (wreck / DONE).exists():
                        saved += await self._salvage(shelf, wreck)
                    elif (wreck / DONE).stat().st_mtime < time.time() - shelf.settings.reclaim_age_s:
                        await asyncio.to_thread(shutil.rmtree, wreck, ignore_errors=True)
        return saved

    async def _salvage(self, shelf: Shelf, wreck: File) -> bool:
        try:
            path, rows = await salvage(shelf, self._placing, wreck)
        except Lost as error:
            log.warning("a database is lost, unless there is a replica", wreck=str(wreck), error=str(error))
            (wreck / DONE).write_text("nothing\n")
            return False
        except (NoSpace, *BROKEN) as error:
            log.warning("a database is not salvaged yet", wreck=str(wreck), error=repr(error))
            return False
        log.info("a database was salvaged", book=str(path), rows=rows)
        (wreck / DONE).write_text(f"{rows} rows of {path}\n")
        return True
