"""The room's door: an object store's process.

    cluster = open_cluster(home_path, ObjectSettings())           # the rings, secrets and nodes
    async with disks(cluster) as tend:                            # role object-storage: this node's disks are open
        proxy = proxy_app(cluster, verifier, auth_url)            # role object-proxy: ASGI, the public API
        storage = storage_app(cluster)                            # ASGI, this node's disks for the other nodes
        await tend()                                              # what disks need done, until cancelled

A proxy whose process has not opened the disks of its own address reaches them by HTTP, as it does those of other nodes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path as File
from typing import Any

from maldon.objectstore.books.node import Books
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.daemons.sync_containers import SyncContainers
from maldon.objectstore.daemons.take_stock import TakeStock
from maldon.objectstore.daemons.tend import Tending
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.mounting import prepare
from maldon.objectstore.device.opening import MARK
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.disks import Disk, Disks
from maldon.objectstore.figures import WRITE_S, Counting, shown
from maldon.objectstore.middleware import container_sync
from maldon.objectstore.middleware.chain import LAYERS
from maldon.objectstore.nodes import Nodes
from maldon.objectstore.path import Path
from maldon.objectstore.policies import Policies, read_policies
from maldon.objectstore.proxy.app import Proxy
from maldon.objectstore.proxy.changes import Changes
from maldon.objectstore.proxy.known import Known
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.store import Store, Verifier
from maldon.objectstore.recon.answers import Recon
from maldon.objectstore.recon.held import held_book, held_objects
from maldon.objectstore.recon.passes import Passes
from maldon.objectstore.ring.file import BadRing
from maldon.objectstore.rings import Rings
from maldon.objectstore.secrets import Secrets, read_or_make
from maldon.objectstore.settings import ObjectSettings
from maldon.objectstore.storage.local import Local
from maldon.objectstore.storage.server import DiskPace, StorageServer
from maldon.objectstore.storage.side import Side
from maldon.objectstore.sync.settings import ContainerSyncSettings

SECTIONS: dict[str, type[Any]] = {
    "object": ObjectSettings,
    "object-disk": DeviceSettings,
    "object-books": BookSettings,
    **{f"object-{layer.name}": layer.settings for layer in LAYERS if layer.settings is not None},
}
"""Sections of the settings file."""

__all__ = [
    "SECTIONS", "WRITE_S", "BadRing", "Cluster", "Counting", "ObjectSettings", "counting", "disks", "held_here",
    "open_cluster", "proxy_app", "recon", "shown", "storage_app",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cluster:
    """What proxies, storage nodes and daemons of a process share. `folder` holds the disks and the secrets, `options`
    the settings of the parts by their type.
    """

    folder: File
    settings: ObjectSettings
    secrets: Secrets
    policies: Policies
    rings: Rings
    nodes: Nodes
    options: Mapping[type[Any], Any] = field(default_factory=dict)

    def option(self, kind: type[Any]) -> Any:
        return self.options.get(kind) or kind()

    def device_names(self) -> list[str]:
        """The disks that this node should have: those of its settings, and those that the rings say it has."""
        here = self.settings.address
        return sorted({*self.settings.devices, *(self.rings.devices_at(here) if here else ())})


def open_cluster(home: File, settings: ObjectSettings, options: Mapping[type[Any], Any] | None = None) -> Cluster:
    """Read what is in a home, make what is missing. Raises BadSetting, BadRing."""
    folder = home / "objects"
    secrets = read_or_make(folder / "cluster.json")
    policies = read_policies(settings.policies, settings.default_policy)
    rings = Rings(home / "rings", secrets.path_hash, policies, settings.devices[0], settings.address)
    nodes = Nodes(settings.address, secrets.cluster_key, settings)
    return Cluster(folder, settings, secrets, policies, rings, nodes, options or {})


@contextlib.asynccontextmanager
async def disks(cluster: Cluster) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """This node's disks, open, as many as are there: see `Disks`. Raises NoSpace when there is none."""
    async with contextlib.AsyncExitStack() as stack:
        held = Disks(cluster.device_names, partial(_disk, cluster))
        stack.push_async_callback(held.close)
        await held.open()
        placing = Placing(cluster.rings, cluster.nodes, cluster.settings)
        books = Books(held.shelves, placing)
        local = Local(held.devices, books, cluster.nodes, shared=cluster.settings.workers > 1)
        stack.push_async_callback(local.close)
        cluster.nodes.open_here(local)
        stack.callback(cluster.nodes.open_here, None)
        stack.push_async_callback(cluster.nodes.close)
        syncer = _syncer(cluster, books, placing)

        def tend() -> Awaitable[None]:
            tending = Tending(cluster.folder, books, held.devices, cluster.policies, cluster.settings, syncer)
            return tending.run(_stock(cluster))

        yield partial(held.keep, tend)


