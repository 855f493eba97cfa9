"""The node agent: pulls what is wanted of its host, makes it so through the drivers, reports what it sees.

Four loops, each of which reads the world anew: `report` says the host lives; `guests` and `wires` hold a long poll on
the control plane; `watch` converges the guests, at once when there is news and every few seconds for those that shut
down or died by themselves. Guests converge side by side, each behind its own lock, so that a slow one keeps nobody
waiting. The agent has no database and remembers nothing across a restart: drivers find what is there, the control plane
says what is wanted.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from maldon import __version__
from maldon.agents.node.config_drive import write_config_drive
from maldon.agents.node.control import ControlPlane
from maldon.agents.node.images import ImageCache
from maldon.agents.node.metadata_server import MetadataServer
from maldon.agents.node.plan import EnsureGuest, RemoveGuest, items_of, plan_guests, plan_wires, report_of
from maldon.kernel.settings import option
from maldon.ports.agent import DesiredGuest, HostReport, Job, JobResult, ObservedGuest, ObservedWire
from maldon.ports.hypervisor import DriverRefused, GuestFiles, GuestSeen, GuestSpec, Hypervisor
from maldon.ports.switch import Kind, Switch, Wiring, digest

log = structlog.get_logger("agent")
RETRY_S = 1.0
WIRING_S = 0.5  # how long a guest waits for news of its wires before it asks


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How a node works: the section [node]."""

    report_s: float = option(10.0, "Seconds between two reports that the host lives.")
    watch_s: float = option(2.0, "Seconds between two looks at the guests, for those that stopped by themselves.")
    poll_s: int = option(20, "Seconds a long poll on the control plane is held.")
    wire_s: float = option(30.0, "Seconds a guest may wait for its network before its start is given up.")
    parallel: int = option(4, "Guests that are started or stopped at once.")
    tunnel_ip: str = option("127.0.0.1", "Address other nodes send VXLAN packets to.")


@dataclass(slots=True)
class _Known:
    """What the agent knows since its start."""

    revision: int | None = None
    guests: dict[str, DesiredGuest] = field(default_factory=dict)
    told: dict[str, ObservedGuest] = field(default_factory=dict)
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    etag: str = ""
    wiring: Wiring = field(default_factory=Wiring)
    up: frozenset[tuple[Kind, str]] = frozenset()
    told_up: frozenset[tuple[Kind, str]] | None = None


