"""Talking to a running QEMU: one short session for each question, so that no connection outlives its need.

The socket is reached through its directory's file descriptor: a UNIX socket's path is limited to 107 bytes, a home is
not. Whatever goes wrong is an OSError; every answer has a deadline.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from qemu.qmp import ExecuteError, QMPClient, QMPError

SOCKET = "qmp.sock"
ANSWER_S = 5.0
PRESS_AGAIN_S = 5.0

logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)  # its errors reach us as exceptions


@contextmanager
def _short_path(directory: Path) -> Iterator[str]:
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)


def listen(directory: Path) -> socket.socket:
    """A socket that QEMU is to answer on; for QEMU to inherit."""
    (directory / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short_path(directory) as path:
            listener.bind(path)
        listener.listen(1)
    except BaseException:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def _session(directory: Path, timeout_s: float = ANSWER_S) -> AsyncIterator[Any]:
    client = QMPClient()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        with _short_path(directory) as path:
            connection.connect(path)
        try:
            async with asyncio.timeout(timeout_s):
                await client.connect(connection)
            yield client
        except (QMPError, EOFError) as error:
            raise ConnectionError(f"QEMU does not answer: {error}") from error
        finally:
            with suppress(QMPError, OSError, EOFError):
                async with asyncio.timeout(ANSWER_S):
                    await client.disconnect()


async def _ask(client: Any, command: str, arguments: dict[str, Any] | None = None) -> Any:
    async with asyncio.timeout(ANSWER_S):
        return await client.execute(command, arguments)


async def status(directory: Path, timeout_s: float = ANSWER_S) -> str:
    """QEMU's run state: "running", "shutdown" after the guest turned itself off, ..."""
    async with _session(directory, timeout_s) as client:
        return str((await _ask(client, "query-status"))["status"])


async def leave(directory: Path) -> None:
    """Tell QEMU to write out its disks and end."""
    async with _session(directory) as client:
        await _ask(client, "quit")


async def press_power(directory: Path, deadline_s: float) -> bool:
    """Press the guest's power button until it has shut down; whether it did so in time.

    More than once, because a guest in its first seconds does not notice.
    """
    deadline = asyncio.get_running_loop().time() + deadline_s
    async with _session(directory) as client:
        with client.listener("SHUTDOWN") as events:
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                await _ask(client, "system_powerdown")
                if (await _ask(client, "query-status"))["status"] == "shutdown":
                    return True
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, PRESS_AGAIN_S)):
                        await events.get()
                        return True
    return False


async def plug(directory: Path, netdev: dict[str, Any], card: dict[str, Any]) -> None:
    """Give the guest a network card. One that is there already is left alone."""
    async with _session(directory) as client:
        if await _has(client, card["id"]):
            return
        with suppress(ExecuteError):  # what a plugging that died halfway left
            await _ask(client, "netdev_del", {"id": netdev["id"]})
        await _ask(client, "netdev_add", netdev)
        await _ask(client, "device_add", card)


async def unplug(directory: Path, netdev_id: str, card_id: str, deadline_s: float) -> bool:
    """Take a network card away; whether the guest let go of it in time. Absent is done."""
    deadline = asyncio.get_running_loop().time() + deadline_s
    async with _session(directory) as client:
        with client.listener("DEVICE_DELETED") as events:
            while await _has(client, card_id):
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    return False
                with suppress(ExecuteError):  # it was asked already, and may not have noticed
                    await _ask(client, "device_del", {"id": card_id})
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, PRESS_AGAIN_S)):
                        await events.get()
        with suppress(ExecuteError):
            await _ask(client, "netdev_del", {"id": netdev_id})
    return True


async def _has(client: Any, device_id: str) -> bool:
    devices = await _ask(client, "qom-list", {"path": "/machine/peripheral"})
    return any(device["name"] == device_id for device in devices)
