"""What the servers API says, held against Tempest's own schemas of it at every version that changed them."""

import importlib
import sys

import pytest

from tests.clouds import CLIENTS
from tests.servers_rig import Host, rig

pytestmark = pytest.mark.clients
SCHEMAS = "tempest.lib.api_schema.response.compute"
VERSIONS = (1, 3, 9, 16, 19, 26, 47, 51, 54, 57, 58, 62, 63, 71, 73, 75, 79, 84, 89, 96)


@pytest.fixture(autouse=True)
def borrowed():
    """Tempest, from the stock clients' environment."""
    (packages,) = CLIENTS.parent.glob("lib/python3*/site-packages")
    sys.path.append(str(packages))
    yield
    sys.path.remove(str(packages))


def schema(minor, name):
    """The schema in force at a version: the newest at or below it that has the name."""
    for n in range(minor, 0, -1):
        try:
            module = importlib.import_module(f"{SCHEMAS}.v2_{n}.servers")
        except ModuleNotFoundError:
            continue
        if hasattr(module, name):
            return getattr(module, name)
    raise AssertionError(name)


def check(got, minor, name):
    wanted = schema(minor, name)
    assert got.status in wanted["status_code"], got.body
    if "response_body" in wanted:
        valid(got.json, wanted["response_body"])


def valid(body, wanted):
    """Whether a body fits, judged as Tempest judges it."""
    judge = importlib.import_module("tempest.lib.common.jsonschema_validator")
    validate = importlib.import_module("jsonschema").validate
    validate(body, wanted, cls=judge.JSONSCHEMA_VALIDATOR, format_checker=judge.FORMAT_CHECKER)


@pytest.fixture
async def made(tmp_path):
    async with rig(str(tmp_path / "db"), tmp_path) as got:
        yield got


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_bodies_are_as_tempest_knows_them(made):
    host = Host(made, "a")
    await host.report()
    server_id = await made.active(host, metadata={"a": "b"}, tags=["t"])
    failed = await made.create(flavorRef="4")
    await host.report(memory_mb=1000)
    await made.run()
    await made.act(server_id, "os-stop")
    await made.run()
    await host.converge()
    actions = (await made("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    for minor in VERSIONS:
        version = {"OpenStack_API_Version": f"compute 2.{minor}"}
        for who in ("demo", "admin"):
            for one in (server_id, failed):
                check(await made("GET", f"/servers/{one}", who=who, **version), minor, "get_server")
            check(await made("GET", "/servers/detail?limit=1", **version), minor, "list_servers_detail")
            check(await made("GET", "/servers?limit=1", who=who, **version), minor, "list_servers")
            url = f"/servers/{server_id}/os-instance-actions"
            check(await made("GET", url, who=who, **version), minor, "list_instance_actions")
            for action in actions:
                got = await made("GET", f"{url}/{action['request_id']}", who=who, **version)
                check(got, minor, "show_instance_action")
        check(await made("PUT", f"/servers/{server_id}", {"server": {"name": "n"}}, **version), minor, "update_server")
        body = made.body(networks=[{"uuid": made.network}])
        created = await made("POST", "/servers", body, **version)
        check(created, minor, "create_server_with_admin_pass")
        await made("DELETE", f"/servers/{created.json['server']['id']}")
        await made.run()
    check(await made("GET", f"/servers/{server_id}/tags"), 96, "list_tags")
    check(await made("PUT", f"/servers/{server_id}/tags/x"), 96, "update_tag")
    check(await made("GET", f"/servers/{server_id}/ips"), 96, "list_addresses")
    check(await made("GET", f"/servers/{server_id}/ips/private"), 96, "list_addresses_by_network")
    check(await made("GET", f"/servers/{server_id}/metadata"), 96, "list_server_metadata")
    check(await made("GET", f"/servers/{server_id}/metadata/a"), 96, "set_show_server_metadata_item")
    interfaces = importlib.import_module(f"{SCHEMAS}.v2_1.interfaces")
    got = await made("GET", f"/servers/{server_id}/os-interface", OpenStack_API_Version="compute 2.1")
    valid(got.json, interfaces.list_interfaces["response_body"])
