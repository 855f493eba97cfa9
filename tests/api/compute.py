"""What the tests of the compute catalogue share: a cloud with two hosts, and the public schemas of its answers."""

import importlib
import importlib.util

import pytest
from sqlalchemy import insert

from maldon.compute.models.server import servers
from maldon.compute.routes import SERVICE
from maldon.compute.settings import ComputeSettings
from maldon.compute.verbs.flavor import Flavor
from maldon.compute.views.server import embedded
from maldon.placement import service as placement
from maldon.placement.service import PlacementSettings, Wanted
from maldon.ports.agent import HostReport
from maldon.ports.hypervisor import Capacity
from tests.harness import DEMO, cloud

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1y3rgZ5X2rO7qWyDWZDxVtfyoTYJEPP3h1cbiKbCtT somebody@somewhere"


@pytest.fixture
async def nova(database_url):
    """Asked by an admin."""
    kit = [PlacementSettings(silent_after_s=1_000_000), ComputeSettings()]
    async with cloud(database_url, [SERVICE], kit=kit) as made:
        made.token = "admin"
        async with made.db.begin() as session:
            for name in ("host-a", "host-b"):
                report = HostReport(Capacity("fake", 1, 4, 8192, 100), ("console-log",), tunnel_ip="192.0.2.1")
                await placement.report_host(session, made.op("agent"), name, report)
        yield made


def at(version):
    """The header that asks for a microversion."""
    return {"OpenStack_API_Version": f"compute {version}"}


async def ok(nova, method, url, json=None, version="2.1", status=200):
    """The body of an answer that must have that status."""
    got = await nova(method, "/compute/v2.1" + url, json, **at(version))
    assert got.status == status, (method, url, got.status, got.body)
    return got.json if got.body else None


async def statuses(nova, table, prefix="/compute/v2.1"):
    """What each (token, version, method, path, body, …) of a table is answered: the table itself, if all is well."""
    found = []
    for who, version, method, path, body, _status in table:
        got = await nova.as_(who)(method, prefix + path, body, **at(version))
        fault = next(iter(got.json.values()), None) if got.status >= 400 and got.body else None
        if got.status >= 400 and got.status != 401:
            assert fault["code"] == got.status, (path, got.body)
        found.append((who, version, method, path, body, got.status))
    return found


def conforms(body, module, name):
    """Hold a body against the schema that Tempest has for it."""
    if importlib.util.find_spec("tempest") is None:
        return
    import jsonschema
    from tempest.lib.common.jsonschema_validator import FORMAT_CHECKER

    schema = getattr(importlib.import_module(f"tempest.lib.api_schema.response.compute.{module}"), name)
    jsonschema.validate(body, schema["response_body"], format_checker=FORMAT_CHECKER)


async def a_server(nova, server_id, **values):
    """A server that runs on a host which has room for it: its row and its claim, as a finished create leaves them."""
    now = nova.clock.now()
    flavor = embedded(Flavor("1", "m1.tiny", 2, 512, 1, 1, 0, 1.0, True, None, {}))
    row = {"id": server_id, "name": server_id, "hostname": server_id, "project_id": DEMO, "user_id": "u-demo"}
    row |= {"state": "active", "power": "running", "locked": False, "flavor_id": "1", "flavor": flavor}
    row |= {"vcpus": 2, "memory_mb": 512, "disk_gb": 1, "config_drive": False, "disk_config": "AUTO"}
    row |= {"access_ip_v4": "", "access_ip_v6": "", "reservation_id": "r-1", "launch_index": 0, "properties": {}}
    row |= {"created_at": now, "updated_at": now, "launched_at": now}
    async with nova.db.begin() as session:
        host = await placement.claim(session, nova.op("demo"), server_id, Wanted(2, 512, 2))
        row |= {"host": host.name, "host_id": host.id, "availability_zone": host.availability_zone}
        await session.run(insert(servers), row | values)
    return host
