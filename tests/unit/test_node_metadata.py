"""What guests are told of themselves, path by path, and who is answered."""

import base64

import aiohttp
import msgspec
import pytest

from maldon.agents.node.metadata import EC2_VERSIONS, OPENSTACK_VERSIONS, Wired, answer
from maldon.agents.node.metadata_server import MetadataServer
from maldon.drivers.switch.fake import FakeSwitch
from maldon.ports.agent import DesiredGuest, MetadataSpec
from maldon.ports.hypervisor import GuestSpec, Nic
from maldon.ports.switch import DhcpSpec, NetworkSpec, PortFacts, PortSpec, Wiring

GUEST = "5e17e500-0000-4000-8000-000000000000"
SPEC = MetadataSpec(
    hostname="web",
    project_id="demo",
    availability_zone="nova",
    reservation_id="r-1",
    instance_type="m1.nano",
    image_ref="1a2b3c4d-0000-4000-8000-000000000000",
    keys=(("mine", "ssh-ed25519 AAAA me"),),
    properties={"role": "web"},
    tags=(("fa:16:3e:00:00:01", "outside"),),
    user_data=base64.b64encode(b"#!/bin/sh\n").decode(),
)
WIRED = Wired(("fd00::5", "10.0.0.5"), ("172.24.4.7",), ("default", "web"))


def told(path, spec=SPEC, wired=WIRED):
    body = answer(path, GUEST, spec, wired)
    return None if body is None else body.decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("meta-data/instance-id", "i-5e17e500"),
        ("meta-data/ami-id", "ami-1a2b3c4d"),
        ("meta-data/local-ipv4", "10.0.0.5"),
        ("meta-data/public-ipv4", "172.24.4.7"),
        ("meta-data/security-groups", "default\nweb"),
        ("meta-data/hostname", "web"),
        ("meta-data/placement", "availability-zone"),
        ("meta-data/placement/availability-zone", "nova"),
        ("meta-data/public-keys/", "0=mine"),
        ("meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA me"),
        ("user-data", "#!/bin/sh\n"),
        ("meta-data/nothing", None),
        ("meta-data/hostname/more", None),
        ("nothing", None),
    ],
)
@pytest.mark.parametrize("version", ["latest", "2009-04-04"])
def test_the_ec2_tree(version, path, body):
    assert told(f"/{version}/{path}") == body


def test_every_entry_of_a_directory_is_there():
    assert told("/").split("\n") == [*EC2_VERSIONS, "openstack"]
    assert told("/openstack").split("\n") == [*OPENSTACK_VERSIONS]
    for place in ("/latest", "/latest/meta-data", "/openstack/latest"):
        for entry in told(place).split("\n"):
            assert told(f"{place}/{entry.partition('=')[0]}") is not None, entry


def test_a_guest_with_little_is_told_little():
    bare = MetadataSpec("web", "demo", "nova")
    assert told("/latest", bare) == "meta-data/"
    assert told("/latest/user-data", bare) is None
    assert told("/openstack/latest/user_data", bare) is None
    for name in ("local-ipv4", "public-ipv4", "security-groups"):
        assert told(f"/latest/meta-data/{name}", bare, Wired()) == ""


def test_the_openstack_document():
    document = msgspec.json.decode(told("/openstack/latest/meta_data.json"))
    assert (document["uuid"], document["meta"], document["public_keys"]) == (
        GUEST,
        {"role": "web"},
        {"mine": "ssh-ed25519 AAAA me"},
    )
    assert "admin_pass" not in document
    assert document["devices"] == [
        {"type": "nic", "bus": "none", "address": "none", "mac": "fa:16:3e:00:00:01", "tags": ["outside"]}
    ]
    assert told("/openstack/2099-01-01/meta_data.json") is None


class Switch(FakeSwitch):
    """Remembers where each network's metadata service listens."""

    def __init__(self, home):
        super().__init__(home, "a")
        self.at = {}

    async def metadata_socket(self, network_id):
        made = await super().metadata_socket(network_id)
        self.at[network_id] = made.getsockname()[1]
        return made


def wiring(*facts, addresses=("127.0.0.1",)):
    networks = tuple(NetworkSpec(n, 1450, dhcp=DhcpSpec(f"d-{n}", "", ())) for n in ("one", "two"))
    port = PortSpec("port", "one", "", addresses)
    return Wiring(networks, ports=(port, PortSpec("strange", "two", "", ("127.0.0.1",))), facts=facts)


@pytest.fixture
async def server(tmp_path):
    switch = Switch(tmp_path)
    for network in wiring().networks:
        await switch.ensure(network)
    made = MetadataServer(switch)
    yield made, switch
    await made.close()


async def test_the_asker_is_known_by_network_and_address(server):
    made, switch = server
    spec = GuestSpec("web", 1, 128, 1, None, (Nic("port", "", 1450),))
    guests = {GUEST: DesiredGuest(GUEST, 1, spec, SPEC)}

    async def ask(path, network="one", method="GET"):
        url = f"http://127.0.0.1:{switch.at[network]}/latest/meta-data/{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            return response.status, await response.text()

    await made.serve(wiring(), guests)
    assert await ask("public-ipv4") == (200, "")
    assert (await ask("hostname", "two"))[0] == 404
    assert (await ask("hostname", method="PUT"))[0] == 404
    await made.serve(wiring(PortFacts("port", ("default",), ("172.24.4.9",)), PortFacts("strange")), guests)
    assert await ask("public-ipv4") == (200, "172.24.4.9")
    assert await ask("security-groups") == (200, "default")
    await made.serve(wiring(addresses=("127.0.0.2",)), guests)
    assert (await ask("hostname"))[0] == 404
    await made.serve(wiring(), {GUEST: DesiredGuest(GUEST, 2, None)})
    assert (await ask("hostname"))[0] == 404
