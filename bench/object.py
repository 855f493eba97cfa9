#!/usr/bin/env python3
"""What the object store costs: CPU-milliseconds of all its processes per request, beside the budgets, as JSON lines.

    bench/object.py [--replicas 1|3] [--disks] [--workers N] [--only PUT,list] [--quick] [--settings FILE]
    bench/object.py --peer AUTH_URL --peer-pids 1,2,3 [--peer-login test:tester:testing]

Starts a store in a temporary home (three replicas are three nodes, or with --disks three disks of one process), drives
it over keep-alive connections on the loopback, purges it. A row has `m` (what was measured), `store`, `cpu_ms` (user
and system time of the servers per request, put-off work included; never the client's), `budget_ms`, `rps`, `p50_ms`; of
long bodies `mb_s`; `failed` where an answer was not the right one. A peer that speaks the same API and runs already is
driven in turn, measure by measure. The last row says how busy the machine was with other things, and what a password
hash costs on it (`argon2_ms`, 21.5 on the machine that the budgets are for).
"""

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import uvloop
import yaml
from argon2 import PasswordHasher

MALDON = [sys.executable, "-m", "maldon.runtime"]
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PIECE = 1 << 18
BODY = os.urandom(MIB)


# ---------------------------------------------------------------- the stores


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def family(pids: Iterable[int]) -> dict[int, psutil.Process]:
    """These processes and all below them."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(pid)
            found |= {process.pid: process for process in (top, *top.children(recursive=True))}
    return found


@dataclass
class Server:
    """A store to be driven. `pids` are its processes; what they start counts as well."""

    name: str
    url: str
    token: str
    pids: list[int]
    replicas: int
    kept: dict[str, int] = field(default_factory=dict)

    def cpu_s(self) -> float:
        total = 0.0
        for process in family(self.pids).values():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def request(self, method: str, path: str, body: bytes = b"", length: int | None = None) -> bytes:
        """The bytes of a request; `length` announces a body that is sent by itself."""
        url = urlsplit(self.url)
        size = len(body) if length is None else length
        head = f"{method} {url.path}/{path} HTTP/1.1\r\nHost: {url.netloc}\r\nX-Auth-Token: {self.token}\r\n"
        if method == "PUT":
            head += f"Content-Length: {size}\r\n"
        return f"{head}\r\n".encode() + body


SETTINGS = """
[object]
address = "127.0.0.1:{storage}"
port = {proxy}
workers = {workers}
devices = [{devices}]
"""


class Node:
    """A home and the process that serves it."""

    def __init__(self, home: Path, workers: int, disks: int, more: str) -> None:
        self.home, self.port, self.storage, self.proxy = home, free_port(), free_port(), free_port()
        self.disks, self.workers = [f"disk-{n + 1}" for n in range(disks)], workers
        home.mkdir(parents=True)
        settings = SETTINGS.format(
            storage=self.storage, proxy=self.proxy, workers=workers, devices=", ".join(f'"{d}"' for d in self.disks)
        )
        (home / "maldon.toml").write_text(settings + more)
        self.process: subprocess.Popen[bytes] | None = None

    def maldon(self, *words: str) -> None:
        subprocess.run([*MALDON, *words, "--home", str(self.home)], check=True, stdout=subprocess.DEVNULL)

    def start(self, *roles: str) -> None:
        environ = os.environ | {"MALDON_CLOUD_PORT": str(self.port)}
        more = ("object-workers",) if self.workers > 1 else ()
        command = [*MALDON, "run", "--simulate", "--home", str(self.home), *roles, *more]
        log = (self.home / "bench.log").open("wb")
        self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError((self.home / "bench.log").read_text()[-2000:])

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


def make_rings(nodes: list[Node], replicas: int) -> None:
    """The same rings for all nodes, over all their disks."""
    first = nodes[0]
    for name in ("account", "container", "object"):
        first.maldon("ring", "create", name, "--power", "8", "--replicas", str(replicas))
        zone = 0
        for node in nodes:
            for disk in node.disks:
                zone += 1
                stands = ("--address", f"127.0.0.1:{node.storage}", "--device", disk, "--zone", str(zone))
                first.maldon("ring", "add", name, *stands)
        first.maldon("ring", "rebalance", name)
    for node in nodes[1:]:
        shutil.copytree(first.home / "rings", node.home / "rings")


@contextmanager
def our_store(folder: Path, replicas: int, workers: int, *, disks: bool, settings: str) -> Iterator[Server]:
    """A store of our own, with identity's tokens."""
    many = 1 if disks else replicas
    nodes = [Node(folder / f"n{n}", workers, replicas if disks else 1, settings) for n in range(many)]
    if replicas > 1:
        make_rings(nodes, replicas)
    try:
        nodes[0].start("identity-api", "object-proxy", "object-storage")
        for node in nodes[1:]:
            (node.home / "objects").mkdir()
            for secret in ("secrets.json", "objects/cluster.json"):
                shutil.copy(nodes[0].home / secret, node.home / secret)
            node.start("object-storage")
        token, account = log_in(nodes[0])
        url = f"http://127.0.0.1:{nodes[0].proxy}/v1/AUTH_{account}"
        yield Server("maldon", url, token, [node.process.pid for node in nodes if node.process], replicas)
    finally:
        for node in nodes:
            node.stop()


