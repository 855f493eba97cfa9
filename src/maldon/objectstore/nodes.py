"""The storage nodes of the cluster, as this process reaches them: its own disks in-process, others by HTTP."""

import aiohttp

from maldon.kernel.errors import Unavailable
from maldon.objectstore.proxy.placing import Node
from maldon.objectstore.settings import ObjectSettings
from maldon.objectstore.storage.remote import Remote, open_session


class Nodes:
    """`here` is the address of this node; its disks are served in-process from `open_here` on."""

    def __init__(self, here: str, key: str, settings: ObjectSettings) -> None:
        self.here, self._key, self._settings = here, key, settings
        self._local: Node | None = None
        self._remotes: dict[str, Remote] = {}
        self._session: aiohttp.ClientSession | None = None

    def open_here(self, local: Node | None) -> None:
        """Serve this node's disks from here on, or no more."""
        self._local = local

    @property
    def own(self) -> Node:
        """This node's disks. Raises Unavailable while they are not open."""
        if self._local is None:
            raise Unavailable("", internal="the disks of this node are not open")
        return self._local

    def at(self, address: str) -> Node:
        """The node at an address. Raises Unavailable for a store of one node that is not open yet."""
        if address == self.here and self._local is not None:
            return self._local
        if not address:
            raise Unavailable("", internal="the disks of this node are not open, and it has no address")
        remote = self._remotes.get(address)
        if remote is None:
            remote = self._remotes[address] = Remote(address, self._opened(), self._key, self._settings)
        return remote

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(self._settings.connect_timeout_s, self._settings.node_timeout_s)
        return self._session

    async def close(self) -> None:
        """Let go of every connection."""
        for remote in self._remotes.values():
            remote.close()
        self._remotes.clear()
        session, self._session = self._session, None  # before: whoever asks meanwhile gets another
        if session is not None:
            await session.close()
