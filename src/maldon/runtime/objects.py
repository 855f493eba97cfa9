"""The object store's roles. `object-storage` opens this node's disks and serves them to other nodes; `object-proxy` is
the public API; `object-workers` starts further processes with those two over the same disks.

Workers share the store's own port (and that of the storage node), each by a socket of its own that the kernel spreads
connections over; the port that all APIs share stays with the first process.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

import structlog

from maldon.kernel.settings import BadSetting
from maldon.objectstore import service as objectstore
from maldon.runtime.home import Trouble
from maldon.runtime.process import Process

NATIVE = 8080
log = structlog.get_logger("process")
PROXY, STORAGE, WORKERS = "object-proxy", "object-storage", "object-workers"
PREFIX = "object-store"


def cluster(process: Process) -> objectstore.Cluster:
    """The process's share of the cluster, opened at the first call. Raises Trouble for bad settings or rings."""
    if process.objects is None:
        try:
            process.objects = objectstore.open_cluster(
                process.home.path, process.settings.object, process.settings.object_parts
            )
        except (BadSetting, objectstore.BadRing) as error:
            raise Trouble(str(error)) from error
    return process.objects


def proxy(process: Process) -> Any:
    """The public API's application."""
    auth_url = f"{process.url}/identity"
    return objectstore.proxy_app(cluster(process), process.verifier, auth_url)


def own_port(process: Process) -> int:
    """The store's port of its own beside the shared one; 0 when it has none."""
    cloud, wanted = process.settings.cloud, process.settings.object
    return wanted.port or (NATIVE if cloud.native_ports or wanted.workers > 1 else 0)


def storage_port(process: Process) -> int | None:
    """Where other nodes find this one's disks; None for a store of one node. Raises Trouble."""
    address = process.settings.object.address
    if not address:
        return None
    _, _, port = address.rpartition(":")
    if not port.isdecimal():
        raise Trouble(f"[object] address wants host:port, not {address!r}.")
    return int(port)


def url(process: Process) -> str:
    """Where clients find the store: on the shared port, unless workers share one of its own."""
    cloud = process.settings.cloud
    if process.settings.object.workers > 1 and not cloud.public_url:
        return f"{process.url.rpartition(':')[0]}:{own_port(process)}"
    return f"{process.url}/{PREFIX}"


def ports(process: Process, proxy_app: Any, *, serves_disks: bool) -> dict[int, Any]:
    """The applications by the ports that are the store's alone."""
    found: dict[int, Any] = {}
    if proxy_app is not None and (own := own_port(process)):
        found[own] = proxy_app
    port = storage_port(process)
    if serves_disks and port is not None:
        found[port] = objectstore.storage_app(cluster(process))
    return found


async def storage(process: Process, started: Callable[[], None]) -> None:
    """This node's disks, until cancelled."""
    async with objectstore.disks(cluster(process)) as loops, asyncio.TaskGroup() as group:
        counting = objectstore.counting(cluster(process), process.worker)
        started()
        group.create_task(_show(counting, process.worker), name="figures")
        await loops()


async def _show(counting: objectstore.Counting, number: int) -> None:
    """The first process shows the figures, the others tell it theirs."""
    if not number:
        with objectstore.shown(counting):
            await asyncio.Event().wait()
    while True:
        await asyncio.sleep(objectstore.WRITE_S)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(counting.write)


async def workers(process: Process, started: Callable[[], None]) -> None:
    """Further processes, each started again when it ends."""
    started()
    async with asyncio.TaskGroup() as group:
        for number in range(1, process.settings.object.workers):
            group.create_task(_worker(process, number), name=f"object worker {number}")


async def _worker(process: Process, number: int) -> None:
    command = (
        sys.executable,
        "-m",
        "maldon.runtime",
        "run",
        "--home",
        str(process.home.path),
        f"--worker={number}",
        PROXY,
        STORAGE,
    )
    environ = os.environ | {
        "MALDON_OBJECT_WORKERS": str(process.settings.object.workers),
        "MALDON_CLOUD_PORT": str(process.settings.cloud.port),
    }
    while True:
        child = await asyncio.create_subprocess_exec(*command, env=environ, stdin=asyncio.subprocess.PIPE)
        try:
            code = await child.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        log.warning("object worker ended, starts again", worker=number, exit_code=code)
        await asyncio.sleep(1)
