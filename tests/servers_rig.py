"""A cloud that can build servers, and hosts whose agents speak the agent protocol over HTTP, one step at a time."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import func, select

from maldon.compute import service as compute
from maldon.compute.models.server import guests, servers
from maldon.compute.routes import SERVICE as COMPUTE
from maldon.compute.verbs.flavor import ensure_flavors
from maldon.image.routes import SERVICE as IMAGE
from maldon.image.service import FileStore, ImageSettings
from maldon.network.models.port import fixed_ips, ports
from maldon.network.routes import SERVICE as NETWORK
from maldon.network.service import NetworkSettings
from maldon.placement import service as placement
from maldon.placement.models.host import claims
from maldon.placement.routes import SERVICE as PLACEMENT
from maldon.ports.agent import DesiredGuest, DesiredGuests, HostReport, JobResult, ObservedGuest
from maldon.ports.hypervisor import Capacity
from maldon.work.models import operations
from maldon.work.sagas import LIVE
from tests.harness import DEMO, Cloud, cloud

BYTES = "application/octet-stream"


@dataclass
class Rig:
    """The cloud under test, an image and a network to build servers from."""

    cloud: Cloud
    image: str = ""
    network: str = ""
    flavor: str = ""

    async def __call__(self, method: str, path: str, json: Any = None, *, who: str = "demo", **headers: str) -> Any:
        """One compute call at the newest microversion, unless a header says another."""
        headers.setdefault("OpenStack_API_Version", "compute 2.96")
        return await self.cloud.as_(who)(method, f"/compute/v2.1{path}", json, **headers)

    def body(self, **more: Any) -> dict[str, Any]:
        """A small server."""
        server = {"name": "s", "imageRef": self.image, "flavorRef": self.flavor, "networks": [{"uuid": self.network}]}
        return {"server": server | more}

    async def create(self, **more: Any) -> str:
        """An accepted server's id."""
        got = await self("POST", "/servers", self.body(**more))
        assert got.status == 202, got.body
        return got.json["server"]["id"]

    async def active(self, host: "Host", **more: Any) -> str:
        """A server that runs."""
        server_id = await self.create(**more)
        await self.run()
        await host.converge()
        assert await self.status(server_id) == "ACTIVE"
        return server_id

    async def run(self, checkpoint: Any = None) -> None:
        """Advance operations until each has ended or waits for a host; what is to be tried again later is."""
        await self.cloud.run_sagas(checkpoint)
        unsettled = select(func.count()).select_from(operations).where(operations.c.state.in_(("running", "undoing")))
        for _ in range(100):
            async with self.cloud.db.read() as session:
                if not await session.scalar(unsettled):
                    return
            self.cloud.clock.advance(0.5)
            await self.cloud.run_sagas(checkpoint)
        raise AssertionError("operations neither end nor wait")

    async def show(self, server_id: str, who: str = "demo", **headers: str) -> dict[str, Any]:
        got = await self("GET", f"/servers/{server_id}", who=who, **headers)
        assert got.status == 200, got.body
        return got.json["server"]

    async def status(self, server_id: str) -> str:
        """The server's status; GONE when there is none."""
        got = await self("GET", f"/servers/{server_id}")
        return got.json["server"]["status"] if got.status == 200 else "GONE"

    async def act(self, server_id: str, action: str, value: Any = None, who: str = "demo", **headers: str) -> Any:
        return await self("POST", f"/servers/{server_id}/action", {action: value}, who=who, **headers)

    async def census(self) -> dict[str, Any]:
        """How much of everything there is."""
        async with self.cloud.db.read() as session:
            live = await session.all(select(servers.c.state, servers.c.task).where(servers.c.deleted_at.is_(None)))
            owned = ports.c.device_owner.like("compute:%")
            addresses = select(func.count()).select_from(fixed_ips.join(ports, ports.c.id == fixed_ips.c.port_id))
            return {
                "servers": sorted((row.state, row.task or "") for row in live),
                "ports": await session.scalar(select(func.count()).select_from(ports).where(owned)),
                "addresses": await session.scalar(addresses.where(owned)),
                "claims": await session.scalar(select(func.count()).select_from(claims)),
                "guests": await session.scalar(select(func.count()).select_from(guests)),
                "live": await session.scalar(
                    select(func.count()).select_from(operations).where(operations.c.state.in_(LIVE))
                ),
                "stuck": await compute.stuck(session),
                "wrong": await placement.audit(session),
            }


