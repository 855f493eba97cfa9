"""Listings: names in byte order between bounds, as JSON that SQLite joins from the rows' own items.

Bounds are found by key. With a delimiter, what lies below a subdirectory is skipped by key too, never scanned, but for
a few rows, which are cheaper to step over than to search behind. Where one subdirectory follows the other, SQLite goes
from each to the next by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from maldon.objectstore.books.database import Database
from maldon.objectstore.books.item import subdir_item
from maldon.objectstore.node import Query

STEPS = 8  # rows below a subdirectory that are stepped over before the next name is searched: a search costs as much
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Names above `low` (and `low` itself, if `inclusive`) and below `high`; "" is no bound."""

    low: str
    inclusive: bool
    high: str
    reverse: bool

    def select(self, columns: str, limit: int) -> tuple[str, tuple[str | int, ...]]:
        """A statement for these rows."""
        terms = ([f"name {'>=' if self.inclusive else '>'} ?"] if self.low else []) + (
            ["name < ?"] if self.high else []
        )
        where = f" WHERE {' AND '.join(terms)}" if terms else ""
        text = f"SELECT {columns} FROM row{where} ORDER BY name{' DESC' if self.reverse else ''} LIMIT ?"  # noqa: S608
        return text, (*(bound for bound in (self.low, self.high) if bound), limit)

    def past(self, subdir: str, query: Query) -> "Bounds":
        """What is left behind everything that begins with `subdir`."""
        if self.reverse:
            # A leaf that is the subdirectory's own name comes after all below it.
            return replace(self, high=subdir + "\0" if query.leaves else subdir)
        return replace(self, low=after(subdir), inclusive=True)


def after(prefix: str) -> str:
    """The first text behind all that begin with `prefix`; "" when there is none."""
    kept = prefix.rstrip(LAST)
    if not kept:
        return ""
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)


def bounds(query: Query) -> Bounds:
    low, high = (query.end_marker, query.marker) if query.reverse else (query.marker, query.end_marker)
    ends = [end for end in (high, after(query.prefix)) if end]
    inclusive = query.prefix > low
    return Bounds(query.prefix if inclusive else low, inclusive, min(ends, default=""), query.reverse)


def list_json(db: Database, query: Query) -> tuple[int, bytes]:
    """How many, and all of them as a JSON array."""
    if query.delimiter:
        items = list(_walk(db, query))
        return len(items), f"[{','.join(items)}]".encode()
    text, values = bounds(query).select("item", query.limit)
    # As a blob: a text would be decoded and encoded again, which takes twice as long as all the rest.
    joined = f"SELECT count(*), CAST(group_concat(item, ',') AS BLOB) FROM ({text})"  # noqa: S608
    count, items = db.execute(joined, values).get
    return count, b"[%b]" % (items or b"")


def _walk(db: Database, query: Query) -> Iterator[str]:
    """The items of rows and subdirectories."""
    left, here = query.limit, bounds(query)
    listed = {query.marker, query.seen}
    while left > 0:
        subdir, steps = "", 0
        for name, item in db.execute(*here.select("name, item", -1)):
            if subdir and name.startswith(subdir) and not (query.leaves and name == subdir):
                steps += 1
                if steps < STEPS:
                    continue
                for following in _following(db, query, here, subdir):
                    subdir = following
                    if subdir not in listed:
                        yield subdir_item(subdir)
                        left -= 1
                        if not left:
                            return
                here = here.past(subdir, query)
                break
            end = name.find(query.delimiter, len(query.prefix))
            subdir, steps = "" if end < 0 else name[: end + len(query.delimiter)], 0
            if not subdir or (query.leaves and name == subdir):
                yield item
            elif query.leaves or subdir in listed:
                continue
            else:
                yield subdir_item(subdir)
            left -= 1
            if not left:
                return
        else:
            return


def _following(db: Database, query: Query, here: Bounds, subdir: str) -> Iterator[str]:
    """The subdirectories that come one after the other behind one, as long as no other name is between.

    All in bytes: to SQLite a text ends at its first NUL, and names of the store's own have some.
    """
    behind = after(query.delimiter[-1])
    if query.leaves or not behind:
        return
    if here.reverse:
        bound = f" AND name {'>=' if here.inclusive else '>'} :end" if here.low else ""
        terms, order, end = f"name < CAST(dir AS TEXT){bound}", " DESC", here.low
    else:
        bound = " AND name < :end" if here.high else ""
        terms, order, end = f"name >= CAST(substr(dir, 1, length(dir) - :cut) || :behind AS TEXT){bound}", "", here.high
    values = {
        "subdir": subdir.encode(), "delimiter": query.delimiter.encode(), "from": len(query.prefix.encode()) + 1,
        "cut": len(query.delimiter[-1].encode()), "behind": behind, "end": end, "limit": query.limit + 2,
    }  # fmt: skip
    for (found,) in db.execute(_FOLLOWING.format(terms=terms, order=order), values):
        yield found.decode()


_FOLLOWING = """WITH RECURSIVE sub (dir) AS (
    SELECT :subdir UNION ALL SELECT (
        SELECT CASE instr(substr(CAST(name AS BLOB), :from), :delimiter) WHEN 0 THEN NULL ELSE substr(
            CAST(name AS BLOB), 1,
            :from + instr(substr(CAST(name AS BLOB), :from), :delimiter) + length(:delimiter) - 2) END
        FROM row WHERE {terms} ORDER BY name{order} LIMIT 1
    ) FROM sub WHERE dir IS NOT NULL
) SELECT dir FROM sub WHERE dir IS NOT NULL LIMIT :limit OFFSET 1"""