class NodeAgent:
    """The agent of one host."""

    def __init__(
        self,
        host: str,
        control: ControlPlane,
        hypervisor: Hypervisor,
        switch: Switch,
        home: Path,
        settings: NodeSettings,
    ) -> None:
        self.host, self._control, self._hypervisor, self._switch = host, control, hypervisor, switch
        self._settings, self._drives = settings, home / "config-drives"
        self._images = ImageCache(home / "images", control)
        self._metadata = MetadataServer(switch)
        self._known = _Known()
        self._group = asyncio.TaskGroup()
        self._busy: set[str] = set()
        self._slots = asyncio.Semaphore(settings.parallel)
        self._wiring = asyncio.Lock()
        self._look = asyncio.Event()
        self._wired = asyncio.Event()
        self.reported = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; guests and wires stay as they are."""
        try:
            async with self._group as group:
                group.create_task(self._forever(self._report, self._settings.report_s), name=f"{self.host} report")
                await self.reported.wait()  # before that the control plane knows nothing of this host
                for work in (self._pull_wiring, self._pull_guests, self._watch):
                    group.create_task(self._forever(work, 0.0), name=f"{self.host} {work.__name__}")
        finally:
            await self._metadata.close()

    async def _forever(self, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        failures = 0
        while True:
            try:
                await work()
                failures = 0
            except (OSError, DriverRefused) as error:
                failures += 1
                log.info("will try again", host=self.host, what=work.__name__, why=str(error))
            except Exception:
                failures += 1
                log.exception("agent loop failed, goes on", host=self.host, what=work.__name__)
            await asyncio.sleep(min(10.0, 0.2 * 2**failures) if failures else pause_s)

    async def _report(self) -> None:
        report = HostReport(
            await self._hypervisor.capacity(),
            tuple(sorted(self._hypervisor.features)),
            tuple(sorted(self._switch.features)),
            self._settings.tunnel_ip,
            __version__,
        )
        await self._control.report_host(self.host, report)
        self.reported.set()
        self._images.drop_unused(d.spec.image for d in self._known.guests.values() if d.spec and d.spec.image)

    # ------------------------------------------------------------------ wires

    async def _pull_wiring(self) -> None:
        await self._fetch_wiring(self._settings.poll_s if self._known.etag else 0)

    async def _fetch_wiring(self, wait_s: int) -> None:
        """Ask what the wiring is, held back while it is the one we know, and bring it about."""
        wiring, etag = await self._control.wiring(self.host, self._known.etag, wait_s)
        async with self._wiring:
            if wiring is not None:
                self._known.wiring = wiring
            await self._converge_wires()
            self._known.etag = etag  # only now: what failed is asked for again

    async def _converge_wires(self) -> None:
        wiring = self._known.wiring
        stray, missing = plan_wires(wiring, await self._switch.observe())
        refused: Exception | None = None
        for kind, item_id in stray:
            await self._switch.remove(kind, item_id)
        for item in missing:
            try:
                await self._switch.ensure(item)
            except DriverRefused as error:
                refused = error
                log.warning("wiring refused", host=self.host, item=item.id, why=str(error))
        seen = await self._switch.observe() if missing or stray else {k: digest(i) for k, i in items_of(wiring).items()}
        self._known.up = frozenset(key for key, item in items_of(wiring).items() if seen.get(key) == digest(item))
        self._wired.set()
        await self._metadata.serve(wiring, self._known.guests)
        await self._tell_wires(wiring)
        if refused is not None:
            raise refused

    async def _tell_wires(self, wiring: Wiring) -> None:
        known = self._known
        if known.up == known.told_up:
            return
        wires = [ObservedWire("port", port.id, ("port", port.id) in known.up) for port in wiring.ports]
        wires += [ObservedWire("router", router.id, ("router", router.id) in known.up) for router in wiring.routers]
        await self._control.report_wires(self.host, wires)
        known.told_up = known.up

    async def _wait_for_wires(self, spec: GuestSpec) -> None:
        """Return once every tap of the guest is there. Raises OSError after a while."""
        wanted = {("port", nic.port_id) for nic in spec.nics}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.wire_s
        while not wanted <= self._known.up:
            self._wired.clear()
            try:
                async with asyncio.timeout(WIRING_S):
                    await self._wired.wait()  # the poll for the wiring is answered together with that for guests
            except TimeoutError:
                await self._fetch_wiring(0)
            if not wanted <= self._known.up and loop.time() > deadline:
                raise OSError(f"the network ports {sorted(p for _, p in wanted)} did not come up on {self.host}")

    # ------------------------------------------------------------------ guests

    async def _pull_guests(self) -> None:
        known = self._known
        first = known.revision is None
        news = await self._control.guests(self.host, known.revision or 0, 0 if first else self._settings.poll_s)
        jobs = [(guest.id, job) for guest in news.guests for job in guest.jobs]
        for guest in news.guests:
            known.guests[guest.id] = guest
        known.revision = news.revision
        if news.guests:
            await self._metadata.serve(known.wiring, known.guests)
            self._look.set()
        for guest_id, job in jobs:
            await self._answer(guest_id, job)

    async def _watch(self) -> None:
        """Start what is to be done, report the rest, then wait for news or for the time to look again."""
        self._look.clear()
        seen = await self._hypervisor.observe()
        idle = set(self._known.guests)
        for action in plan_guests(self._known.guests, seen):
            if not self._given_up(action):
                idle.discard(action.id)
                if action.id not in self._busy:
                    self._busy.add(action.id)
                    self._group.create_task(self._act(action), name=f"{self.host} guest {action.id}")
        await self._tell_guests(idle - self._busy, seen)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.watch_s):
                await self._look.wait()

    def _given_up(self, action: EnsureGuest | RemoveGuest) -> bool:
        """Whether this very revision was refused for good already."""
        error = self._known.errors.get(action.id)
        return error is not None and error[0] == self._known.guests[action.id].revision

    async def _act(self, action: EnsureGuest | RemoveGuest) -> None:
        """Do one thing and report it; what fails is planned again at the next look."""
        wanted = self._known.guests[action.id]
        try:
            async with self._slots:
                await self._bring_about(action, wanted)
            await self._tell_guests({action.id}, await self._hypervisor.observe())
        except OSError as error:
            log.info("guest will be tried again", host=self.host, guest=action.id, why=str(error))
            await asyncio.sleep(RETRY_S)
        except Exception:
            log.exception("guest failed, will be tried again", host=self.host, guest=action.id)
            await asyncio.sleep(RETRY_S)
        finally:
            self._busy.discard(action.id)
        if self._known.guests.get(action.id) is not wanted:
            self._look.set()  # it changed meanwhile

    async def _bring_about(self, action: EnsureGuest | RemoveGuest, wanted: DesiredGuest) -> None:
        try:
            if isinstance(action, RemoveGuest):
                await self._hypervisor.remove(action.id)
                (self._drives / f"{action.id}.iso").unlink(missing_ok=True)
            else:
                await self._wait_for_wires(action.spec)
                await self._hypervisor.ensure(action.id, action.spec, await self._files(wanted, action.spec))
        except DriverRefused as error:
            self._known.errors[action.id] = (wanted.revision, str(error))
            log.warning("guest refused", host=self.host, guest=action.id, why=str(error))

    async def _files(self, wanted: DesiredGuest, spec: GuestSpec) -> GuestFiles:
        base = drive = None
        if spec.image is not None and "disk-image" in self._hypervisor.features:
            base = await self._images.ensure(spec.image)
        if spec.config_drive and wanted.metadata is not None:
            drive = self._drives / f"{wanted.id}.iso"
            if not drive.exists():
                await asyncio.to_thread(write_config_drive, drive, wanted.id, wanted.metadata)
        is_qcow2 = spec.image is not None and spec.image.disk_format == "qcow2"
        return GuestFiles(base, "qcow2" if is_qcow2 else "raw", drive)

    async def _tell_guests(self, ids: set[str], seen: Mapping[str, GuestSeen]) -> None:
        """Report those guests whose state is not what was reported last."""
        known = self._known
        news = [report for report in self._reports(ids, seen) if known.told.get(report.id) != report]
        if not news:
            return
        await self._control.report_guests(self.host, news)
        for report in news:
            known.told[report.id] = report
            if report.power == "absent" and known.guests[report.id].spec is None:
                del known.guests[report.id], known.told[report.id]
                known.errors.pop(report.id, None)

    def _reports(self, ids: set[str], seen: Mapping[str, GuestSeen]) -> Iterator[ObservedGuest]:
        """What is to be said of guests with nothing left to do, or with a final refusal."""
        for guest in sorted(ids & self._known.guests.keys()):
            wanted = self._known.guests[guest]
            refused_at, error = self._known.errors.get(guest, (-1, ""))
            settled = not plan_guests({guest: wanted}, seen)
            if settled:
                yield report_of(wanted, seen.get(guest), None)
            elif refused_at == wanted.revision:
                yield report_of(wanted, seen.get(guest), error)

    # ------------------------------------------------------------------ jobs

    async def _answer(self, guest: str, job: Job) -> None:
        limit = job.params.get("limit", 65536)
        try:
            text = await self._hypervisor.console_log(guest, int(limit))
            result = JobResult(text.decode("utf-8", errors="replace"))
        except (OSError, DriverRefused) as error:
            result = JobResult(error=str(error))
        await self._control.report_job(self.host, job.id, result)
