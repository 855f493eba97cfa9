#!/usr/bin/env python3
"""What the APIs cost: CPU-milliseconds of the cloud's process per request, beside the budgets, as JSON lines.

    bench/api.py [--hosts 100] [--quick]

Starts a simulated cloud in a temporary home, drives it over keep-alive connections on the loopback, purges it. A row
has `m` (what was measured), `cpu_ms` (user and system time of the server per request), `budget_ms`, `rps`, `p50_ms`;
the last row says how busy the machine was with other things.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import yaml

TICK = os.sysconf("SC_CLK_TCK")
MALDON = [sys.executable, "-m", "maldon.runtime"]
COMPUTE = {"OpenStack-API-Version": "compute 2.79"}


def cpu_s(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def machine_s() -> float:
    """Busy seconds of the whole machine."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()
    return sum(int(words[i]) for i in (1, 2, 3, 6, 7, 8)) / TICK


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Cloud:
    """A simulated cloud of our own."""

    def __init__(self, home: Path, hosts: int) -> None:
        self.home = home
        begun = time.monotonic()
        subprocess.run(
            [
                *MALDON,
                "up",
                "--detach",
                "--simulate",
                "--home",
                home,
                "--port",
                str(free_port()),
                "--hosts",
                str(hosts),
            ],
            check=True,
        )
        self.start_s = time.monotonic() - begun
        status = subprocess.run([*MALDON, "status", "--json", "--home", home], check=True, capture_output=True)
        self.pid: int = json.loads(status.stdout)["pid"]
        self.clouds = yaml.safe_load((home / "clouds.yaml").read_text())["clouds"]

    def rss_mib(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def purge(self) -> None:
        subprocess.run([*MALDON, "down", "--purge", "--home", self.home], check=True, stdout=subprocess.DEVNULL)


class Bench:
    """Requests and their cost."""

    def __init__(self, cloud: Cloud, http: aiohttp.ClientSession, seconds: float) -> None:
        self.cloud, self.http, self.seconds = cloud, http, seconds
        self.auth = cloud.clouds["maldon-admin"]["auth"]
        self.token, self.urls = "", {}

    def login_body(self) -> dict[str, Any]:
        domain = {"id": "default"}
        user = {"name": self.auth["username"], "domain": domain, "password": self.auth["password"]}
        scope = {"project": {"name": self.auth["project_name"], "domain": domain}}
        return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}

    async def log_in(self) -> None:
        async with self.http.post(f"{self.auth['auth_url']}/auth/tokens", json=self.login_body()) as answer:
            self.token = answer.headers["X-Subject-Token"]
            token = (await answer.json())["token"]
        self.urls = {s["type"]: s["endpoints"][0]["url"].rstrip("/") for s in token["catalog"]}

    async def call(self, method: str, url: str, body: Any = None, **headers: str) -> Any:
        sent = {"X-Auth-Token": self.token, **headers}
        async with self.http.request(method, url, json=body, headers=sent) as answer:
            content = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {url}: {answer.status} {content[:300]!r}")
            return json.loads(content) if content else None

    async def load(self, name: str, budget: float, request: Any, *, width: int = 8, total: int = 0) -> None:
        """Drive `request(n)` from `width` connections for a while (or `total` times) and print its row."""
        for n in range(2):
            if not total:
                await request(n)
        done, times = [0], []
        end, cpu, begun = time.monotonic() + self.seconds, cpu_s(self.cloud.pid), time.monotonic()

        async def drive() -> None:
            while (done[0] < total) if total else (time.monotonic() < end):
                n = done[0]
                done[0] += 1
                sent = time.monotonic()
                await request(n)
                times.append(time.monotonic() - sent)

        await asyncio.gather(*(drive() for _ in range(width)))
        taken, used = time.monotonic() - begun, cpu_s(self.cloud.pid) - cpu
        row(
            name,
            cpu_ms=used * 1000 / len(times),
            budget_ms=budget,
            rps=len(times) / taken,
            p50_ms=statistics.median(times) * 1000,
            n=len(times),
        )

    async def statements(self) -> float:
        async with self.http.get(
            self.cloud.clouds["maldon"]["auth"]["auth_url"].partition("/identity")[0] + "/metrics"
        ) as a:
            text = await a.text()
        return float(text.partition("\nmaldon_sql_statements ")[2].split()[0])

    # ---------------------------------------------------------------- what is measured

    async def identity(self, users: int) -> None:
        url = self.urls["identity"]
        subject = {"X-Subject-Token": self.token}
        await self.load("token check", 0.12, lambda _: self.call("GET", f"{url}/auth/tokens", **subject))
        await self.load(
            "password login", 28, lambda _: self.call("POST", f"{url}/auth/tokens", self.login_body()), width=2
        )
        have = len((await self.call("GET", f"{url}/users"))["users"])
        await self.load(
            "user create, no password",
            1,
            lambda n: self.call("POST", f"{url}/users", {"user": {"name": f"bench-{n}"}}),
            total=users - have,
        )
        await self.load(f"users list of {users}", 8, lambda _: self.call("GET", f"{url}/users"), width=2)
        await self.load(
            "user create, with a password",
            28,
            lambda n: self.call("POST", f"{url}/users", {"user": {"name": f"bench-pw-{n}", "password": "a password"}}),
            width=2,
            total=100,
        )

    async def network(self) -> None:
        url = f"{self.urls['network']}/v2.0"
        have = (await self.call("GET", f"{url}/networks"))["networks"]
        for n in range(21 - len(have)):
            made = (await self.call("POST", f"{url}/networks", {"network": {"name": f"bench-{n}"}}))["network"]["id"]
            subnet = {"network_id": made, "ip_version": 4, "cidr": f"10.{100 + n}.0.0/16"}
            await self.call("POST", f"{url}/subnets", {"subnet": subnet})
        nets = [
            n["id"] for n in (await self.call("GET", f"{url}/networks"))["networks"] if n["name"].startswith("bench-")
        ]
        await self.load("networks list of 21", 0.5, lambda _: self.call("GET", f"{url}/networks"))
        await self.load(
            "port create",
            1.5,
            lambda n: self.call("POST", f"{url}/ports", {"port": {"network_id": nets[n % len(nets)]}}),
            total=400,
        )

    async def boot(self, name: str, body: dict[str, Any], poll_s: float) -> float:
        url, begun = self.urls["compute"], time.monotonic()
        server = (await self.call("POST", f"{url}/servers", {"server": {"name": name, **body}}, **COMPUTE))["server"][
            "id"
        ]
        while True:
            seen = (await self.call("GET", f"{url}/servers/{server}", **COMPUTE))["server"]
            if seen["status"] == "ACTIVE":
                return time.monotonic() - begun
            if seen["status"] == "ERROR":
                raise RuntimeError(str(seen.get("fault")))
            await asyncio.sleep(poll_s)

    async def compute(self, servers: int, boots: int) -> None:
        url, net = self.urls["compute"], f"{self.urls['network']}/v2.0"
        project = self.auth["project_name"]
        projects = (await self.call("GET", f"{self.urls['identity']}/projects?name={project}"))["projects"]
        unlimited = {"instances": -1, "cores": -1, "ram": -1}
        await self.call("PUT", f"{url}/os-quota-sets/{projects[0]['id']}", {"quota_set": unlimited})
        await self.call("PUT", f"{net}/quotas/{projects[0]['id']}", {"quota": {"port": -1}})
        made = (await self.call("POST", f"{net}/networks", {"network": {"name": "boots"}}))["network"]["id"]
        await self.call(
            "POST", f"{net}/subnets", {"subnet": {"network_id": made, "ip_version": 4, "cidr": "10.64.0.0/16"}}
        )
        flavor = next(f["id"] for f in (await self.call("GET", f"{url}/flavors"))["flavors"] if f["name"] == "m1.nano")
        image = (await self.call("GET", f"{self.urls['image']}/v2/images?name=maldon-guest"))["images"][0]["id"]
        body = {"imageRef": image, "flavorRef": flavor, "networks": [{"uuid": made}]}
        for width, poll_s, count in ((1, 0.005, boots), (20, 0.1, boots * 5)):
            await asyncio.sleep(2)
            before, cpu, begun = await self.statements(), cpu_s(self.cloud.pid), time.monotonic()
            times: list[float] = []
            left = [count]

            async def some(width: int = width, poll_s: float = poll_s, left: Any = left, times: Any = times) -> None:
                while left[0] > 0:
                    left[0] -= 1
                    times.append(await self.boot(f"bench-{width}-{left[0]}", body, poll_s))

            await asyncio.gather(*(some() for _ in range(width)))
            taken = time.monotonic() - begun
            row(
                f"server create to ACTIVE, {width} at once",
                cpu_ms=(cpu_s(self.cloud.pid) - cpu) * 1000 / count,
                budget_ms=8,
                rps=count / taken,
                p50_ms=statistics.median(times) * 1000,
                p50_budget_ms=40,
                n=count,
                statements=(await self.statements() - before) / count,
                statements_budget=20,
            )
        have = 0
        while have < servers:
            await self.call(
                "POST",
                f"{url}/servers",
                {"server": {"name": "bench-many", "min_count": 50, "max_count": 50, **body}},
                **COMPUTE,
            )
            while (await self.call("GET", f"{url}/servers?status=BUILD&limit=1", **COMPUTE))["servers"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            have = len((await self.call("GET", f"{url}/servers?limit=1000", **COMPUTE))["servers"])
        one = (await self.call("GET", f"{url}/servers?limit=1", **COMPUTE))["servers"][0]["id"]
        await self.load("server show", 0.4, lambda _: self.call("GET", f"{url}/servers/{one}", **COMPUTE))
        await self.load(
            f"servers detail of {servers}",
            15,
            lambda _: self.call("GET", f"{url}/servers/detail?limit={servers}", **COMPUTE),
            width=2,
        )


def row(name: str, **figures: float) -> None:
    print(json.dumps({"m": name, **{k: round(v, 3) for k, v in figures.items()}}), flush=True)


async def measure(cloud: Cloud, *, quick: bool) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        bench = Bench(cloud, http, 1.0 if quick else 4.0)
        await bench.log_in()
        await bench.identity(200 if quick else 1000)
        await bench.network()
        await bench.compute(100 if quick else 1000, 10 if quick else 40)


def main() -> None:
    """Run all of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hosts", type=int, default=100)
    options.add_argument("--quick", action="store_true", help="fewer and shorter: to see that it works")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = Cloud(Path(folder) / "plain", 1)
        time.sleep(3)
        row("start to the first 200 everywhere, with the schema", s=plain.start_s, budget_s=2)
        row("everything idle", rss_mib=plain.rss_mib(), budget_mib=150)
        plain.purge()
        cloud = Cloud(Path(folder) / "cloud", given.hosts)
        busy, begun = machine_s() - cpu_s(cloud.pid), time.monotonic()
        try:
            asyncio.run(measure(cloud, quick=given.quick))
        finally:
            others = machine_s() - cpu_s(cloud.pid) - busy - time.process_time()
            row("machine", others_cores=others / (time.monotonic() - begun), load_1m=os.getloadavg()[0])
            cloud.purge()


if __name__ == "__main__":
    main()
