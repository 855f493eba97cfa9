"""`maldon run ROLE…`: some roles in this process, over the database and the bus that the settings name."""

import asyncio
import signal
from pathlib import Path

from maldon.runtime.clouds_yaml import clouds_yaml
from maldon.runtime.external import FIRST
from maldon.runtime.first_start import make_accounts, make_resources
from maldon.runtime.home import Home
from maldon.runtime.log import set_up
from maldon.runtime.process import Process, open_process, run, settle_memory, until_ready
from maldon.runtime.roles import choose
from maldon.runtime.settings import Settings, read_settings


def run_roles(path: Path, names: tuple[str, ...], *, simulate: bool, worker: int = 0) -> None:
    """Run until a signal. Raises Trouble when it cannot start.

    Processes may share a home; on other machines they need copies of its secrets.json and fernet-keys.
    A `worker` is a child of such a process, and ends with it: when its standard input does.
    """
    import uvloop

    home = Home(path)
    home.make()
    settings = read_settings(home / "maldon.toml")
    home.keep(simulated=simulate, external_cidr=settings.host.external_cidr or str(FIRST))
    set_up(settings.cloud.log_format, settings.cloud.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(home, settings, names, worker=worker))


async def _run(home: Home, settings: Settings, names: tuple[str, ...], *, worker: int) -> None:
    stop = asyncio.Event()
    if worker:
        asyncio.get_running_loop().add_reader(0, stop.set)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_process(home, settings) as process:
        process.worker = worker
        if "identity-api" in names:
            await make_accounts(process)
            await make_resources(process)
            home.write("clouds.yaml", clouds_yaml(process.auth_url, settings.cloud.region, home.secrets()))
        running = asyncio.create_task(run(process, choose(names, process)), name="roles")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        settling = asyncio.create_task(_settle(process, running), name="memory")
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, settling, running):
            task.cancel()
        await asyncio.gather(running, stopping, settling, return_exceptions=True)


async def _settle(process: Process, running: "asyncio.Task[None]") -> None:
    await until_ready(process, running)
    settle_memory()
