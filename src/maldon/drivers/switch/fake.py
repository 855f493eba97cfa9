"""The fake switch: keeps the books of a node's wires without wires.

It refuses what the real one refuses and forgets nothing over a restart: its items are one file under its home. Cheap
enough for a hundred nodes in one process.
"""

import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from maldon.drivers.switch.items import networks_of
from maldon.ports.switch import ExternalLink, Item, Kind, NetworkSpec, digest, kind_of


class FakeSwitch:
    """The wires of one node, imagined."""

    features = frozenset({"filter", "dhcp", "route", "metadata"})

    def __init__(self, home: Path, node: str) -> None:
        self.node = node
        self._file = home / "wiring.json"
        self._items: dict[tuple[Kind, str], Item] = {}
        self._digests: dict[tuple[Kind, str], str] = {}
        if self._file.exists():
            items = msgspec.json.decode(self._file.read_bytes(), type=list[Item])
            self._items = {(kind_of(item), item.id): item for item in items}
            self._digests = {key: digest(item) for key, item in self._items.items()}

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: it runs anywhere."""
        return None

    async def start(self, external: ExternalLink) -> None:  # noqa: ARG002 - there is no host to meet
        self._file.parent.mkdir(parents=True, exist_ok=True)

    async def ensure(self, item: Item) -> None:
        for network_id in networks_of(item):
            if ("network", network_id) not in self._items:
                raise OSError(f"network {network_id} is not on this node yet")
        key = kind_of(item), item.id
        self._items[key], self._digests[key] = item, digest(item)
        self._save()

    async def remove(self, kind: Kind, item_id: str) -> None:
        if self._items.pop((kind, item_id), None) is not None:
            del self._digests[kind, item_id]
            self._save()

    async def observe(self) -> Mapping[tuple[Kind, str], str]:
        return {key: self._digests[key] if self._complete(item) else "" for key, item in self._items.items()}

    async def metadata_socket(self, network_id: str) -> socket.socket:
        network = self._items.get(("network", network_id))
        if not isinstance(network, NetworkSpec) or network.dhcp is None:
            raise OSError(f"network {network_id} has no DHCP namespace on this node")
        made = socket.create_server(("127.0.0.1", 0))
        made.setblocking(False)
        return made

    def guest_command(self, command: list[str]) -> list[str]:
        return command

    async def destroy(self) -> None:
        self._items.clear()
        self._digests.clear()
        shutil.rmtree(self._file.parent, ignore_errors=True)

    async def close(self) -> None:
        """Nothing is held."""

    def _complete(self, item: Item) -> bool:
        return all(("network", network_id) in self._items for network_id in networks_of(item))

    def _save(self) -> None:
        with open(f"{self._file}.new", "wb", buffering=0) as file:  # noqa: PTH123 (a Path costs as much as the write)
            file.write(msgspec.json.encode(list(self._items.values())))
        os.replace(f"{self._file}.new", self._file)  # noqa: PTH105 (the same)