def log_in(node: Node) -> tuple[str, str]:
    """A token, and the id of its project."""
    auth = yaml.safe_load((node.home / "clouds.yaml").read_text())["clouds"]["maldon"]["auth"]
    user = {"name": auth["username"], "password": auth["password"], "domain": {"id": "default"}}
    scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    url = f"http://127.0.0.1:{node.port}/identity/v3/auth/tokens"
    asked = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        return answer.headers["X-Subject-Token"], json.load(answer)["token"]["project"]["id"]


def peer(auth_url: str, login: str, pids: list[int], replicas: int) -> Server:
    """Another store that runs, by the first auth API."""
    user, _, key = login.rpartition(":")
    asked = urllib.request.Request(auth_url, headers={"X-Auth-User": user, "X-Auth-Key": key})
    with urllib.request.urlopen(asked) as answer:
        return Server("peer", answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"], pids, replicas)


# ---------------------------------------------------------------- the client


class Connection(asyncio.Protocol):
    """One request at a time; of an answer's body only the length is kept, and its MD5 where that is wanted."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer, self._left, self._chunked, self._head = b"", 0, False, False
        self._answer: asyncio.Future[int] | None = None
        self._ready = asyncio.Event()
        self._ready.set()
        self.size = 0
        self.md5: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def pause_writing(self) -> None:
        self._ready.clear()

    def resume_writing(self) -> None:
        self._ready.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ready.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server hung up"))

    async def ask(self, request: bytes, body: Iterable[bytes] = ()) -> int:
        """The status of the answer, once all of it is here."""
        self._buffer, self._left, self.size = b"", -1, 0
        self._head = request.startswith(b"HEAD")
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        for piece in body:
            await self._ready.wait()
            self.transport.write(piece)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self._buffer[:end].lower(), self._buffer[end + 4 :]
            self._status = int(head[9:12])
            self._chunked = b"\r\ntransfer-encoding: chunked" in head
            _, _, rest = head.partition(b"\r\ncontent-length:")
            self._left = 0 if self._head or self._status == 204 or not rest else int(rest.partition(b"\r\n")[0])
        self.size += len(data)
        self._left -= len(data)
        if self.md5 is not None:
            self.md5.update(data)
        done = data.endswith(b"0\r\n\r\n") if self._chunked and not self._head else self._left <= 0
        if done and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._status)


class Load:
    """Requests, and what they cost the server."""

    def __init__(self, server: Server, seconds: float) -> None:
        self.server, self.seconds = server, seconds
        url = urlsplit(server.url)
        self._address = (url.hostname, url.port)

    async def connect(self) -> Connection:
        _, made = await asyncio.get_running_loop().create_connection(Connection, *self._address)
        return made

    async def once(self, method: str, path: str, body: bytes = b"") -> int:
        connection = await self.connect()
        try:
            return await connection.ask(self.server.request(method, path, body))
        finally:
            connection.transport.close()

    async def drive(
        self, name: str, budget: float | None, make: Callable[[int], bytes], good: int, *, width: int, most: int = 0
    ) -> int:
        """Ask `make(n)` from `width` connections for a while, or `most` times; its row; how many were asked."""
        connections = [await self.connect() for _ in range(width)]
        times: list[float] = []
        asked, failed = 0, 0
        cpu, begun = self.server.cpu_s(), time.perf_counter()
        end = begun + (self.seconds if not most or most == LEFT else 600)

        async def work(connection: Connection) -> None:
            nonlocal asked, failed
            while (not most or asked < most) and time.perf_counter() < end:
                asked += 1
                sent = time.perf_counter()
                status = await connection.ask(make(asked - 1))
                times.append(time.perf_counter() - sent)
                failed += status != good

        await asyncio.gather(*map(work, connections))
        taken = time.perf_counter() - begun
        for connection in connections:
            connection.transport.close()
        await asyncio.sleep(0.5)  # what the server put off belongs to the requests
        figures: dict[str, Any] = {"cpu_ms": (self.server.cpu_s() - cpu) * 1000 / len(times), "budget_ms": budget}
        figures |= {"rps": len(times) / taken, "p50_ms": statistics.median(times) * 1000, "n": len(times)}
        row(name, self.server, **figures, failed=failed or None)
        return asked


LEFT = -1


def row(name: str, server: Server | None = None, **figures: Any) -> None:
    said = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    about = {"store": server.name, "replicas": server.replicas} if server is not None else {}
    print(json.dumps({"m": name, **about, **{k: v for k, v in said.items() if v is not None}}), flush=True)


# ---------------------------------------------------------------- what is measured


async def small(load: Load, width: int) -> None:
    """4 KiB: written, read, asked about and deleted, each object once."""
    server, body = load.server, BODY[: 4 * KIB]
    alone = server.replicas == 1
    names = [f"small-{width}/object-{n:08d}" for n in range(1_000_000)]
    await load.once("PUT", f"small-{width}")
    put = await load.drive(
        f"PUT 4 KiB, {width} connections", 0.25 if alone else 1.0,
        lambda n: server.request("PUT", names[n], body), 201, width=width,
    )  # fmt: skip
    for method, budget in (("GET", 0.10), ("HEAD", 0.08)):
        await load.drive(
            f"{method} 4 KiB, {width} connections", budget if alone else None,
            lambda n, method=method: server.request(method, names[n % put]), 200, width=width,
        )  # fmt: skip
    await load.drive(
        f"DELETE 4 KiB, {width} connections", 0.25 if alone else None,
        lambda n: server.request("DELETE", names[n]), 204, width=width, most=put,
    )  # fmt: skip


async def middling(load: Load, objects: int) -> None:
    """1 MiB from 8 connections."""
    server, alone = load.server, load.server.replicas == 1
    await load.once("PUT", "middling")
    await load.drive(
        "PUT 1 MiB, 8 connections", 2.2 if alone else None,
        lambda n: server.request("PUT", f"middling/object-{n}", BODY), 201, width=8, most=objects,
    )  # fmt: skip
    await load.drive(
        "GET 1 MiB, 8 connections", 0.6 if alone else None,
        lambda n: server.request("GET", f"middling/object-{n % objects}"), 200, width=8,
    )  # fmt: skip


async def large(load: Load, size: int) -> None:
    """One long body up and down by one client."""
    server = load.server
    await load.once("PUT", "large")
    digest = hashlib.md5(usedforsecurity=False)
    pieces = [BODY[at : at + PIECE] for at in range(0, MIB, PIECE)]
    for _ in range(size // MIB):
        digest.update(BODY)
    for way, budget in (("up", 500), ("down", 2500)):
        connection = await load.connect()
        cpu, begun = server.cpu_s(), time.perf_counter()
        if way == "up":
            body = (pieces[n % len(pieces)] for n in range(size // PIECE))
            status = await connection.ask(server.request("PUT", "large/object", length=size), body)
        else:
            status = await connection.ask(server.request("GET", "large/object"))
        taken = time.perf_counter() - begun
        connection.transport.close()
        figures = {"mb_s": size / taken / 1e6, "budget_mb_s": budget if server.replicas == 1 else None}
        whole = status == 201 if way == "up" else (status, connection.size) == (200, size)
        cpu_ms = (server.cpu_s() - cpu) * 1000
        row(f"{size // MIB} MiB {way}", server, cpu_ms=cpu_ms, **figures, failed=None if whole else 1)
    connection = await load.connect()
    connection.md5 = hashlib.md5(usedforsecurity=False)
    await connection.ask(server.request("GET", "large/object"))
    if connection.md5.digest() != digest.digest():
        raise RuntimeError("what came down is not what went up")
    connection.transport.close()


async def listed(load: Load, objects: int) -> None:
    """Many empty objects made in one container, and all of them listed in one page."""
    server, alone = load.server, load.server.replicas == 1
    await load.once("PUT", "listed")
    await load.drive(
        f"create {objects:,} in one container, 16 connections", 0.25 if alone else 1.0,
        lambda n: server.request("PUT", f"listed/d{n // 100:04d}/o{n:07d}"), 201, width=16, most=objects,
    )  # fmt: skip
    asked = server.request("GET", f"listed?format=json&limit={objects}")
    await load.drive(f"list of {objects:,}", 8 if alone else None, lambda _: asked, 200, width=1)


async def measure(servers: list[Server], only: list[str], *, quick: bool) -> None:
    seconds = 1.0 if quick else 5.0
    parts: dict[str, Callable[[Load], Any]] = {
        "small16": lambda load: small(load, 16),
        "small64": lambda load: small(load, 64),
        "middling": lambda load: middling(load, 40 if quick else 400),
        "large": lambda load: large(load, 64 * MIB if quick else GIB),
        "listed": lambda load: listed(load, 10_000),
    }
    for name, part in parts.items():
        if not only or any(name.startswith(one) for one in only):
            for server in servers:
                await part(Load(server, seconds))


def hash_ms() -> float:
    """CPU-milliseconds of a password hash: how fast the machine is just now."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
    begun = time.process_time()
    for _ in range(20):
        hasher.hash("a password")
    return (time.process_time() - begun) * 1000 / 20


def main() -> None:
    """Run all of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--replicas", type=int, default=1, choices=(1, 3))
    options.add_argument("--disks", action="store_true", help="three replicas on three disks of one process")
    options.add_argument("--workers", type=int, default=1, help="processes of each node")
    options.add_argument("--only", default="", help="of small16, small64, middling, large, listed")
    options.add_argument("--quick", action="store_true", help="fewer and shorter: to see that it works")
    options.add_argument("--settings", type=Path, help="more of a settings file for our store")
    options.add_argument("--peer", help="where a running peer hands out tokens (its /auth/v1.0)")
    options.add_argument("--peer-login", default="test:tester:testing", help="account:user:key")
    options.add_argument("--peer-pids", default="", help="the peer's processes, with commas")
    given = options.parse_args()
    before = hash_ms()
    more = given.settings.read_text() if given.settings else ""
    with tempfile.TemporaryDirectory(prefix="bench-object-") as folder, our_store(
        Path(folder), given.replicas, given.workers, disks=given.disks, settings=more
    ) as ours:  # fmt: skip
        servers = [ours]
        if given.peer:
            pids = [int(pid) for pid in given.peer_pids.split(",") if pid]
            servers.append(peer(given.peer, given.peer_login, pids, given.replicas))
        used = sum(server.cpu_s() for server in servers) + time.process_time()
        busy, begun = psutil.cpu_times(), time.monotonic()
        uvloop.run(measure(servers, [one for one in given.only.split(",") if one], quick=given.quick))
        now, taken = psutil.cpu_times(), time.monotonic() - begun
        used = sum(server.cpu_s() for server in servers) + time.process_time() - used
    others = sum(now) - now.idle - now.iowait - (sum(busy) - busy.idle - busy.iowait) - used
    row("machine", others_cores=others / taken, load_1m=os.getloadavg()[0], argon2_ms=(before + hash_ms()) / 2)


if __name__ == "__main__":
    main()
