"""Every bus driver keeps the port's promises; the one with a broker also while the broker dies."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from maldon.drivers.bus import amqp
from maldon.drivers.bus.amqp import AmqpBus
from maldon.drivers.bus.mailbox import BODY_BYTES, MAILBOX_SIZE, TOPIC_LENGTH
from maldon.drivers.bus.memory import MemoryBus
from maldon.ports.bus import Bus, Message
from tests.servers import rabbitmq, wait_until

DEADLINE_S = 30


@pytest.fixture(params=["memory", "amqp"])
async def buses(request) -> AsyncIterator[Callable[[], Bus]]:
    """Makes the bus as each of several parts of a cloud would hold it."""
    made: list[Bus] = []
    url = request.getfixturevalue("amqp_url") if request.param == "amqp" else ""

    def make() -> Bus:
        if url or not made:
            made.append(AmqpBus(url) if url else MemoryBus())
        return made[-1]

    yield make
    for bus in made:
        await bus.close()


async def read(messages: AsyncIterator[Message]) -> Message:
    async with asyncio.timeout(DEADLINE_S):
        return await anext(messages)


async def read_until(messages: AsyncIterator[Message], last: Message) -> list[Message]:
    found = [await read(messages)]
    while found[-1] != last:
        found.append(await read(messages))
    return found


async def test_a_message_reaches_every_subscriber(buses):
    sender, message = buses(), Message("server.create", b"\x00body")
    async with buses().subscribe("server.create") as one, buses().subscribe("#") as two:
        await sender.publish(message)
        assert [await read(one), await read(two)] == [message, message]


@pytest.mark.parametrize(
    ("patterns", "seen"),
    [
        (["a"], ["a"]),
        (["a.b"], ["a.b"]),
        (["a.#"], ["a.b", "a.b.c"]),
        (["#"], ["a", "a.b", "a.b.c", "ab.c", "b"]),
        (["a", "a.#", "a.b", "#"], ["a", "a.b", "a.b.c", "ab.c", "b"]),
        (["a.*"], []),
        (["b", "nothing"], ["b"]),
        ([], []),
    ],
)
async def test_a_subscription_sees_what_its_patterns_say_and_each_once(buses, patterns, seen):
    bus, last = buses(), Message("last")
    async with bus.subscribe(*patterns, "last") as messages:
        for topic in ("a", "a.b", "a.b.c", "ab.c", "b"):
            await bus.publish(Message(topic))
        await bus.publish(last)
        assert [message.topic for message in await read_until(messages, last)] == [*seen, "last"]


async def test_a_subscription_begins_when_it_is_entered_and_ends_when_it_is_left(buses):
    bus = buses()
    await bus.publish(Message("a", b"before"))
    async with bus.subscribe("a") as messages:
        await bus.publish(Message("a", b"within"))
        assert await read(messages) == Message("a", b"within")
    await bus.publish(Message("a", b"between"))
    async with bus.subscribe("a") as messages:
        await bus.publish(Message("a", b"again"))
        assert await read(messages) == Message("a", b"again")


async def test_a_reader_that_gives_up_loses_nothing(buses):
    bus = buses()
    async with bus.subscribe("a") as messages:
        for body in (b"1", b"2"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(messages), 0.05)
            await bus.publish(Message("a", body))
            assert await read(messages) == Message("a", body)


async def test_a_slow_subscriber_loses_the_oldest_and_keeps_the_newest(buses):
    bus, last = buses(), Message("a", b"last")
    async with bus.subscribe("a") as slow, bus.subscribe("a") as other:
        for _ in range(3 * MAILBOX_SIZE // 64):
            await asyncio.gather(*(bus.publish(Message("a", b"old")) for _ in range(64)))
        await bus.publish(last)
        await read_until(other, last)  # a broker has delivered to both by now, or nearly
        assert len(await read_until(slow, last)) <= MAILBOX_SIZE + 64


@pytest.mark.parametrize(
    "message", [Message(""), Message("a" * (TOPIC_LENGTH + 1)), Message("ä"), Message("a", bytes(BODY_BYTES + 1))]
)
async def test_what_not_every_bus_can_carry_is_refused_by_all(buses, message):
    with pytest.raises(ValueError, match="has"):
        await buses().publish(message)


async def test_the_largest_message_passes(buses):
    bus, message = buses(), Message("a" * TOPIC_LENGTH, os.urandom(BODY_BYTES))
    async with bus.subscribe("#") as messages:
        await bus.publish(message)
        assert await read(messages) == message


async def test_closing_ends_subscriptions_and_publishing(buses):
    bus = buses()
    async with bus.subscribe("a") as messages:
        await bus.publish(Message("a"))
        await read(messages)
        await bus.close()
        async with asyncio.timeout(DEADLINE_S):
            assert [message async for message in messages] == []
    with pytest.raises(OSError, match="closed"):
        await bus.publish(Message("a"))
    async with bus.subscribe("a") as messages, asyncio.timeout(DEADLINE_S):
        assert [message async for message in messages] == []
    await bus.close()


async def test_an_error_in_the_body_of_a_subscription_comes_out_as_it_is(buses):
    with pytest.raises(KeyError):
        async with buses().subscribe("a"):
            raise KeyError("mine")


async def publish_until_seen(bus: Bus, messages: AsyncIterator[Message]) -> None:
    """What is published while a connection comes back may be lost, so publish until something arrives."""
    seen = asyncio.create_task(read_until(messages, Message("a", b"again")))
    try:
        async with asyncio.timeout(2 * DEADLINE_S):
            for attempt in itertools.count():
                with contextlib.suppress(OSError):
                    await bus.publish(Message("a", b"again"))
                done, _ = await asyncio.wait([seen], timeout=0.1 if attempt else 0.01)
                if done:
                    break
    finally:
        seen.cancel()
        await asyncio.wait([seen])
    assert seen.result()[-1] == Message("a", b"again")


async def test_subscriptions_go_on_when_the_broker_hung_or_died_and_came_back():
    """One walk, because a broker takes seconds to start."""
    with rabbitmq() as server:
        bus = AmqpBus(server.url)
        try:
            async with bus.subscribe("a") as messages:
                await publish_until_seen(bus, messages)
                await hang(bus, server.processes[-1])
                await publish_until_seen(bus, messages)
                await asyncio.to_thread(server.kill)
                with pytest.raises(OSError, match="bus"):
                    await bus.publish(Message("a"))
                async with bus.subscribe("a") as entered_meanwhile:
                    await asyncio.to_thread(server.start)
                    await publish_until_seen(bus, messages)
                    await publish_until_seen(bus, entered_meanwhile)
        finally:
            await bus.close()


async def hang(bus: Bus, broker: subprocess.Popen[bytes]) -> None:
    """Stop the broker with its connections open; every thread of it, for one may answer while others stand already."""
    tasks = Path(f"/proc/{broker.pid}/task")
    broker.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: all(state_of(task) == "T" for task in tasks.iterdir()), "the broker to stand still")
        with pytest.raises(TimeoutError, match="within"):
            await bus.publish(Message("a"))
    finally:
        broker.send_signal(signal.SIGCONT)


def state_of(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


async def test_a_broker_that_refuses_us_is_an_os_error(amqp_url):
    bus = AmqpBus(amqp_url.replace("maldon:maldon", "maldon:wrong"))
    with pytest.raises(OSError, match="bus"):
        await bus.publish(Message("a"))
    async with bus.subscribe("a"):
        pass
    await bus.close()


async def test_nobody_waits_long_for_a_broker_that_never_answers():
    """A server that takes connections and says nothing is the worst kind of absence."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bus = AmqpBus(f"amqp://127.0.0.1:{silent.getsockname()[1]}/")
        async with asyncio.timeout(3 * amqp.TIMEOUT_S):
            with pytest.raises(OSError, match="bus"):
                await bus.publish(Message("a"))
            await bus.close()
