"""How replicas of a book come to say the same.

Each pushes to the others what changed since it last did, row by row, and its preamble; `synced` in the other's file
says how far it came. Where digests agree nothing is sent. Where there is no replica a snapshot of the whole file is
sent, a new file with a name of its own (`made`). Merging is that of rows, headers and ranges: any order, any repeat.
"""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path as File

import apsw
import msgspec

from maldon.kernel.errors import BadRequest, Unavailable
from maldon.kernel.ids import new_id
from maldon.objectstore.books import heading
from maldon.objectstore.books.database import FILE, Database, fsync
from maldon.objectstore.books.item import kind_of
from maldon.objectstore.books.rows import merge_rows
from maldon.objectstore.books.sharding import merge_ranges
from maldon.objectstore.node import Home, Preamble, Range, Row, Shipment, Standing
from maldon.objectstore.path import Path

_encode = msgspec.msgpack.Encoder(order="sorted").encode
_headers = msgspec.msgpack.Decoder(heading.Headers).decode


def preamble(db: Database) -> Preamble:
    created, put, deleted, headers, policy = db.execute(
        "SELECT created_at, put_at, deleted_at, headers, policy FROM heading"
    ).get
    return Preamble(created, put, deleted, _headers(headers), policy, list(_agreed(db.ranges)))


def _agreed(ranges: Iterable[Range]) -> Iterable[Range]:
    """Ranges without what is this replica's own affair."""
    for one in ranges:
        home = Home.ROOT if one.home is Home.CLOSED else one.home
        yield msgspec.structs.replace(one, home=home, left=0, left_size=0)


def standing(db: Database, made: str = "") -> Standing:
    """How it stands, towards another file."""
    own, seq, living, gone = db.execute("SELECT made, seq, digest, buried FROM heading").get
    got = db.execute("SELECT got FROM synced WHERE made = ?", (made,)).get
    said = hashlib.blake2b(_encode(preamble(db)), digest_size=8).digest()
    return Standing(own, seq, living, gone, int.from_bytes(said, "big", signed=True), got or 0)


def same(one: Standing, other: Standing) -> bool:
    return (one.living, one.gone, one.preamble) == (other.living, other.gone, other.preamble)


def merge_replica(db: Database, made: str, upto: int, told: Preamble, rows: Sequence[Row]) -> None:
    """Merge what the file `made` has, up to its change `upto`. Within a transaction. Raises Unavailable."""
    if told.ranges:
        merge_ranges(db, told.ranges)
    here, away = db.ranges.split(rows)
    if any(one.home is Home.CLOSED for one in away):
        raise Unavailable("The container is being sharded; try again.")
    # Rows of names that have moved to a shard are dropped: whoever has them moves them himself.
    merge_rows(db, here, kind_of(heading.read_book(db).path))
    merge_preamble(db, told)
    db.execute(
        "INSERT INTO synced (made, got) VALUES (?, ?) ON CONFLICT (made) DO UPDATE SET got = max(got, excluded.got)",
        (made, upto),
    )


def merge_preamble(db: Database, told: Preamble) -> None:
    """Merge it but for its ranges. Within a transaction."""
    held = preamble(db)
    if held == told:
        return
    deleted = max(held.deleted_at, told.deleted_at)
    makings = sorted({(held.created_at, held.policy), (told.created_at, told.policy)})
    # Of two makings the first counts, unless it was of one that has been deleted since.
    created, policy = next((making for making in makings if making[0] > deleted), makings[-1])
    changed = (created, max(held.put_at, told.put_at), deleted, policy)
    if changed != (held.created_at, held.put_at, held.deleted_at, held.policy):
        db.execute("UPDATE heading SET seq = seq + 1, created_at = ?, put_at = ?, deleted_at = ?, policy = ?", changed)
    if heading.merged(held.headers, told.headers) != held.headers:
        heading.write_headers(db, told.headers)


def snapshot(db: Database, file: File) -> Shipment:
    """A copy of the whole book as it is now. For a thread."""
    db.execute("VACUUM INTO ?", (str(file),))
    copy = apsw.Connection(str(file))
    try:
        made, seq = copy.execute("SELECT made, seq FROM heading").get
    finally:
        copy.close()
    return Shipment(made, seq, file.stat().st_size)


def adopt(folder: File, path: Path, shipment: Shipment) -> None:
    """Make a file that was received a replica of its own. For a thread. Raises BadRequest when it is no such book."""
    try:
        db = apsw.Connection(str(folder / FILE))
        try:
            db.pragma("journal_mode", "wal")
            account, container, ranges = db.execute("SELECT account, container, ranges FROM heading").get
            if (account, container) != path[:2] or db.pragma("quick_check") != "ok":
                raise BadRequest("What was sent is not this book.", internal=str(path))
            with db:
                db.execute("UPDATE heading SET made = ?, told = x'', ranges = ?", (new_id(), _reopened(ranges)))
                db.execute("INSERT OR REPLACE INTO synced VALUES (?, ?)", (shipment.made, shipment.seq))
        finally:
            db.close()
    except (apsw.Error, TypeError) as error:
        raise BadRequest("What was sent is no book.", internal=f"{path}: {error!r}") from error
    fsync(folder / FILE)
    fsync(folder)


def _reopened(packed: bytes) -> bytes:
    """A range that the sender had closed is not closed here."""
    if not packed:
        return packed
    ranges = msgspec.msgpack.decode(packed, type=list[Range])
    opened = [msgspec.structs.replace(one, home=Home.ROOT) if one.home is Home.CLOSED else one for one in ranges]
    return msgspec.msgpack.encode(opened)


def remove(db: Database, seq: int) -> bool:
    """Remove the book, if it is still at that change; who has it open finds it moved. Within a transaction."""
    if db.execute("SELECT seq FROM heading").get != seq:
        return False
    folder = db.file.parent
    leaving = folder.with_name(f".{new_id()}")
    folder.rename(leaving)
    fsync(folder.parent)
    shutil.rmtree(leaving)
    return True
