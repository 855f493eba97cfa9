"""The metadata service of one node: HTTP on 169.254.169.254 in the namespace of every network it carries.

A guest is known by the network it asks from and its source address, which anti-spoofing vouches for. What it is told
comes from its desired state and the node's wiring, so it is answered while the control plane is away.
"""

import asyncio
from collections.abc import Mapping

import structlog
from aiohttp import web

from maldon.agents.node.metadata import Wired, answer
from maldon.ports.agent import DesiredGuest
from maldon.ports.switch import PortFacts, Switch, Wiring

log = structlog.get_logger("metadata")
_BySource = dict[tuple[str, str], tuple[DesiredGuest, Wired]]


class MetadataServer:
    """Serves the networks and guests it was last told of."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._runners: dict[str, web.ServerRunner] = {}
        self._guests: _BySource = {}
        self._changing = asyncio.Lock()

    async def serve(self, wiring: Wiring, guests: Mapping[str, DesiredGuest]) -> None:
        """Serve these networks' guests from now on."""
        self._guests = _by_source(wiring, guests)
        if "metadata" not in self._switch.features:
            return
        wanted = {network.id for network in wiring.networks if network.dhcp}
        async with self._changing:
            for network in self._runners.keys() - wanted:
                await self._runners.pop(network).cleanup()
            for network in wanted - self._runners.keys():
                try:
                    await self._listen(network)
                except OSError as error:
                    log.warning("no metadata service yet", network=network, why=str(error))

    async def _listen(self, network: str) -> None:
        socket = await self._switch.metadata_socket(network)

        async def respond(request: web.BaseRequest) -> web.Response:
            return self._respond(network, request)

        runner = web.ServerRunner(web.Server(respond), handle_signals=False)
        await runner.setup()
        await web.SockSite(runner, socket).start()
        self._runners[network] = runner

    def _respond(self, network: str, request: web.BaseRequest) -> web.Response:
        guest, wired = self._guests.get((network, request.remote or ""), (None, Wired()))
        if guest is None or guest.metadata is None or request.method not in {"GET", "HEAD"}:
            return web.Response(status=404, text="404 Not Found\n")
        body = answer(request.path, guest.id, guest.metadata, wired)
        if body is None:
            return web.Response(status=404, text="404 Not Found\n")
        kind = "application/json" if request.path.endswith(".json") else "text/plain"
        return web.Response(body=body, content_type=kind)

    async def close(self) -> None:
        for runner in self._runners.values():
            await runner.cleanup()
        self._runners.clear()


def _by_source(wiring: Wiring, guests: Mapping[str, DesiredGuest]) -> _BySource:
    """Who asks from an address of a network, and what its ports make of it."""
    ports, facts = {port.id: port for port in wiring.ports}, {told.port_id: told for told in wiring.facts}
    found: _BySource = {}
    for guest in guests.values():
        mine = [ports[nic.port_id] for nic in (guest.spec.nics if guest.spec else ()) if nic.port_id in ports]
        told = [facts.get(port.id, PortFacts(port.id)) for port in mine]
        wired = Wired(
            tuple(address for port in mine for address in port.addresses),
            tuple(address for one in told for address in one.floating),
            tuple(dict.fromkeys(name for one in told for name in one.groups)),
        )
        found |= {(port.network_id, address): (guest, wired) for port in mine for address in port.addresses}
    return found
