"""`maldon doctor`: the books compared with themselves and with what the nodes really hold.

It needs no running cloud. Each finding is one line; none means that database, guests, wires and processes agree.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from maldon.agents.node.plan import differs, plan_wires
from maldon.compute import service as compute
from maldon.identity import service as identity
from maldon.image import service as image
from maldon.network import service as network
from maldon.placement import service as placement
from maldon.ports.hypervisor import GuestSpec
from maldon.runtime import object_state
from maldon.runtime.home import Home, Trouble
from maldon.runtime.process import Process, open_process
from maldon.runtime.roles import drivers_of, host_names
from maldon.runtime.settings import read_settings


def examine(home: Home) -> list[str]:
    """Every difference, as a sentence. Raises Trouble when there is no cloud in the home."""
    if not (home / "state.json").exists():
        raise Trouble(f"There is no cloud in {home.path}.")
    return [*asyncio.run(_examine(home)), *object_state.findings(home), *object_state.fixable(home)]


def put_right(home: Home) -> Iterator[str]:
    """What was put right."""
    return object_state.fixes(home)


async def _examine(home: Home) -> list[str]:
    settings = read_settings(home / "maldon.toml")
    simulated = bool(home.state().get("simulated"))
    async with open_process(home, settings) as process:
        async with process.db.read() as session:
            findings = [*await compute.audit(session), *await placement.audit(session)]
            findings += await identity.audit(process.op(), session)
        findings += await image.audit(process.op())
        for host in host_names(settings, simulated=simulated):
            hypervisor, switch, here = drivers_of(home, settings, host, simulated=simulated)
            try:
                findings += [f"{host}: {line}" for line in await _host(process, host, hypervisor, switch)]
                findings += [f"{host}: {line}" for line in _processes(here)] if not simulated else []
            finally:
                await hypervisor.close()
                await switch.close()
    return findings


async def _host(process: Process, host: str, hypervisor: Any, switch: Any) -> list[str]:
    op = process.op()
    async with process.db.read() as session:
        guests = (await compute.desired_guests(session, host, 0)).guests
        wiring = await network.wiring(session, op, host)
    seen = await hypervisor.observe()
    wanted = {guest.id: guest.spec for guest in guests}
    findings = [
        f"guest {guest} is there, the books know nothing of it" for guest in sorted(seen.keys() - wanted.keys())
    ]
    for guest, spec in sorted(wanted.items()):
        if spec is None and guest in seen:
            findings.append(f"guest {guest} should be gone and is there")
        elif spec is not None and differs(spec, seen.get(guest)):
            findings.append(f"guest {guest} should be {_state(spec)} and is {_state(seen.get(guest))}")
    stray, missing = plan_wires(wiring, await switch.observe())
    findings += [f"{kind} {item} is wired, the books know nothing of it" for kind, item in stray]
    findings += [
        f"{type(item).__name__.removesuffix('Spec').lower()} {item.id} is not wired as wanted" for item in missing
    ]
    return findings


def _state(guest: Any) -> str:
    """A guest that is wanted or seen, in what can differ."""
    if guest is None:
        return "absent"
    cards = len(guest.nics if isinstance(guest, GuestSpec) else guest.tap_ports)
    return f"{guest.power} after {guest.hard_boots} hard and {guest.soft_boots} soft boots with {cards} network cards"


def _processes(here: Path) -> list[str]:
    """QEMU processes of this host whose guest has no directory any more."""
    findings = []
    for process in psutil.process_iter(["cmdline", "name"]):
        command = " ".join(process.info["cmdline"] or ())
        if not (process.info["name"] or "").startswith("qemu-system") or str(here / "guests") not in command:
            continue
        guests = [path.name for path in (here / "guests").iterdir() if path.is_dir() and path.name in command]
        if not guests:
            findings.append(f"process {process.pid} is a guest without a directory")
    return findings
