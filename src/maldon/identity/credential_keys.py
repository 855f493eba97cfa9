"""The keys that secrets are sealed with before they are written to the database.

They work as those of tokens do, with one difference: what is sealed stays for years. So a rotation first brings every
secret under the key of the last one, then makes the new key the primary, then brings every secret under that. Only
keys that no secret needs any more are dropped. A rotation that died half-way is finished by the next one.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Column, ColumnElement, select, tuple_, update

from maldon.identity.keys import TokenKeys
from maldon.identity.models.credential import credential
from maldon.identity.models.domain_config import domain_option
from maldon.identity.models.oauth1 import access_token, consumer, request_token
from maldon.kernel.errors import Unavailable
from maldon.kernel.op import Database, Op, Session

_PAGE = 500
_TABLES = (credential, consumer, request_token, access_token, domain_option)
PLACES: tuple[Column[str], ...] = tuple(table.c.sealed for table in _TABLES)


class CredentialKeys(TokenKeys):
    """The keys in `directory`: the staged one, the primary, the primary before it. `opened` counts the texts opened."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, active=3)
        self.opened = 0
        self._nobodys: tuple[int, str] = (-1, "")

    def hide(self, text: str) -> str:
        """The text as it is stored."""
        return self.seal(text.encode())

    def reveal(self, sealed: str | None) -> str | None:
        """The text again; None when the key it was sealed with is gone.

        Nothing sealed takes as long and is None: so a login does not tell whether there was a secret.
        """
        self.opened += 1
        content = self.open(self._decoy() if sealed is None else sealed)
        return None if content is None or sealed is None else content.decode()

    def _decoy(self) -> str:
        """Something that the keys open, as they are now."""
        if self._nobodys[0] != self.state:
            self._nobodys = (self.state, self.hide("0" * 100))
        return self._nobodys[1]

    def need(self, sealed: str, what: str) -> str:
        """The text again. Raises Unavailable naming what it was when its key is gone."""
        text = self.reveal(sealed)
        if text is None:
            raise Unavailable(
                f"The {what} was sealed with a key that this cloud has no more. Delete it and make another."
            )
        return text

    def is_current(self, sealed: str) -> bool:
        """Whether it is sealed with the primary."""
        try:
            self._primary().decrypt(sealed + "=" * (-len(sealed) % 4))
        except (InvalidToken, ValueError):
            return False
        return True

    def _primary(self) -> Fernet:
        return Fernet((self._directory / str(max(self._numbers()))).read_bytes())


async def rotate_credential_keys(op: Op) -> int:
    """Make a new primary and bring every secret under it; how many were moved."""
    keys = op.use(CredentialKeys)
    for place in PLACES:
        await _bring(op.db, keys, place)
    keys.rotate()
    return sum([await _bring(op.db, keys, place) for place in PLACES])


async def _bring(db: Database, keys: CredentialKeys, column: Column[str]) -> int:
    """Seal anew what is under an older key. What nobody can open is left as it is."""
    key, moved, last = list(column.table.primary_key), 0, None
    while True:
        async with db.read() as session:
            rows = await _page(session, column, last)
        old = [row for row in rows if not keys.is_current(row.sealed)]
        fresh = [(row, text) for row in old if (text := keys.reveal(row.sealed)) is not None]
        async with db.begin() as session:
            for row, text in fresh:
                mine = [part == row[n] for n, part in enumerate(key)]
                same = update(column.table).where(*mine, column == row.sealed)  # not over a newer secret
                moved += await session.run(same.values(sealed=keys.hide(text)))
        if len(rows) < _PAGE:
            return moved
        last = rows[-1][:-1]


async def sealed_rows(session: Session, column: Column[str], *conditions: ColumnElement[bool]) -> AsyncIterator[Any]:
    """Every row with a secret in it: its key, then what is sealed."""
    last = None
    while rows := await _page(session, column, last, *conditions):
        for row in rows:
            yield row
        last = rows[-1][:-1]


async def _page(session: Session, column: Column[str], last: Any, *conditions: ColumnElement[bool]) -> list[Any]:
    """The rows with a secret that follow the key."""
    key = list(column.table.primary_key)
    chosen = select(*key, column.label("sealed")).where(column.is_not(None), *conditions)
    chosen = chosen.order_by(*key).limit(_PAGE)
    return await session.all(chosen if last is None else chosen.where(tuple_(*key) > tuple_(*last)))
