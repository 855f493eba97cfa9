"""The database facade promises the same on SQLite, PostgreSQL and MariaDB."""

import asyncio

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, bindparam, func, insert, select, update

from maldon.kernel.errors import BadRequest, CloudError, Duplicate, Stale
from maldon.store.database import open_database
from maldon.store.paging import Page, fetch
from maldon.store.schema import Json, id_column, table
from tests.tables import create_all

things = table(
    "test_thing",
    id_column(),
    Column("size", Integer),
    Column("name", String(50), nullable=False),
    Column("document", Json),
    Column("good", Boolean),
    Column("at", BigInteger, nullable=False),
)


@pytest.fixture
async def db(database_url):
    database = open_database(database_url)
    await create_all(database)
    yield database
    await database.close()


def thing(name, size=1, **more):
    return {"id": name, "name": name, "size": size, "document": None, "good": None, "at": 0, **more}


async def names(db):
    async with db.read() as session:
        return sorted(row.name for row in await session.all(select(things)))


async def test_what_is_committed_is_there_and_what_fails_is_not(db):
    calls = []
    async with db.begin() as session:
        await session.run(insert(things), [thing("a"), thing("b", document={"ä": [1, None]})])
        session.after_commit(lambda: calls.append("kept"))

    async def broken():
        async with db.begin() as session:
            session.after_commit(lambda: calls.append("never"))
            await session.run(insert(things), thing("c"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert (await names(db), calls) == (["a", "b"], ["kept"])
    async with db.read() as session:
        assert await session.scalar(select(things.c.document).where(things.c.id == "b")) == {"ä": [1, None]}


async def test_a_second_row_of_a_key_is_a_duplicate(db):
    async with db.begin() as session:
        await session.run(insert(things), thing("a"))
    with pytest.raises(Duplicate):
        async with db.begin() as session:
            await session.run(insert(things), thing("a"))
    assert await names(db) == ["a"]


async def test_text_differs_by_its_bytes(db):
    async with db.begin() as session:
        await session.run(insert(things), [thing("a"), thing("A"), thing("á"), thing("a ")])
        assert await session.first(select(things.c.id).where(things.c.name == "Á")) is None
    assert await names(db) == ["A", "a", "a ", "á"]


@pytest.mark.parametrize("values", [{"at": 2**70}, {"size": 2**70}])
async def test_what_cannot_be_stored_is_the_askers_fault(db, values):
    with pytest.raises(BadRequest):
        async with db.begin() as session:
            await session.run(insert(things), thing("a", **values))


async def test_a_compare_and_set_has_one_winner(db):
    async with db.begin() as session:
        await session.run(insert(things), thing("a", size=0))

    async def bump():
        async with db.begin() as session:
            seen = await session.scalar(select(things.c.size).where(things.c.id == "a"))
            changed = await session.run(
                update(things).where(things.c.id == "a", things.c.size == seen).values(size=seen + 1)
            )
            if not changed:
                raise Stale("again")

    results = await asyncio.gather(*(bump() for _ in range(10)), return_exceptions=True)
    won = sum(result is None for result in results)
    assert all(result is None or isinstance(result, CloudError) for result in results)
    async with db.read() as session:
        assert await session.scalar(select(things.c.size)) == won >= 1


async def test_a_lock_lets_one_count_and_write_at_a_time(db):
    async def create_if_room(n):
        async with db.begin() as session:
            await session.lock("quota:x")
            if await session.scalar(select(func.count()).select_from(things)) < 3:
                await session.run(insert(things), thing(f"t{n}"))

    await asyncio.gather(*(create_if_room(n) for n in range(12)))
    assert len(await names(db)) == 3


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_pages_by_key_give_every_row_once(db, direction, limit):
    rows = [thing(f"t{n}", size=n % 3 or None) for n in range(8)]
    async with db.begin() as session:
        await session.run(insert(things), rows)
    columns = [(things.c.size, direction), (things.c.id, "asc")]
    got, marker = [], None
    while True:
        async with db.read() as session:
            page = await fetch(session, select(things), Page(limit, marker), columns, BadRequest("no such marker"))
        got += [(row.size, row.id) for row in page]
        if len(page) < limit:
            break
        marker = page[-1].id
    key = {"asc": 1, "desc": -1}[direction]
    assert got == sorted(((r["size"], r["id"]) for r in rows), key=lambda r: (key * (r[0] or 0), r[1]))


async def test_a_page_read_backwards_ends_before_its_marker(db):
    async with db.begin() as session:
        await session.run(insert(things), [thing(f"t{n}") for n in range(6)])
    async with db.read() as session:
        page = await fetch(
            session, select(things), Page(2, "t4", reverse=True), [(things.c.id, "asc")], BadRequest("no such marker")
        )
        with pytest.raises(BadRequest):
            await fetch(session, select(things), Page(2, "zz"), [(things.c.id, "asc")], BadRequest("no such marker"))
    assert [row.id for row in page] == ["t2", "t3"]


async def test_a_statement_that_is_kept_answers_the_same_every_time(db):
    chosen = things.c.name.in_(bindparam("names", expanding=True)) & things.c.size.in_([1, 2])
    kept = select(things.c.id, things.c.document, things.c.good, func.coalesce(things.c.size, 0).label("count"))
    kept = kept.where(chosen, things.c.at >= bindparam("since", 0)).order_by(things.c.name)
    rows = [thing("a", good=True, document={"ä": [1]}), thing("b", 2, good=False), thing("c", 3), thing("d", at=-1)]
    async with db.begin() as session:
        await session.run(insert(things), rows)
        everything = {"names": ["a", "b", "c", "d", "'"]}
        for _ in range(4):
            first, second = await session.all(kept, everything)
            assert (first.id, first.document, first.good, first.count) == ("a", {"ä": [1]}, True, 1)
            assert second._mapping == {"id": "b", "document": None, "good": False, "count": 2}
            assert (await session.first(kept, {"names": ["d"], "since": -1})).good is None
            assert await session.first(kept, {"names": []}) is None
            assert await session.scalar(kept, everything) == "a"
            assert await session.all(kept, {"names": ["x"]}) == []
        await session.run(update(things).values(size=1))
        assert [row.id for row in await session.all(kept, everything)] == ["a", "b", "c"]


async def test_a_value_that_no_column_holds_is_found_nowhere_or_refused(db):
    kept = select(things.c.id).where(things.c.at == bindparam("at"))
    for _ in range(3):
        async with db.read() as session:
            try:
                assert await session.all(kept, {"at": 2**70}) == []
            except BadRequest:
                assert "mysql" not in db.url


async def test_statements_that_are_kept_are_counted(db):
    kept = select(things.c.id).where(things.c.id == bindparam("wanted")).limit(1)
    async with db.read() as session:
        before = db.statements
        for n in range(5):
            assert await session.first(kept, {"wanted": "a"}) is None
            assert db.statements - before == n + 1


async def test_changes_that_are_kept_do_the_same_every_time(db):
    make, drop = insert(things), things.delete().where(things.c.id.in_(bindparam("gone", expanding=True)))
    change = (
        update(things)
        .where(things.c.id == bindparam("wanted"), things.c.size < 9)
        .values(size=things.c.size + bindparam("more"), document=bindparam("told"), good=True)
    )
    for n in range(4):
        async with db.begin() as session:
            before = db.statements
            assert await session.run(make, thing("a", document={"ä": n})) == 1
            await session.run(make, [thing("b", good=False), thing("c", at=n)])
            assert await session.run(change, {"wanted": "a", "more": n, "told": [n, None]}) == 1
            assert await session.run(change, {"wanted": "x", "more": n, "told": None}) == 0
            assert db.statements - before == 4
            rows = await session.all(select(things).order_by(things.c.id))
            assert [(r.id, r.size, r.document, r.good, r.at) for r in rows] == [
                ("a", 1 + n, [n, None], True, 0),
                ("b", 1, None, False, 0),
                ("c", 1, None, None, n),
            ]
            assert await session.run(drop, {"gone": ["a", "b", "x"]}) == 2
            assert await session.run(drop, {"gone": ["c"]}) == 1


async def test_a_change_that_is_kept_says_what_is_wrong(db):
    make, partly = insert(things), {"id": "p", "name": "p", "at": 1}
    for n in range(4):
        async with db.begin() as session:
            await session.run(make, thing(f"t{n}"))
        with pytest.raises(Duplicate):
            async with db.begin() as session:
                await session.run(make, [thing(f"u{n}"), thing("t0")])
        with pytest.raises(BadRequest):
            async with db.begin() as session:
                await session.run(make, thing("z", at=2**70))
    assert await names(db) == ["t0", "t1", "t2", "t3"]
    async with db.begin() as session:
        await session.run(make, partly)  # other columns than before
    async with db.read() as session:
        assert await session.scalar(select(things.c.size).where(things.c.id == "p")) is None
