"""HTTP for the roles of this process: uvicorn inside our loop, on sockets we bind ourselves."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial

import psutil
import uvicorn

from maldon.runtime.home import Trouble
from maldon.runtime.protocol import Protocol
from maldon.web.front import Front


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(address: str, port: int, *, shared: bool = False, stalled_s: float = 60.0) -> socket.socket:
    """A listening socket; a shared one lets other processes of ours listen beside it. Who takes nothing of an answer
    for `stalled_s` is cut off.

    Raises Trouble that names who holds the port.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stalled_s * 1000))
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((address, port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise Trouble(
            f"Port {port} on {address} cannot be had: {_holder(port) or error.strerror}; choose another with --port."
        ) from error
    sock.setblocking(False)
    return sock


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid}) listens there"
    return ""


async def serve(front: Front, sockets: list[socket.socket], head_s: float = 60.0) -> None:
    """Answer until cancelled, whose request's head comes within `head_s`; then finish what is under way, two seconds
    at most.
    """
    config = uvicorn.Config(
        front,
        loop="none",
        http=partial(Protocol, head_s=head_s),  # type: ignore[arg-type] # called as a class is
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        backlog=2048,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=sockets), name="http")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
