"""The room's door: an object store's process.

    cluster = open_cluster(home_path, ObjectSettings())           # the rings, secrets and nodes
    async with disks(cluster) as tend:                            # role object-storage: this node's disks are open
        proxy = proxy_app(cluster, verifier, auth_url)            # role object-proxy: ASGI, the public API
        storage = storage_app(cluster)                            # ASGI, this node's disks for the other nodes
        await tend()                                              # what disks need done, until cancelled

A proxy whose process has not opened the disks of its own address reaches them by HTTP, as it does those of other nodes.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maldon.objectstore.books.node import Books
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.daemons.sync_containers import SyncContainers
from maldon.objectstore.daemons.tend import Tending
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.opening import format_device
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.middleware import container_sync
from maldon.objectstore.middleware.chain import LAYERS
from maldon.objectstore.nodes import Nodes
from maldon.objectstore.policies import Policies, read_policies
from maldon.objectstore.proxy.app import Proxy
from maldon.objectstore.proxy.changes import Changes
from maldon.objectstore.proxy.known import Known
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.store import Store, Verifier
from maldon.objectstore.ring.file import BadRing
from maldon.objectstore.rings import Rings
from maldon.objectstore.secrets import Secrets, read_or_make
from maldon.objectstore.settings import ObjectSettings
from maldon.objectstore.storage.local import Local
from maldon.objectstore.storage.server import StorageServer
from maldon.objectstore.sync.settings import ContainerSyncSettings

SECTIONS: dict[str, type[Any]] = {
    "object": ObjectSettings,
    "object-disk": DeviceSettings,
    "object-books": BookSettings,
    **{f"object-{layer.name}": layer.settings for layer in LAYERS if layer.settings is not None},
}
"""Sections of the settings file."""

__all__ = [
    "SECTIONS", "BadRing", "Cluster", "ObjectSettings", "disks", "open_cluster", "proxy_app", "storage_app",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cluster:
    """What proxies, storage nodes and daemons of a process share. `folder` holds the disks and the secrets, `options`
    the settings of the parts by their type.
    """

    folder: Path
    settings: ObjectSettings
    secrets: Secrets
    policies: Policies
    rings: Rings
    nodes: Nodes
    options: Mapping[type[Any], Any] = field(default_factory=dict)

    def option(self, kind: type[Any]) -> Any:
        return self.options.get(kind) or kind()


def open_cluster(home: Path, settings: ObjectSettings, options: Mapping[type[Any], Any] | None = None) -> Cluster:
    """Read what is in a home, make what is missing. Raises BadSetting, BadRing."""
    folder = home / "objects"
    secrets = read_or_make(folder / "cluster.json")
    policies = read_policies(settings.policies, settings.default_policy)
    rings = Rings(home / "rings", secrets.path_hash, policies, settings.devices[0], settings.address)
    nodes = Nodes(settings.address, secrets.cluster_key, settings)
    return Cluster(folder, settings, secrets, policies, rings, nodes, options or {})


@contextlib.asynccontextmanager
async def disks(cluster: Cluster) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """This node's disks, open. A directory that is not there is made; a mount that is missing must be made by hand, so
    that nothing is ever written beside it: see `format_device`.
    """
    async with contextlib.AsyncExitStack() as stack:
        devices, shelves = {}, {}
        for name in cluster.settings.devices:
            devices[name], shelves[name] = await stack.enter_async_context(_disk(cluster, name))
        placing = Placing(cluster.rings, cluster.nodes, cluster.settings)
        books = Books(shelves, placing)
        cluster.nodes.open_here(Local(devices, books, cluster.nodes))
        stack.callback(cluster.nodes.open_here, None)
        stack.push_async_callback(cluster.nodes.close)
        syncer = _syncer(cluster, books, placing)
        yield Tending(cluster.folder, books, devices, cluster.policies, cluster.settings, syncer).run


def _syncer(cluster: Cluster, books: Books, placing: Placing) -> SyncContainers | None:
    """What pushes to other clusters; it reads objects as their owners do, through all layers."""
    if container_sync.LAYER.name in cluster.settings.without:
        return None
    reader = proxy_app(cluster, None).handler
    return SyncContainers(books, placing, reader, cluster.option(ContainerSyncSettings))


@contextlib.asynccontextmanager
async def _disk(cluster: Cluster, name: str) -> AsyncIterator[tuple[Device, Shelf]]:
    root, hashed = cluster.folder / name, cluster.secrets.path_hash
    if not root.exists():
        root.mkdir(parents=True)
        format_device(root)
    device = Device(root, cluster.option(DeviceSettings), hashed)
    shelf = Shelf(root, cluster.option(BookSettings), hashed)
    await device.open()
    try:
        yield device, shelf
    finally:
        shelf.close()
        await device.close()


def proxy_app(cluster: Cluster, verifier: Verifier | None, auth_url: str = "") -> Proxy:
    """The public API."""
    placing = Placing(cluster.rings, cluster.nodes, cluster.settings)
    known = Known(placing, cluster.settings, Changes(cluster.folder / "changes"))
    return Proxy(Store(cluster.settings, cluster.policies, placing, known, verifier, auth_url, cluster.options))


def storage_app(cluster: Cluster) -> StorageServer:
    """This node's disks, for other nodes."""
    return StorageServer(cluster.nodes, cluster.secrets.cluster_key, cluster.settings.client_timeout_s)
