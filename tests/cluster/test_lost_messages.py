"""A message is a hint: with every one of them lost, everything still completes, only later."""

import asyncio
import time

import aiohttp
import pytest

from maldon.runtime.clouds_yaml import clouds_yaml
from maldon.runtime.first_start import make_accounts, make_resources
from maldon.runtime.home import Home
from maldon.runtime.process import open_process, run
from maldon.runtime.roles import NAMES, choose
from maldon.runtime.settings import read_settings
from maldon.work.wakes import Wakes
from tests.servers import free_port


class Deaf(Wakes):
    """Loses every message."""

    def wake(self, topic: str) -> None:
        self.lost = [*getattr(self, "lost", ()), topic]


class Client:
    """As little of a client as will do."""

    def __init__(self, http, url, password):
        self.http, self.url, self.password, self.token = http, url, password, ""

    async def log_in(self):
        user = {"name": "demo", "domain": {"id": "default"}, "password": self.password}
        scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        async with self.http.post(f"{self.url}/identity/v3/auth/tokens", json=body) as answer:
            self.token = answer.headers["X-Subject-Token"]

    async def __call__(self, method, path, body=None):
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": "compute 2.79"}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as answer:
            assert answer.status < 400, await answer.text()
            return await answer.json() if answer.status != 204 else None


async def until(what, condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"did not come about: {what}"
        await asyncio.sleep(0.2)
    return value


@pytest.fixture
async def deaf_cloud(tmp_path, monkeypatch):
    monkeypatch.setenv("MALDON_CLOUD_PORT", str(free_port()))
    home = Home(tmp_path / "home")
    home.make()
    home.keep(simulated=True, external_cidr="172.24.4.0/24")
    async with open_process(home, read_settings(home / "maldon.toml")) as process:
        process.wakes = Deaf()
        process.kit = {**process.kit, Wakes: process.wakes}
        await make_accounts(process)
        await make_resources(process)
        assert clouds_yaml(process.auth_url, "RegionOne", home.secrets())
        running = asyncio.create_task(run(process, choose(NAMES, process)))
        await until("all roles run", lambda: _as_async(not process.problems()))
        async with aiohttp.ClientSession() as http:
            client = Client(http, process.url, home.secrets()["demo"])
            await client.log_in()
            yield process, client
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _as_async(value):
    return value


async def test_servers_come_and_go_without_a_single_message(deaf_cloud):
    process, client = deaf_cloud
    images = (await client("GET", "/image/v2/images"))["images"]
    networks = (await client("GET", "/network/v2.0/networks?name=private"))["networks"]
    wanted = {"imageRef": images[0]["id"], "flavorRef": "42", "networks": [{"uuid": networks[0]["id"]}]}
    for n in range(3):
        await client("POST", "/compute/v2.1/servers", {"server": {"name": f"s{n}", **wanted}})

    async def statuses():
        servers = (await client("GET", "/compute/v2.1/servers/detail"))["servers"]
        return [server["status"] for server in servers]

    async def all_active():
        return await statuses() == ["ACTIVE"] * 3

    await until("three servers are ACTIVE", all_active)
    for server in (await client("GET", "/compute/v2.1/servers"))["servers"]:
        await client("DELETE", f"/compute/v2.1/servers/{server['id']}")

    async def none_left():
        return await statuses() == []

    await until("three servers are gone", none_left)
    assert process.wakes.lost
