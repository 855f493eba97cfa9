"""Listings of books: byte order, bounds, subdirectories and the JSON of the API, against a model that scans."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maldon.objectstore.books.listing import STEPS, after
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.node import Query, Row
from maldon.objectstore.path import Path, PathHash

BOX = Path("AUTH_ann", "box")
HASHED = PathHash(b"before", b"after")
TEXT = st.text(alphabet="ab/-\U0010ffff\ud7ffé", max_size=5)


def scanned(names, query):
    """What a listing says, found the slow way."""
    result = []
    for name in sorted(names, key=str.encode, reverse=query.reverse):
        low, high = (query.end_marker, query.marker) if query.reverse else (query.marker, query.end_marker)
        if (low and name <= low) or (high and name >= high) or not name.startswith(query.prefix):
            continue
        end = name.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
        subdir = name[: end + len(query.delimiter)] if end >= 0 else None
        if subdir is None or (query.leaves and name == subdir):
            result.append(name)
        elif not query.leaves and subdir not in {query.marker, *result}:
            result.append(subdir)
    return result[: query.limit]


@pytest.fixture(scope="module")
def shelves(tmp_path_factory):
    opened = []

    def shelf():
        opened.append(Shelf(tmp_path_factory.mktemp("disk"), BookSettings(), HASHED))
        return opened[-1]

    yield shelf
    for one in opened:
        one.close()


async def filled(shelf, names):
    await shelf.put_book(0, BOX, 1, {})
    await shelf.update_book(0, BOX, [Row(name, 2, 1, "text/plain", "e") for name in names])
    return shelf


@settings(max_examples=60)
@given(
    names=st.sets(TEXT.filter(bool), max_size=25),
    query=st.builds(
        Query, limit=st.integers(0, 12), marker=TEXT, end_marker=TEXT, prefix=TEXT,
        delimiter=st.sampled_from(["", "/", "a", "/-", "é"]), reverse=st.booleans(), leaves=st.booleans(),
    ),
)  # fmt: skip
def test_a_listing_is_what_a_scan_finds(shelves, names, query):
    async def listed():
        shelf = await filled(shelves(), names)
        return await shelf.list_json(0, BOX, query)

    listing = asyncio.run(listed())
    expected = scanned(names, query)
    assert [item.subdir or item.name for item in listing.items()] == expected
    assert listing.count == len(expected)


@settings(max_examples=60)
@given(
    folders=st.sets(st.text(alphabet="ab/-\0\U0010ffff\ud7ffé", min_size=1, max_size=4), min_size=1, max_size=12),
    names=st.sets(TEXT.filter(bool), max_size=5),
    query=st.builds(
        Query, limit=st.sampled_from([1, 5, 100]), marker=TEXT, end_marker=TEXT,
        prefix=st.sampled_from(["", "a", "é/"]),
        delimiter=st.sampled_from(["/", "a", "/-", "é", "-\U0010ffff"]), reverse=st.booleans(), leaves=st.booleans(),
    ),
)  # fmt: skip
def test_a_listing_of_long_subdirectories_is_what_a_scan_finds(shelves, folders, names, query):
    names |= {f"{folder}{query.delimiter}{n:02d}" for folder in folders for n in range(STEPS + 3)}

    async def listed():
        shelf = await filled(shelves(), names)
        return await shelf.list_json(0, BOX, query)

    assert [item.subdir or item.name for item in asyncio.run(listed()).items()] == scanned(names, query)


@given(prefix=TEXT.filter(bool), text=TEXT)
def test_what_comes_after_a_prefix_is_the_first_behind_it(prefix, text):
    behind = after(prefix)
    assert not behind.startswith(prefix)
    assert (text >= behind and bool(behind)) == (text > prefix and not text.startswith(prefix))


async def test_json_is_what_the_api_says(shelves):
    shelf = shelves()
    await shelf.put_book(0, BOX, 1, {})
    at = 138489169328345
    await shelf.update_book(
        0, BOX, [Row('a "q"/\x00é', at, 3, "text/plain; charset=x", "900150983cd24fb0d6963f7d28e17f72"), Row("b/c", at)]
    )
    listing = await shelf.list_json(0, BOX, Query(delimiter="/", prefix="a"))
    assert json.loads(listing.json) == [{"subdir": 'a "q"/'}]
    listing = await shelf.list_json(0, BOX, Query())
    assert json.loads(listing.json) == [
        {
            "name": 'a "q"/\x00é', "hash": "900150983cd24fb0d6963f7d28e17f72", "bytes": 3,
            "content_type": "text/plain; charset=x", "last_modified": "2013-11-19T20:08:13.283450",
        },
        {"name": "b/c", "hash": "", "bytes": 0, "content_type": "", "last_modified": "2013-11-19T20:08:13.283450"},
    ]  # fmt: skip
    assert (await shelf.list_json(0, BOX, Query(limit=0))).json == b"[]"
    account = Path("AUTH_ann")
    await shelf.update_book(0, account, [Row("box", at, 12, count=3)])
    assert json.loads((await shelf.list_json(0, account, Query())).json) == [
        {"name": "box", "count": 3, "bytes": 12, "last_modified": "2013-11-19T20:08:13.283450", "storage_policy": 0}
    ]


async def test_what_lies_below_a_subdirectory_is_not_read(shelves):
    shelf = await filled(shelves(), [*(f"deep/{i:05d}" for i in range(20_000)), "last", *(f"m{i}/x" for i in range(9))])
    steps = 0

    def count():
        nonlocal steps
        steps += 1
        return False

    db = shelf._open[0, BOX]
    db._db.set_progress_handler(count, 100)
    listing = await shelf.list_json(0, BOX, Query(delimiter="/"))
    assert [item.subdir or item.name for item in listing.items()] == ["deep/", "last", *(f"m{i}/" for i in range(9))]
    assert steps < 30  # hundreds of SQLite's instructions; a scan takes a hundred thousand
