"""Guests as plain QEMU processes, spoken to over QMP; KVM where it works, software emulation elsewhere.

A guest is a directory `home/<uuid>/`: root.qcow2, console.log, config.iso, state.json, qmp.sock, pid, qemu.log. QEMU
is a daemon of its own session: it outlives the agent, and the next agent finds it by its command line (`processes`).
What was decided before a death is in state.json (`state`); so every verb may be interrupted anywhere and repeated.

One lock for each guest: verbs about one guest queue up, different guests go side by side. A changed size of a spec
takes effect at the guest's next start. The driver keeps no connection and no task between calls.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
import structlog

from maldon.drivers.hypervisor import command, console, disk, host, probe, processes, qmp, state
from maldon.drivers.hypervisor.lock import give_back, take
from maldon.drivers.hypervisor.names import GUEST, check_name
from maldon.drivers.hypervisor.outside import in_thread, run
from maldon.drivers.hypervisor.state import Boots, State
from maldon.ports.hypervisor import Capacity, GuestFiles, GuestSeen, GuestSpec

log = structlog.get_logger(__name__)


class QemuHypervisor:
    """`home` holds the guests; `guest_command` wraps a command line so that it runs where the taps are."""

    features = frozenset({"console-log", "config-drive", "disk-image", "soft-reboot"})

    powerdown_s = 20.0
    """How long a guest may take to shut down before its plug is pulled."""
    start_s = 30.0
    """How long QEMU may take until it answers."""
    unplug_s = 10.0
    """How long a guest may take to let go of a network card."""
    exit_s = 10.0
    """How long QEMU may take to end."""
    console_limit = 16 * 1024**2
    """A console log that outgrows this is cut to its end."""

    def __init__(self, home: Path, guest_command: Callable[[list[str]], list[str]]) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home.resolve()
        self._guest_command = guest_command
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._before: dict[str, GuestSeen] = {}
        self._disk_jobs = asyncio.Semaphore(2)
        self._looks = asyncio.Semaphore(16)
        self._probing = asyncio.Lock()
        self._known: command.Abilities | None = None

    @classmethod
    def missing(cls) -> str | None:
        """What this host lacks to run guests, in one sentence."""
        if shutil.which(command.BINARY) and shutil.which("qemu-img"):
            return None
        return "QEMU is not installed: install the packages qemu-system-x86 and qemu-utils"

    async def capacity(self) -> Capacity:
        known = await self._abilities()
        return await in_thread(host.capacity, self.home, "KVM" if known.accel == "kvm" else "QEMU", known.version)

    async def ensure(self, guest: str, spec: GuestSpec, files: GuestFiles) -> None:
        command.check(spec)
        directory = self._directory(guest)
        await in_thread(directory.mkdir, mode=0o700, exist_ok=True)
        async with self._at_work(guest):
            known = await in_thread(state.read, directory)
            if known is None:
                self._before[guest] = GuestSeen("stopped")
                known = await self._create(directory, spec, files)
            running = await self._is_running(guest, known)
            self._before.setdefault(guest, known.seen(alive=running))
            if spec.power == "stopped":
                await self._bring_down(guest, spec, known, running=running)
            elif not running or known.launched.behind(spec):
                await self._bring_up(guest, spec, files, known, running=running)
            else:
                await self._change_cards(directory, spec, known)

    async def remove(self, guest: str) -> None:
        directory = self._directory(guest)
        async with self._at_work(guest):
            await self._kill(guest)
            await in_thread(_delete, directory)

    async def observe(self) -> dict[str, GuestSeen]:
        alive = await in_thread(processes.scan, self.home)
        names = await in_thread(lambda: {entry.name for entry in self.home.iterdir() if entry.is_dir()})
        guests = sorted(name for name in names | alive.keys() if GUEST.fullmatch(name))
        async with asyncio.TaskGroup() as group:
            looks = [
                group.create_task(self._look(guest, found=guest in alive), name=f"observe {guest}") for guest in guests
            ]
        return dict(zip(guests, (look.result() for look in looks), strict=True))

    async def console_log(self, guest: str, limit: int) -> bytes:
        return await in_thread(console.tail, self._directory(guest) / command.CONSOLE, limit)

    async def close(self) -> None:
        """Nothing is held between calls."""

    # What follows is called with the guest's lock held.

    async def _create(self, directory: Path, spec: GuestSpec, files: GuestFiles) -> State:
        async with self._disk_jobs:
            await disk.make_root(directory, spec, files)
        known = State(spec.power, done=Boots.of(spec), launched=Boots.of(spec))
        await in_thread(known.write, directory)
        return known

    async def _is_running(self, guest: str, known: State | None) -> bool:
        """Whether the guest runs. A QEMU whose guest has shut itself down is ended, and the fact remembered first."""
        if not await in_thread(processes.of_guest, self.home, guest):
            return False
        try:
            if await qmp.status(self.home / guest) != "shutdown":
                return True
        except OSError:  # too busy to answer, or about to end: only the process itself can tell
            return bool(await in_thread(processes.of_guest, self.home, guest))
        if known is not None and not known.returns:
            await in_thread(State("stopped", done=known.launched, launched=known.launched).write, self.home / guest)
        await self._end(guest)
        return False

    async def _bring_down(self, guest: str, spec: GuestSpec, known: State, *, running: bool) -> None:
        """A stopped guest has nothing to reboot: all boots asked for so far count as done."""
        if running:
            await self._shut_down(guest)
        wanted = State("stopped", done=Boots.of(spec), launched=Boots.of(spec))
        if running or known != wanted:
            await in_thread(wanted.write, self.home / guest)

    async def _bring_up(self, guest: str, spec: GuestSpec, files: GuestFiles, known: State, *, running: bool) -> None:
        """One start does all boots asked for so far."""
        directory = self.home / guest
        if running and known.launched.hard >= spec.hard_boots:
            await in_thread(msgspec.structs.replace(known, returns=True).write, directory)
            await self._shut_down(guest)
        elif running:
            await self._end(guest)
        launched = Boots.of(spec)
        taps = tuple(nic.port_id for nic in spec.nics)
        await in_thread(State("running", known.done, launched, taps).write, directory)
        await self._start(guest, spec, files)
        await in_thread(State("running", launched, launched, taps).write, directory)

    async def _change_cards(self, directory: Path, spec: GuestSpec, known: State) -> None:
        """Plug and unplug network cards of a running guest, one at a time, each written down when it is done."""
        has, wanted = list(known.tap_ports), {nic.port_id: nic for nic in spec.nics}
        for port_id in [port_id for port_id in has if port_id not in wanted]:
            ids = command.netdev_id(port_id), command.card_id(port_id)
            if not await qmp.unplug(directory, *ids, self.unplug_s):
                raise TimeoutError(f"the guest does not let go of the card of port {port_id}")
            has.remove(port_id)
            await in_thread(msgspec.structs.replace(known, tap_ports=tuple(has)).write, directory)
        for nic in [nic for nic in spec.nics if nic.port_id not in has]:
            vhost = (await self._abilities()).vhost
            await qmp.plug(directory, command.netdev(nic, vhost=vhost), command.card(nic))
            has.append(nic.port_id)
            await in_thread(msgspec.structs.replace(known, tap_ports=tuple(has)).write, directory)

    async def _start(self, guest: str, spec: GuestSpec, files: GuestFiles) -> None:
        """Start QEMU and hear from it. It alone holds the listening socket, so its death ends our waiting, too."""
        abilities = await self._abilities()
        directory = self.home / guest
        if spec.config_drive and files.config_drive:
            await in_thread(disk.copy_config_drive, files.config_drive, directory)
        await in_thread(console.bound, directory / command.CONSOLE, self.console_limit)
        messages = directory / command.LOG
        await in_thread(messages.unlink, missing_ok=True)
        with messages.open("a+b") as output:
            with qmp.listen(directory) as listener:
                fd = listener.fileno()
                # A child of nobody here: it is init's to reap, and no loop that closes can take it along.
                line = ["setsid", "--fork", *command.command_line(self.home, guest, spec, abilities, fd)]
                wrapped = self._guest_command(line)
                status = await run(wrapped, timeout_s=self.start_s, output=output, cwd=directory, pass_fds=(fd,))
            try:
                if status:
                    raise ChildProcessError(f"{wrapped[0]} failed with status {status}")
                await qmp.status(directory, timeout_s=self.start_s)
            except OSError as error:
                await self._end(guest)
                output.seek(0)
                said = output.read(2000).decode(errors="replace").strip()
                raise OSError(f"QEMU did not start: {said or error}") from error

    async def _shut_down(self, guest: str) -> None:
        """Press the power button; pull the plug after the deadline."""
        with suppress(OSError):
            await qmp.press_power(self.home / guest, self.powerdown_s)
        await self._end(guest)

    async def _end(self, guest: str) -> None:
        """End QEMU with its disks written out; kill it if it will not."""
        pids = await in_thread(processes.of_guest, self.home, guest)
        with suppress(OSError):
            await qmp.leave(self.home / guest)
            for pid in pids:
                await processes.wait_gone(pid, self.home, guest, timeout_s=self.exit_s)
        await self._kill(guest)

    async def _kill(self, guest: str) -> None:
        """Until none is found: one that an earlier agent was just starting may appear late."""
        while pids := await in_thread(processes.of_guest, self.home, guest):
            for pid in pids:
                if not await processes.wait_gone(pid, self.home, guest, timeout_s=self.exit_s, kill=True):
                    raise TimeoutError(f"process {pid} of guest {guest} does not end: a disk or the network may hang")

    # Observing

    async def _look(self, guest: str, *, found: bool) -> GuestSeen:
        """The guest now, or as it was before the verb that is at work on it: never what it is in between."""
        lock, directory = self._lock(guest), self.home / guest
        if lock.locked():
            before = self._before.get(guest)
            return before if before is not None else await in_thread(self._glance, guest, alive=found)
        async with self._looks, lock:
            try:
                held = take(directory)
            except BlockingIOError:
                return await in_thread(self._glance, guest, alive=found)
            try:
                return await self._look_closely(guest, found=found)
            finally:
                give_back(held)

    async def _look_closely(self, guest: str, *, found: bool) -> GuestSeen:
        directory = self.home / guest
        alive = found or await in_thread(self._has_process, guest)
        try:
            for log_file in (command.CONSOLE, command.LOG):
                await in_thread(console.bound, directory / log_file, self.console_limit)
            if alive:
                alive = await self._is_running(guest, await in_thread(state.read, directory))
        except OSError as error:  # one guest's full or hanging disk must not hide all the others
            log.warning("guest cannot be looked at closely", guest=guest, why=str(error))
        return await in_thread(self._glance, guest, alive=alive)

    def _has_process(self, guest: str) -> bool:
        return processes.recorded(self.home, guest) is not None

    def _glance(self, guest: str, *, alive: bool) -> GuestSeen:
        known = state.read(self.home / guest)
        if known is None:  # its making was interrupted: it did not stop of itself
            return GuestSeen("running" if alive else "vanished")
        return known.seen(alive=alive)

    # Odds

    def _directory(self, guest: str) -> Path:
        check_name(guest)
        return self.home / guest

    def _lock(self, guest: str) -> asyncio.Lock:
        return self._locks.setdefault(guest, asyncio.Lock())

    @asynccontextmanager
    async def _at_work(self, guest: str) -> AsyncIterator[None]:
        async with self._lock(guest):
            held = await self._hold(guest)
            try:
                yield
            finally:
                give_back(held)
                self._before.pop(guest, None)

    async def _hold(self, guest: str) -> int | None:
        deadline = time.monotonic() + self.exit_s
        while True:
            try:
                return take(self.home / guest)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process is at work on guest {guest}") from None
            await asyncio.sleep(0.05)

    async def _abilities(self) -> command.Abilities:
        async with self._probing:
            if self._known is None:
                self._known = await probe.abilities(self.home)
        return self._known


def _delete(directory: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)
