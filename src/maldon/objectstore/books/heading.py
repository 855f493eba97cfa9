"""The first page of a book: who it is, when it was made and deleted, its headers with their times, its totals."""

from collections.abc import Mapping

import apsw
import msgspec

from maldon.kernel.errors import Conflict
from maldon.kernel.ids import new_id
from maldon.objectstore.books.database import Database
from maldon.objectstore.books.ranges import NONE
from maldon.objectstore.node import Book, Superseded
from maldon.objectstore.path import Path

Headers = dict[str, tuple[str, int]]
_read_headers = msgspec.msgpack.Decoder(Headers).decode
_read_shares = msgspec.msgpack.Decoder(dict[int, tuple[int, int, int]]).decode
_pack = msgspec.msgpack.Encoder().encode
HEADING = """SELECT account, container, created_at, put_at, deleted_at, headers, policy, containers, objects, size,
    shares FROM heading"""


def first_heading(path: Path, timestamp: int, headers: Mapping[str, str], policy: int, db: apsw.Connection) -> None:
    """Fill a new book."""
    db.execute(
        "INSERT INTO heading VALUES (1, ?, ?, ?, ?, ?, 0, ?, ?, 0, 0, 0, ?, 0, 0, 0, x'', x'')",
        (new_id(), path.account, path.container, timestamp, timestamp,
         _pack(merged({}, stamped(headers, timestamp))), policy, _pack({})),
    )  # fmt: skip


def read_book(db: Database) -> Book:
    """What it says of itself; headers that were taken away are not shown."""
    account, container, created, put, deleted, headers, policy, containers, objects, size, shares = db.execute(
        HEADING
    ).get
    ranges = db.ranges if container else NONE
    away, away_size = ranges.counted()
    return Book(
        Path(account, container), created, put, deleted,
        {name: said for name, said in _read_headers(headers).items() if said[0]},
        objects + away, size + away_size, containers, policy, _read_shares(shares) if not container else {},
        ranges is not NONE,
    )  # fmt: skip


def stamped(headers: Mapping[str, str], timestamp: int) -> Headers:
    return {name: (value, timestamp) for name, value in headers.items()}


def merged(held: Headers, new: Headers) -> Headers:
    """Each header as it was said last; "" remembers that it was taken away."""
    later = {name: said for name, said in new.items() if name not in held or said[1] > held[name][1]}
    return held | later


def write_headers(db: Database, new: Headers) -> None:
    held = _read_headers(db.execute("SELECT headers FROM heading").get)
    db.execute("UPDATE heading SET seq = seq + 1, headers = ?", (_pack(merged(held, new)),))


def put(db: Database, timestamp: int, headers: Mapping[str, str], policy: int | None) -> bool:
    """Make it again, if it was deleted, and merge headers; whether it was. Raises Superseded, Conflict."""
    book = read_book(db)
    if book.deleted and timestamp <= book.deleted_at:
        raise Superseded(book.deleted_at)
    if not book.deleted and policy not in {None, book.policy}:
        raise Conflict("The container has another storage policy; that of a container never changes.")
    if book.deleted:
        kept = book.policy if policy is None else policy
        db.execute("UPDATE heading SET created_at = ?, policy = ?", (timestamp, kept))
    db.execute("UPDATE heading SET put_at = max(put_at, ?)", (timestamp,))
    write_headers(db, stamped(headers, timestamp))
    return book.deleted


def post(db: Database, timestamp: int, headers: Mapping[str, str]) -> bool:
    if read_book(db).deleted:
        return False
    write_headers(db, stamped(headers, timestamp))
    return True


def delete(db: Database, timestamp: int) -> Book:
    """Mark it deleted, its headers taken away; the book before. Raises Conflict when a container is not empty."""
    book = read_book(db)
    if book.path.container and book.objects:
        raise Conflict("The container is not empty.")
    if timestamp > max(book.put_at, book.deleted_at):
        db.execute("UPDATE heading SET deleted_at = ?", (timestamp,))
        write_headers(db, stamped(dict.fromkeys(book.headers, ""), timestamp))
    return book
