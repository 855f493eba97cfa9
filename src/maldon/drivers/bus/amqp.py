"""The bus of many processes: a durable topic exchange `maldon` on an AMQP 0-9-1 broker such as RabbitMQ.

Publishing waits for the broker's confirmation. Every subscription has an exclusive queue of its own that the broker
forgets with the connection; a listener task brings it back when the broker returns. What was published meanwhile is
lost, as the port says; whoever needs every notification binds a durable queue of their own to the exchange.

One connection carries everything and is made when first needed, so a process starts, works and stops without a broker:
subscribing to one that is away succeeds and listens as soon as it is there. Two clouds on one broker take two virtual
hosts. Every call to the broker has a timeout.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog

from maldon.drivers.bus.mailbox import MAILBOX_SIZE, Mailbox, check
from maldon.ports.bus import Message

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage

log = structlog.get_logger()

EXCHANGE = "maldon"
TIMEOUT_S = 5.0
HEARTBEAT_S = 10
PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)  # between attempts to listen again; the last one for ever
QUEUE_LIMITS: dict[str, Any] = {"x-max-length": MAILBOX_SIZE, "x-overflow": "drop-head"}


class AmqpBus:
    """See ports.bus. The URL is amqp://user:password@host:port/vhost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connecting = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None  # the one for publishing
        self._exchange: AbstractExchange | None = None
        self._mailboxes: set[Mailbox] = set()
        self._closed = False

    async def publish(self, message: Message) -> None:
        import aio_pika

        check(message)
        wired = aio_pika.Message(message.body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        async with _broker_call("publish"):
            exchange = await self._publishing()
            await exchange.publish(wired, message.topic, mandatory=False)

    @asynccontextmanager
    async def subscribe(self, *patterns: str) -> AsyncIterator[AsyncIterator[Message]]:
        mailbox, tried = Mailbox(patterns), asyncio.Event()
        if self._closed:
            mailbox.close()
        self._mailboxes.add(mailbox)
        listener = asyncio.create_task(self._keep_listening(mailbox, tried), name=f"amqp-bus {' '.join(patterns)}")
        try:
            await tried.wait()
            yield mailbox
        finally:
            self._mailboxes.discard(mailbox)
            listener.cancel()
            await asyncio.wait([listener])
            if not listener.cancelled():
                listener.result()  # raises what should not have happened

    async def close(self) -> None:
        """Subscriptions end when what they hold is read."""
        self._closed = True
        for mailbox in self._mailboxes:
            mailbox.close()
        await self._disconnect()

    async def _keep_listening(self, mailbox: Mailbox, tried: asyncio.Event) -> None:
        """Have the mailbox filled, whenever there is a broker. `tried` is set after the first attempt."""
        failures = 0
        try:
            while not self._closed:
                try:
                    async with self._queue_for(mailbox) as gone:
                        tried.set()
                        failures = 0
                        await gone.wait()
                        log.info("bus connection lost", patterns=mailbox.patterns)
                except OSError as error:
                    tried.set()
                    if not failures:
                        log.warning("bus cannot be reached", why=str(error))
                    await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                    failures += 1
        finally:
            mailbox.close()
            tried.set()

    @asynccontextmanager
    async def _queue_for(self, mailbox: Mailbox) -> AsyncIterator[asyncio.Event]:
        """A queue whose messages go to the mailbox; the event is set when the broker has forgotten it."""
        gone = asyncio.Event()

        async def deliver(incoming: "AbstractIncomingMessage") -> None:
            mailbox.offer(Message(incoming.routing_key or "", incoming.body))

        async with _broker_call("listen"):
            connection = await self._connected()
            channel = await connection.channel(publisher_confirms=False)
            channel.close_callbacks.add(lambda *_: gone.set())
            await _exchange_on(channel)
            queue = await channel.declare_queue(exclusive=True, auto_delete=True, arguments=QUEUE_LIMITS)
            for pattern in mailbox.patterns:
                await queue.bind(EXCHANGE, pattern)
            await queue.consume(deliver, no_ack=True)
        try:
            yield gone
        finally:
            with contextlib.suppress(OSError):
                async with _broker_call("stop listening"):
                    await channel.close()

    async def _publishing(self) -> "AbstractExchange":
        connection = await self._connected()
        async with self._connecting:
            if self._exchange is None or self._channel is None or self._channel.is_closed:
                self._channel = await connection.channel(publisher_confirms=True)
                self._exchange = await _exchange_on(self._channel)
            return self._exchange

    async def _connected(self) -> "AbstractConnection":
        import aio_pika

        async with self._connecting:
            if self._closed:
                raise ConnectionError("the bus is closed")
            if self._connection is None or self._connection.is_closed or not self._connection.connected.is_set():
                await self._disconnect()
                beat: dict[str, Any] = {} if "heartbeat=" in self._url else {"heartbeat": HEARTBEAT_S}
                self._connection = await aio_pika.connect(self._url, timeout=TIMEOUT_S, **beat)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection, self._channel, self._exchange = self._connection, None, None, None
        if connection is not None:
            with contextlib.suppress(OSError):
                async with _broker_call("disconnect"):
                    await connection.close()


async def _exchange_on(channel: "AbstractChannel") -> "AbstractExchange":
    return await channel.declare_exchange(EXCHANGE, "topic", durable=True)


@asynccontextmanager
async def _broker_call(verb: str) -> AsyncIterator[None]:
    """At most TIMEOUT_S, and whatever the AMQP libraries raise comes out as an OSError."""
    from aio_pika.exceptions import AMQPError

    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except TimeoutError as error:
        raise TimeoutError(f"the bus did not {verb} within {TIMEOUT_S:g} seconds") from error
    except (AMQPError, RuntimeError) as error:
        raise ConnectionError(f"the bus could not {verb}: {error}") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # The libraries cancel what waits on a connection that died; nobody cancelled us.
        raise ConnectionError(f"the bus could not {verb}: its connection was lost") from error
