"""How far a container's changes were pushed to the container it is synced to: kept in each replica, for itself.

Up to `sent` this replica's node has pushed its own share, up to `checked` it has seen to the shares of the others too.
`unsent` are names that had to be left, tried again until they are taken. Another target begins anew.
"""

from collections.abc import Iterable
from typing import NamedTuple

from maldon.objectstore.books.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS syncing (id INTEGER PRIMARY KEY CHECK (id = 1), target TEXT, sent INT, checked INT);
CREATE TABLE IF NOT EXISTS unsent (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""
MOST = 1000  # names that are tried again in one round


class Points(NamedTuple):
    sent: int = 0
    checked: int = 0
    unsent: tuple[str, ...] = ()


def read_points(db: Database, target: str) -> Points:
    """How far it is with this target."""
    if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'unsent'").get:
        return Points()
    held = db.execute("SELECT sent, checked FROM syncing WHERE target = ?", (target,)).fetchone()
    if held is None:
        return Points()
    names = db.execute("SELECT name FROM unsent ORDER BY name LIMIT ?", (MOST,)).fetchall()
    sent, checked = held
    return Points(sent, checked, tuple(name for (name,) in names))


def record_points(
    db: Database, target: str, points: Points, failed: Iterable[str] = (), done: Iterable[str] = ()
) -> None:
    """What came of a round: names that failed, and that were taken after all. Within a transaction."""
    db.execute(SCHEMA)
    if db.execute("SELECT target FROM syncing").get != target:
        db.execute("DELETE FROM unsent")
    db.execute("INSERT OR REPLACE INTO syncing VALUES (1, ?, ?, ?)", (target, points.sent, points.checked))
    db.executemany("DELETE FROM unsent WHERE name = ?", [(name,) for name in done])
    db.executemany("INSERT OR IGNORE INTO unsent VALUES (?)", [(name,) for name in failed])
