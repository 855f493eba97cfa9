"""The roles by name: each is a function that runs until it is stopped.

`identity-api`, `image-api`, `network-api`, `placement-api`, `compute-api` and `object-proxy` answer on the HTTP front
that their process shares; `object-storage` serves this node's disks, `object-workers` starts more processes over them;
`worker` advances operations and runs the services' loops; `notifier` tells the bus what happened; `node-agent` makes
this machine a node of the cloud.
"""

import asyncio
import hashlib
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from maldon.agents.node.agent import NodeAgent
from maldon.agents.node.control import ControlPlane
from maldon.compute import service as compute
from maldon.identity import service as identity
from maldon.image import service as image
from maldon.network import service as network
from maldon.ports.switch import ExternalLink
from maldon.runtime import objects
from maldon.runtime.home import Home, Trouble
from maldon.runtime.process import SERVICES, Process, Role, driver
from maldon.runtime.serve import bind, serve
from maldon.runtime.settings import Settings
from maldon.web.app import App
from maldon.web.front import Front
from maldon.work.loops import Loop, run_loop, run_worker
from maldon.work.outbox import send_notifications
from maldon.work.runner import Runner

Started = Callable[[], None]
HTTP = "http"


def choose(names: Iterable[str], process: Process) -> Mapping[str, Role]:
    """The roles of these names, ready to run. Raises Trouble for an unknown name or a port that is taken."""
    names = list(names)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise Trouble(f"There is no role {unknown[0]!r}; there are {', '.join(NAMES)}.")
    roles: dict[str, Role] = {name: _OTHERS[name] for name in names if name in _OTHERS}
    apis = [name for name in names if name in SERVICES or name == objects.PROXY]
    if apis or (objects.STORAGE in names and objects.storage_port(process)):
        roles = {**_http(apis or [HTTP], process, serves_disks=objects.STORAGE in names), **roles}
    if process.settings.cloud.bus:
        roles["wakes"] = _wakes
    return roles


def _http(apis: list[str], process: Process, *, serves_disks: bool) -> dict[str, Role]:
    """One front for all the APIs of the process; it runs as the first of them, the others are there with it."""
    cloud, around = process.settings.cloud, process.surroundings()
    services = [SERVICES[name] for name in apis if name in SERVICES]
    by_prefix: dict[str, Any] = {service.prefix.strip("/"): App(service, around) for service in services}
    by_port: dict[int, Any] = {}
    if cloud.native_ports:
        by_port = {service.port: by_prefix[service.prefix.strip("/")] for service in services}
    patience = cloud.client_timeout_s
    shared_ports = () if process.worker else (cloud.port, *by_port)
    sockets = [bind(cloud.listen, port, stalled_s=patience) for port in shared_ports]
    if objects.PROXY in apis:
        by_prefix[objects.PREFIX] = objects.proxy(process)
    for port, app in objects.ports(process, by_prefix.get(objects.PREFIX), serves_disks=serves_disks).items():
        by_port[port] = app
        sockets.append(bind(cloud.listen, port, shared=process.settings.object.workers > 1, stalled_s=patience))
    front = Front(by_prefix, by_port, process.problems)
    serving = asyncio.Event()

    async def first(_process: Process, started: Started) -> None:
        serving.set()
        started()
        await serve(front, sockets, patience)

    async def along(_process: Process, started: Started) -> None:
        await serving.wait()
        started()
        await asyncio.Event().wait()

    return {name: first if n == 0 else along for n, name in enumerate(apis)}


async def _worker(process: Process, started: Started) -> None:
    op = process.op()
    started()
    runner = Runner(op, compute.SAGAS)
    loops = [
        image.reap_uploads(op),
        Loop("place_routers", partial(network.place_routers, op), 10.0, (network.WIRING_TOPIC,)),
        Loop(
            "directories", partial(identity.look_everywhere, op), float(process.settings.identity.directory_refresh_s)
        ),
        *compute.loops(op),
    ]
    async with asyncio.TaskGroup() as group:
        group.create_task(run_worker(runner, process.wakes), name="operations")
        for loop in loops:
            group.create_task(run_loop(loop, process.wakes), name=loop.name)


async def _notifier(process: Process, started: Started) -> None:
    async def once() -> None:
        while await send_notifications(process.op(), process.bus):
            pass

    started()
    await run_loop(Loop("notifications", once, 1.0), process.wakes)


async def _wakes(process: Process, started: Started) -> None:
    started()
    async with asyncio.TaskGroup() as group:
        group.create_task(process.wakes.forward(), name="wakes out")
        group.create_task(process.wakes.receive(), name="wakes in")


def node_name(home: Home) -> str:
    """A short name for this home's node, unique on the machine."""
    return f"n{hashlib.sha256(str(home.path).encode()).hexdigest()[:6]}"


def host_names(settings: Settings, *, simulated: bool) -> list[str]:
    """The hosts that this machine is in the cloud."""
    if simulated:
        return [f"sim-{n + 1}" for n in range(settings.host.simulated)]
    return [settings.host.name or socket.gethostname()]


def drivers_of(home: Home, settings: Settings, host: str, *, simulated: bool) -> tuple[Any, Any, Path]:
    """Hypervisor and switch of one host, and the host's directory."""
    here = home / "nodes" / host
    here.mkdir(parents=True, exist_ok=True)
    hypervisor = driver("hypervisor", "fake" if simulated else settings.host.hypervisor)
    switch = driver("switch", "fake" if simulated else settings.host.switch)(here / "switch", node_name(home))
    return hypervisor(here / "guests", switch.guest_command), switch, here


def lacking(settings: Settings) -> str | None:
    """What this machine lacks to be a node: one sentence, or None."""
    for kind, name in (("switch", settings.host.switch), ("hypervisor", settings.host.hypervisor)):
        sentence: str | None = driver(kind, name).missing()
        if sentence:
            return sentence
    return None


async def _node_agent(process: Process, started: Started) -> None:
    home, settings, state = process.home, process.settings, process.home.state()
    simulated = bool(state.get("simulated"))
    control = ControlPlane(process.auth_url, "node", home.secrets()["node"])
    link = external_link(settings, state["external_cidr"])
    agents, opened = [], []
    for host in host_names(settings, simulated=simulated):
        hypervisor, switch, here = drivers_of(home, settings, host, simulated=simulated)
        await switch.start(link)
        opened += [hypervisor, switch]
        agents.append(NodeAgent(host, control, hypervisor, switch, here, settings.node))
    try:
        async with asyncio.TaskGroup() as group:
            for agent in agents:
                group.create_task(agent.run(), name=f"agent {agent.host}")
            for agent in agents:
                await agent.reported.wait()
            started()
    finally:
        for one in opened:
            await one.close()
        await control.close()


def external_link(settings: Settings, cidr: str) -> ExternalLink:
    """The host's end of the external network: the first address of its range."""
    import ipaddress

    network_of = ipaddress.ip_network(cidr)
    return ExternalLink((f"{network_of[1]}/{network_of.prefixlen}",), settings.host.external_namespace or None)


_OTHERS: dict[str, Role] = {
    objects.STORAGE: objects.storage,
    objects.WORKERS: objects.workers,
    "worker": _worker,
    "notifier": _notifier,
    "node-agent": _node_agent,
}
NAMES = (*SERVICES, objects.PROXY, *_OTHERS)
