"""Sagas survive: death around every commit, a refusal at every step, two workers, lost leases, lost wakes."""

import asyncio

import pytest
from sqlalchemy import Column, Integer, delete, insert, select

from maldon.kernel.errors import Conflict, Stale
from maldon.store.schema import id_column, table
from maldon.work.models import journal, operations
from maldon.work.runner import LEASE_S, Runner, release_leases
from maldon.work.sagas import Fault, Saga, Step, fail, finish, live_operation, start
from tests.harness import cloud

marks = table("test_mark", id_column(), Column("n", Integer, nullable=False))


class Died(BaseException):
    """The process ends here."""


def marking(name, n, refuse=None):
    async def do(session, work):
        if refuse and work.params.get("refuse") == name:
            raise refuse
        await session.run(insert(marks), {"id": f"{work.subject}-{name}", "n": n})
        return {"n": n}

    async def undo(session, work):
        await session.run(delete(marks).where(marks.c.id == f"{work.subject}-{name}"))

    return Step(name, do, undo)


async def given_up(session, work):
    await session.run(insert(marks), {"id": f"{work.subject}-fault", "n": len(work.fault.message)})


REFUSAL = Conflict("No room for it.")
STEPS = tuple(marking(name, n, REFUSAL) for n, name in enumerate(("one", "two", "three")))
PLAIN = Saga("plain", STEPS, given_up)
PARKED = Saga("parked", STEPS, given_up, awaits=True, deadline_s=60)


@pytest.fixture
async def world(database_url):
    async with cloud(database_url, [], sagas=(PLAIN, PARKED)) as made:
        yield made


async def begin(world, saga, subject="thing", **params):
    op = world.op()
    async with world.db.begin() as session:
        return await start(session, op, saga, subject, params)


async def census(world):
    async with world.db.read() as session:
        names = [row.id.removeprefix("thing-") for row in await session.all(select(marks))]
        states = [row.state for row in await session.all(select(operations))]
    return sorted(names), states


def dying(step, when):
    armed = [True]

    def checkpoint(_kind, name, moment):
        if armed and (name, moment) == (step, when):
            armed.clear()
            raise Died

    return checkpoint


ALL = (["one", "three", "two"], ["done"])
NONE = (["fault"], ["undone"])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["one", "two", "three"])
async def test_death_around_a_commit_changes_nothing(world, step, when):
    await begin(world, PLAIN)
    with pytest.raises(BaseExceptionGroup):
        await world.run_sagas(dying(step, when))
    world.clock.advance(LEASE_S + 1)
    await world.run_sagas()
    assert await census(world) == ALL


@pytest.mark.parametrize("when", ["before-undo", "after-undo"])
@pytest.mark.parametrize("step", ["one", "two"])
async def test_death_while_undoing_changes_nothing(world, step, when):
    await begin(world, PLAIN, refuse="three")
    with pytest.raises(BaseExceptionGroup):
        await world.run_sagas(dying(step, when))
    world.clock.advance(LEASE_S + 1)
    await world.run_sagas()
    assert await census(world) == NONE


@pytest.mark.parametrize("step", ["one", "two", "three"])
async def test_a_refusal_undoes_what_was_done(world, step):
    await begin(world, PLAIN, refuse=step)
    await world.run_sagas()
    assert await census(world) == NONE


async def test_a_worker_that_lost_its_lease_commits_nothing(world):
    await begin(world, PLAIN)
    slow = Runner(world.op(), world.sagas)
    [row] = await slow._due()
    [held] = await slow._lease([row])
    world.clock.advance(LEASE_S + 1)
    await world.run_sagas()
    await slow._advance(held)
    assert await census(world) == ALL


async def test_a_worker_sleeps_while_another_holds_what_is_due_and_goes_on_when_leases_are_void(world):
    await begin(world, PLAIN)
    dead, living = Runner(world.op(), world.sagas), Runner(world.op(), world.sagas)
    [row] = await dead._due()
    [held] = await dead._lease([row])
    assert await living.once() == 0
    assert await living.next_due_s() == LEASE_S
    await release_leases(world.db)
    assert await living.next_due_s() == 0
    assert await living.once() == 1
    await dead._advance(held)
    assert await census(world) == ALL


async def test_workers_side_by_side_do_it_once(world):
    for n in range(5):
        await begin(world, PARKED, f"thing-{n}", refuse="three")
    runners = [Runner(world.op(), world.sagas) for _ in range(3)]
    for _ in range(10):
        await asyncio.gather(*(runner.once() for runner in runners))
        world.clock.advance(1)
    async with world.db.read() as session:
        lines = await session.all(select(journal.c.operation_id, journal.c.step, journal.c.outcome))
        states = [row.state for row in await session.all(select(operations.c.state))]
    assert len(lines) == len(set(lines)) == 25
    assert states == ["undone"] * 5


async def test_a_parked_operation_ends_by_word_or_by_deadline(world):
    first = await begin(world, PARKED)
    await world.run_sagas()
    async with world.db.begin() as session:
        assert (await live_operation(session, "thing", "parked")).state == "awaiting"
        assert await finish(session, world.op(), first)
        assert not await finish(session, world.op(), first)
    assert await census(world) == ALL


async def test_a_parked_operation_is_undone_after_its_deadline(world):
    await begin(world, PARKED)
    await world.run_sagas()
    world.clock.advance(61)
    await world.run_sagas()
    assert await census(world) == NONE


async def test_a_parked_operation_can_be_failed(world):
    operation = await begin(world, PARKED)
    await world.run_sagas()
    async with world.db.begin() as session:
        assert await fail(session, world.op(), operation, Fault("host-says", "It broke."))
    await world.run_sagas()
    assert await census(world) == NONE


async def test_trouble_that_may_pass_is_tried_again_later(world):
    tries = iter([Stale("busy"), Stale("busy"), None])

    async def do(_session, _work):
        if (trouble := next(tries)) is not None:
            raise trouble

    shaky = Saga("plain", (Step("shaky", do),), given_up)
    await begin(world, shaky)
    runner = Runner(world.op(), (shaky,))
    for _ in range(3):
        await runner.once()
        world.clock.advance(61)
    assert await census(world) == ([], ["done"])


async def test_a_bug_is_undone_after_three_tries(world):
    async def do(_session, _work):
        raise ZeroDivisionError

    buggy = Saga("plain", (STEPS[0], Step("buggy", do)), given_up)
    await begin(world, buggy)
    runner = Runner(world.op(), (buggy,))
    for _ in range(4):
        await runner.once()
        world.clock.advance(61)
    assert await census(world) == NONE
