"""`maldon down`: stop the process; with --purge also take away guests, wires and files."""

import asyncio
import contextlib
import os
import shutil
import signal

import psutil

from maldon.runtime.external import release_range
from maldon.runtime.home import Home, Trouble
from maldon.runtime.roles import drivers_of
from maldon.runtime.settings import read_settings

PATIENCE_S = 20.0


def down(home: Home, *, purge: bool) -> str:
    """Stop what runs; what was done, as a sentence. Raises Trouble when it does not stop."""
    if not home.path.is_dir():
        raise Trouble(f"There is no cloud in {home.path}.")
    stopped = _stop(home)
    if not purge:
        return "stopped; guests run on" if stopped else f"nothing ran in {home.path}"
    held = home.lock()
    try:
        asyncio.run(_purge(home))
        if not home.state().get("simulated"):
            release_range(home.path)
        shutil.rmtree(home.path)
    finally:
        os.close(held)
    return "stopped and purged"


def _stop(home: Home) -> bool:
    run = home.running()
    if run is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(run["pid"])
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except psutil.TimeoutExpired:
            raise Trouble(f"Process {run['pid']} does not stop; its log is {home / 'maldon.log'}.") from None
    return True


async def _purge(home: Home) -> None:
    """Take away everything the home's nodes hold."""
    settings, simulated = read_settings(home / "maldon.toml"), bool(home.state().get("simulated"))
    nodes = home / "nodes"
    for host in sorted(path.name for path in nodes.iterdir()) if nodes.is_dir() else []:
        hypervisor, switch, _ = drivers_of(home, settings, host, simulated=simulated)
        for guest in await hypervisor.observe():
            await hypervisor.remove(guest)
        await switch.destroy()
        await hypervisor.close()
        await switch.close()
