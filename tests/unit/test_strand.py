"""Jobs that are done one after the other in a thread."""

import asyncio
import threading
import time

import pytest

from maldon.objectstore.device.strand import Strand


async def test_jobs_are_done_in_order_and_none_twice():
    done = []
    strand = Strand(done.append)
    for number in range(500):
        strand.give(number)
        if number % 7 == 0:
            await strand.until(number % 3)
            assert len(done) >= number + 1 - number % 3
        if number % 50 == 0:
            await asyncio.sleep(0.001)  # the thread runs out of work
    await strand.until(0)
    assert done == list(range(500))


async def test_who_gives_too_many_waits():
    turn = threading.Semaphore(0)
    strand = Strand(lambda _: turn.acquire())
    for number in range(4):
        strand.give(number)
    waiting = asyncio.ensure_future(strand.until(2))
    turn.release()
    await asyncio.sleep(0.05)
    assert not waiting.done()
    turn.release()
    await asyncio.wait_for(waiting, 5)
    turn.release(2)
    await asyncio.wait_for(strand.until(0), 5)


async def test_a_job_that_fails_ends_it():
    done = []

    def divide(number):
        done.append(1 / number)

    strand = Strand(divide)
    for number in (1, 0, 2):
        strand.give(number)
    with pytest.raises(ZeroDivisionError):
        await strand.until(0)
    strand.give(4)
    with pytest.raises(ZeroDivisionError):
        await strand.until(0)
    assert done == [1]
    await strand.close()


async def test_closing_waits_for_the_job_at_hand_and_does_no_other():
    done = []

    def slowly(number):
        time.sleep(0.05)
        done.append(number)

    strand = Strand(slowly)
    for number in range(3):
        strand.give(number)
    await asyncio.sleep(0.01)
    await strand.close()
    assert done == [0]
    await asyncio.sleep(0.1)
    assert done == [0]