def _syncer(cluster: Cluster, books: Books, placing: Placing) -> SyncContainers | None:
    """What pushes to other clusters; it reads objects as their owners do, through all layers."""
    if container_sync.LAYER.name in cluster.settings.without:
        return None
    reader = proxy_app(cluster, None).handler
    return SyncContainers(books, placing, reader, cluster.option(ContainerSyncSettings))


def _stock(cluster: Cluster) -> TakeStock:
    reserve = cluster.option(DeviceSettings).reserve_percent
    return TakeStock(cluster.folder, cluster.device_names, reserve, Passes(cluster.folder))


@contextlib.asynccontextmanager
async def _disk(cluster: Cluster, name: str) -> AsyncIterator[Disk]:
    root, hashed = await asyncio.to_thread(prepare, cluster.folder, name), cluster.secrets.path_hash
    device = Device(root, cluster.option(DeviceSettings), hashed)
    shelf = Shelf(root, cluster.option(BookSettings), hashed)
    await device.open()
    try:
        yield Disk(device, shelf)
    finally:
        shelf.close()
        await device.close()


def proxy_app(cluster: Cluster, verifier: Verifier | None, auth_url: str = "") -> Proxy:
    """The public API."""
    placing = Placing(cluster.rings, cluster.nodes, cluster.settings)
    known = Known(placing, cluster.settings, Changes(cluster.folder / "changes"))
    parts = (cluster.settings, cluster.policies, placing, known, verifier, auth_url, cluster.options)
    return Proxy(Store(*parts, recon(cluster)))


def storage_app(cluster: Cluster) -> StorageServer:
    """This node's disks, for other nodes."""
    key, settings = cluster.secrets.cluster_key, cluster.settings
    side = Side(cluster.folder, cluster.rings, recon(cluster), key)
    return StorageServer(cluster.nodes, key, settings.client_timeout_s, side, DiskPace(settings.requests_per_disk_s))


def counting(cluster: Cluster, number: int) -> Counting:
    """The figures of this process, whose disks are open: the node's first one, or the worker of that number."""
    return Counting(cluster.folder, cluster.nodes.own.devices, number)  # type: ignore[attr-defined]


def held_here(cluster: Cluster, path: Path, policies: Sequence[int]) -> list[tuple[str, dict[str, Any]]]:
    """What the disks of this node hold of a thing, each by the disk's name, whether or not a process serves them."""
    found: list[tuple[str, dict[str, Any]]] = []
    for name in cluster.device_names():
        root = cluster.folder / name
        if not (root / MARK).exists():
            continue
        if path.object:
            hashed = cluster.secrets.path_hash(path)
            found += [
                (name, {"policy": policy, **one}) for policy in policies for one in held_objects(root, policy, hashed)
            ]
        else:
            book = held_book(root, cluster.rings, path)
            found += [] if book is None else [(name, book)]
    return found


def recon(cluster: Cluster) -> Recon:
    """What this node says of itself."""
    reserve = cluster.option(DeviceSettings).reserve_percent
    return Recon(cluster.folder, cluster.device_names, cluster.rings, cluster.policies, cluster.settings, reserve)
