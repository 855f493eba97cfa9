"""Several storage nodes in this process, each with a disk and a real socket, and a proxy beside each of them.

A node may be stopped and started; its disk stays. Rings place every replica on a node of its own.
"""

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maldon.objectstore.coding.code import read_code
from maldon.objectstore.ring.builder import Plan, rebalance
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import write
from maldon.objectstore.service import Cluster, ObjectSettings, disks, open_cluster, proxy_app, storage_app
from maldon.runtime.serve import bind, serve
from maldon.web.front import Front
from tests.object_cloud import Asker, Tokens
from tests.servers import held_port


@dataclass
class Node:
    """One of them. `cluster` is there while it runs."""

    home: Path
    address: str
    options: tuple[Any, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    cluster: Cluster | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self, *, tends: bool = False) -> None:
        """`tends`: with its loops; without them a test calls those that it wants."""
        settings = ObjectSettings(address=self.address, known_s=0.0, connect_timeout_s=2.0, **self.settings)
        self.cluster = open_cluster(self.home, settings, {type(chosen): chosen for chosen in self.options})
        loops = await self._stack.enter_async_context(disks(self.cluster))
        if tends:
            self._stack.push_async_callback(_end, asyncio.create_task(_run(loops)))
        host, _, port = self.address.partition(":")
        front = Front({}, {int(port): storage_app(self.cluster)}, dict)
        serving = asyncio.create_task(serve(front, [bind(host, int(port), shared=True)]))
        self._stack.push_async_callback(_end, serving)

    async def stop(self) -> None:
        await self._stack.aclose()
        self.cluster = None

    def asker(self) -> Asker:
        assert self.cluster is not None
        return Asker(proxy_app(self.cluster, Tokens()))


async def _run(loops: Callable[[], Awaitable[None]]) -> None:
    await loops()


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def write_rings(nodes: list[Node], replicas: int, *names: str) -> None:
    """The same rings for all, over all of their disks."""
    devices = tuple(RingDevice(n, 1, n, node.address, "disk-1", 1.0) for n, node in enumerate(nodes))
    plan = rebalance(Plan(4, replicas, devices=devices), 1, random.Random(1)).plan
    for node in nodes:
        for name in names or ("account", "container", "object"):
            write(node.home / "rings" / f"{name}.ring", plan)


@contextlib.asynccontextmanager
async def object_cluster(
    folder: Path, count: int = 3, replicas: int = 3, options: tuple[Any, ...] = (), code: str = "", **settings: Any
) -> AsyncIterator[list[Node]]:
    """Nodes that run and know each other; `options` are settings of layers. With a `code` (isa_l_rs_vand/2+1) that is
    what containers get that ask for nothing else, and a node has one fragment of an object at most.
    """
    if code:
        settings |= {"policies": ("0:whole", f"1:coded:ec={code}"), "default_policy": "coded"}
    held = [held_port() for _ in range(count)]  # while a node is stopped, nobody else gets its address
    nodes = [
        Node(folder / f"n{n}", f"127.0.0.1:{port.getsockname()[1]}", options, settings) for n, port in enumerate(held)
    ]
    write_rings(nodes, replicas)
    if code:
        write_rings(nodes, read_code(code).fragments, "object-1")
    open_cluster(nodes[0].home, ObjectSettings())  # makes the secrets that the others get copies of
    for node in nodes[1:]:
        (node.home / "objects").mkdir(parents=True)
        shutil.copy(nodes[0].home / "objects" / "cluster.json", node.home / "objects")
    try:
        for node in nodes:
            await node.start()
        yield nodes
    finally:
        for node in nodes:
            await node.stop()
        for port in held:
            port.close()
