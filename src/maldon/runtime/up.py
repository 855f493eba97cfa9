"""`maldon up`: all roles in this process, a short report while it starts, then the log."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace

from rich.console import Console

from maldon.runtime.clouds_yaml import clouds_yaml
from maldon.runtime.external import choose_range
from maldon.runtime.first_start import make_accounts, make_resources
from maldon.runtime.home import Home, Trouble
from maldon.runtime.log import set_up
from maldon.runtime.process import open_process, run, run_record, settle_memory, until_ready
from maldon.runtime.roles import NAMES, choose, lacking
from maldon.runtime.settings import Settings, read_settings
from maldon.runtime.wanted import Wanted
from maldon.work.runner import release_leases


class Report:
    """The live report of a start: one line per step with the time it took."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self.begun = self._last = time.monotonic()

    def step(self, text: str) -> None:
        now = time.monotonic()
        self._console.print(f"  [green]✓[/] {text} [dim]{now - self._last:.2f} s[/]", soft_wrap=True)
        self._last = now

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def settings_for(home: Home, wanted: Wanted) -> Settings:
    """The settings with the command line's choices on top."""
    settings = read_settings(home / "maldon.toml")
    if wanted.port is not None:
        settings = replace(settings, cloud=replace(settings.cloud, port=wanted.port))
    if wanted.workers is not None:
        settings = replace(settings, object=replace(settings.object, workers=wanted.workers))
    if wanted.hosts is not None:
        settings = replace(settings, host=replace(settings.host, simulated=wanted.hosts))
    return settings


def up(wanted: Wanted) -> None:
    """Run the cloud until a signal. Raises Trouble when it cannot start."""
    import uvloop

    home = Home(wanted.home)
    home.make()
    home.lock()  # held until this process ends
    settings = settings_for(home, wanted)
    state = _decide(home, settings, wanted)
    set_up(settings.cloud.log_format, settings.cloud.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_up(home, settings, wanted, simulated=bool(state["simulated"])))


def _decide(home: Home, settings: Settings, wanted: Wanted) -> dict[str, object]:
    """What is chosen once for a home."""
    state = home.state()
    simulated = bool(state.get("simulated", wanted.simulate))
    if wanted.simulate and not simulated:
        raise Trouble(f"The cloud in {home.path} is a real one; give --simulate another --home.")
    if not simulated and (sentence := lacking(settings)):
        raise Trouble(f"{sentence} Or try the cloud without guests: maldon up --simulate.")
    if "external_cidr" not in state:
        shared = not simulated and not settings.host.external_namespace
        cidr = settings.host.external_cidr or choose_range(home.path, shared=shared)
        state = home.keep(simulated=simulated, external_cidr=cidr)
    return state


async def _up(home: Home, settings: Settings, wanted: Wanted, *, simulated: bool) -> None:
    report = Report()
    report.say(f"[bold]Maldon[/] in {home.path}" + (" (simulated)" if simulated else ""))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_process(home, settings) as process:
        report.step("database")
        await make_accounts(process)
        home.write("clouds.yaml", clouds_yaml(process.auth_url, settings.cloud.region, home.secrets()))
        report.step("accounts and catalog")
        roles = choose(NAMES, process)
        await make_resources(process)
        report.step("image, flavors, networks")
        if not settings.cloud.database:  # it is ours alone: whoever held an operation died with the process before us
            await release_leases(process.db)
        home.write_json("run.json", run_record(process, roles))
        running = asyncio.create_task(run(process, roles), name="roles")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await until_ready(process, running)
            report.step(f"APIs at {process.url}")
            settle_memory()
            _welcome(report, home)
            if wanted.ready_fd is not None:
                os.write(wanted.ready_fd, b"ready\n")
                os.close(wanted.ready_fd)
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, stopping):
                task.cancel()
            await asyncio.gather(running, stopping, return_exceptions=True)
            (home / "run.json").unlink(missing_ok=True)
        if running.done() and not running.cancelled() and running.exception() is not None:
            raise running.exception() or AssertionError
    report.say("stopped; guests run on" if not simulated else "stopped")


def _welcome(report: Report, home: Home) -> None:
    report.say(f"[bold]ready[/] after {time.monotonic() - report.begun:.1f} s")
    report.say(f"  export OS_CLIENT_CONFIG_FILE={home / 'clouds.yaml'} OS_CLOUD=maldon")
    report.say("  openstack server create --image maldon-guest --flavor m1.nano --network private --wait first")
    report.say(f"  stop: Ctrl-C, or maldon down --home {home.path} (guests run on)")
    sys.stdout.flush()