@dataclass
class Host:
    """One host's agent with guests of its own making: what a node agent does, without time passing."""

    rig: Rig
    name: str
    who: str = "agent"
    revision: int = 0
    desired: dict[str, DesiredGuest] = field(default_factory=dict)
    there: dict[str, ObservedGuest] = field(default_factory=dict)
    refuse: str = ""

    async def call(self, method: str, path: str = "", body: Any = None, **headers: str) -> Any:
        url = f"/compute/agent/v1/hosts/{self.name}{path}"
        return await self.rig.cloud.as_(self.who)(method, url, msgspec.to_builtins(body), **headers)

    async def report(self, memory_mb: int = 4608, vcpus: int = 4) -> Any:
        return await self.call("POST", "", HostReport(Capacity("fake", 1, vcpus, memory_mb, 40), tunnel_ip="10.9.0.1"))

    async def fetch(self, wait_s: int = 0) -> DesiredGuests:
        got = await self.call("GET", f"/guests?since={self.revision}&wait={wait_s}")
        assert got.status == 200, got.body
        news = msgspec.convert(got.json, DesiredGuests)
        self.revision = news.revision
        for guest in news.guests:
            self.desired[guest.id] = guest
        return news

    async def tell(self, *reports: ObservedGuest) -> None:
        got = await self.call("POST", "/guests", list(reports))
        assert got.status == 204, got.body

    async def converge(self) -> None:
        """Fetch what is wanted, make it so, say so."""
        await self.fetch()
        reports = []
        for guest in [*self.desired.values()]:
            for job in guest.jobs:
                await self.call("POST", f"/jobs/{job.id}", JobResult(f"log of {guest.id}\n" * 3))
            if guest.spec is None:
                self.there.pop(guest.id, None)
                self.desired.pop(guest.id)
                reports.append(ObservedGuest(guest.id, guest.revision, "absent"))
            elif self.refuse:
                reports.append(ObservedGuest(guest.id, guest.revision, "stopped", error=self.refuse))
            else:
                spec = guest.spec
                seen = ObservedGuest(guest.id, guest.revision, spec.power, spec.hard_boots, spec.soft_boots)
                self.there[guest.id] = seen
                reports.append(seen)
        await self.tell(*reports)


@contextlib.asynccontextmanager
async def rig(url: str, tmp_path: Any) -> AsyncIterator[Rig]:
    """A cloud with an active image and a network of the demo project."""
    kit = [
        placement.PlacementSettings(),
        placement.Owners(),
        compute.ComputeSettings(console_wait_s=2.0, wiring_pause_s=0.0),
        compute.WiringBoard(),
        NetworkSettings(),
        ImageSettings(),
        FileStore(tmp_path / "images"),
    ]
    services = [IMAGE, NETWORK, PLACEMENT, COMPUTE]
    async with cloud(url, services, sagas=compute.SAGAS, kit=kit) as made:
        made.kit[type(made.wakes)] = made.wakes
        got = Rig(made)
        await _fill(got)
        yield got


async def _fill(rig: Rig) -> None:
    ask = rig.cloud
    image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    rig.image = (await ask("POST", "/image/v2/images", image)).json["id"]
    await ask("PUT", f"/image/v2/images/{rig.image}/file", body=b"x" * 1000, Content_Type=BYTES)
    rig.network = (await ask("POST", "/network/v2.0/networks", {"network": {"name": "private"}})).json["network"]["id"]
    subnet = {"network_id": rig.network, "ip_version": 4, "cidr": "10.0.0.0/24"}
    got = await ask("POST", "/network/v2.0/subnets", {"subnet": subnet})
    assert got.status == 201, got.body
    await ensure_flavors(ask.op())
    rig.flavor = "42"


__all__ = ["DEMO", "Host", "Rig", "rig"]
