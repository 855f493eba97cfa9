"""A process: roles over one database, one bus and one set of settings, in one task group.

`open_process` makes what all roles share; `run` runs the roles until it is cancelled. No role knows who shares its
process.
"""

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

import psutil
import structlog

from maldon.compute import routes as compute_routes
from maldon.compute import service as compute
from maldon.identity import routes as identity_routes
from maldon.identity import service as identity
from maldon.image import routes as image_routes
from maldon.image import service as image
from maldon.kernel.clock import SystemClock
from maldon.kernel.ids import new_request_id
from maldon.kernel.op import Actor, Op
from maldon.network import routes as network_routes
from maldon.objectstore.service import Cluster
from maldon.placement import routes as placement_routes
from maldon.placement import service as placement
from maldon.ports.bus import Bus
from maldon.ports.keyvalue import KeyValue
from maldon.runtime.home import Home, Trouble
from maldon.runtime.settings import Settings
from maldon.store.database import ServerDatabase, SqliteDatabase, open_database
from maldon.store.migrate import migrate
from maldon.web import metrics
from maldon.web.app import Surroundings
from maldon.web.policy import BadPolicy, Policy, load_overrides
from maldon.web.service import Service
from maldon.work.wakes import Wakes

log = structlog.get_logger("process")

SERVICES: dict[str, Service] = {
    f"{service.name}-api": service
    for service in (
        identity_routes.SERVICE,
        image_routes.SERVICE,
        network_routes.SERVICE,
        placement_routes.SERVICE,
        compute_routes.SERVICE,
    )
}
MALDON = Actor(user_id="maldon", user_name="maldon", roles=("admin", "manager", "member", "reader"), system=True)


@dataclass
class Process:
    """What the roles of a process share. `objects` is there once a role of the object store was chosen; a `worker` is
    one of several such processes, and leaves the port that all APIs share to the first.
    """

    home: Home
    settings: Settings
    db: SqliteDatabase | ServerDatabase
    bus: Bus
    keyvalue: KeyValue
    wakes: Wakes
    policy: Policy
    kit: Mapping[type, Any]
    verifier: identity.TokenVerifier
    roles: dict[str, str] = field(default_factory=dict)
    objects: Cluster | None = None
    worker: int = 0

    def __post_init__(self) -> None:
        metrics.count_statements(lambda: self.db.statements)

    @property
    def url(self) -> str:
        """Where clients find this cloud."""
        cloud = self.settings.cloud
        address = "127.0.0.1" if cloud.listen in {"0.0.0.0", "::"} else cloud.listen  # noqa: S104 - compared, not bound
        return cloud.public_url.rstrip("/") or f"http://{address}:{cloud.port}"

    @property
    def auth_url(self) -> str:
        return f"{self.url}/identity/v3"

    def op(self, actor: Actor = MALDON) -> Op:
        """An asking of the cloud's own."""
        return Op(actor, new_request_id(), self.db, self.wakes.wake, SystemClock(), self.policy, self.kit)

    def surroundings(self) -> Surroundings:
        return Surroundings(
            self.db, self.wakes.wake, SystemClock(), self.policy, self.verifier, f"{self.url}/identity", self.kit
        )

    def problems(self) -> dict[str, str]:
        """Roles that are not running yet, or no more: for /readyz."""
        return {name: state for name, state in self.roles.items() if state != "running"}


def driver(port: str, name: str) -> Any:
    """A driver class by its entry point. Raises Trouble that names those installed."""
    found = {point.name: point for point in entry_points(group=f"maldon.{port}")}
    if name not in found:
        raise Trouble(f"There is no {port} driver {name!r}; installed are {', '.join(sorted(found))}.")
    return found[name].load()


@contextlib.asynccontextmanager
async def open_process(home: Home, settings: Settings) -> AsyncIterator[Process]:
    """The shared things, the database brought to this release's schema."""
    db = open_database(settings.cloud.database or str(home / "maldon.db"))
    bus = driver("bus", "amqp" if settings.cloud.bus else "memory")(settings.cloud.bus)
    keyvalue = driver("keyvalue", settings.cloud.keyvalue.partition(":")[0] or "memory")(settings.cloud.keyvalue)
    directories: identity.Directories | None = None
    try:
        if await migrate(db):
            log.info("database migrated")
        wakes, clock = Wakes(bus if settings.cloud.bus else None), SystemClock()
        rules = [rule for service in SERVICES.values() for rule in service.rules]
        try:
            policy = Policy(rules, load_overrides(home / "policy.yaml") if (home / "policy.yaml").exists() else {})
        except BadPolicy as error:
            raise Trouble(str(error)) from error
        keys = identity.token_keys(home.path, settings.identity)
        verifier = identity.TokenVerifier(db, keys, clock, settings.identity, keyvalue)
        secrets = identity.CredentialKeys(home / "credential-keys")
        directories = _directories(home, keyvalue, secrets)
        things = (
            wakes,
            directories,
            compute.WiringBoard(),
            verifier,
            identity.Passwords(settings.identity),
            secrets,
            settings.identity,
            settings.image,
            settings.network,
            settings.placement,
            placement.Listening(clock.now()),
            placement.Owners(),
            settings.compute,
            settings.quota,
            image.FileStore(home / "images"),
        )
        kit = {type(thing): thing for thing in things}
        yield Process(home, settings, db, bus, keyvalue, wakes, policy, kit, verifier)
    finally:
        if directories is not None:
            await directories.close()
        await keyvalue.close()
        await bus.close()
        await db.close()


def _directories(home: Home, keyvalue: KeyValue, secrets: identity.CredentialKeys) -> identity.Directories:
    """The directories of domains, their drivers imported when first needed. Raises Trouble for a domain's bad file."""
    drivers = {point.name: point.load for point in entry_points(group="maldon.directory")}
    try:
        return identity.Directories(drivers, keyvalue, secrets, home / "domains")
    except identity.BadFile as error:
        raise Trouble(str(error)) from error


Role = Callable[[Process, Callable[[], None]], Awaitable[None]]
"""A role runs until it is cancelled, and calls its second argument once it does what it is for."""


async def run(process: Process, roles: Mapping[str, Role]) -> None:
    """Run roles until cancelled. A role that fails is started again after a pause that grows."""
    async with asyncio.TaskGroup() as group:
        for name, role in roles.items():
            process.roles[name] = "starting"
            group.create_task(_keep_running(process, name, role), name=name)


async def _keep_running(process: Process, name: str, role: Role) -> None:
    pause = 0.5
    while True:
        begun = time.monotonic()
        try:
            await role(process, lambda: process.roles.__setitem__(name, "running"))
        except Trouble:
            raise
        except Exception as error:
            process.roles[name] = f"failed: {error}"
            log.exception("role failed, starts again", role=name, in_s=pause)
        pause = 0.5 if time.monotonic() - begun > 60 else min(30.0, pause * 2)
        await asyncio.sleep(pause)


def run_record(process: Process, roles: Mapping[str, Role]) -> dict[str, Any]:
    """What `run.json` says of this process."""
    return {
        "pid": os.getpid(),
        "begun": psutil.Process().create_time(),
        "port": process.settings.cloud.port,
        "url": process.url,
        "roles": list(roles),
    }


async def until_ready(process: Process, running: asyncio.Task[None]) -> None:
    """Return once every role runs."""
    while (not process.roles or process.problems()) and not running.done():  # noqa: ASYNC110 - a start takes a moment, once
        await asyncio.sleep(0.01)
    if running.done():
        await running


def settle_memory() -> None:
    """What is loaded by now stays: the collector need not look at it again, nor look so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
