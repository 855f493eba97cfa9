"""What a host is told to carry, and what its reports change, through the room's door."""

import msgspec
import pytest

from maldon.kernel.errors import BadRequest, Conflict, Forbidden, NotFound
from maldon.network import service
from maldon.network.routes import SERVICE
from maldon.network.service import Home, NicPlan, NicWanted
from maldon.placement import service as placement
from maldon.ports.agent import HostReport, ObservedWire
from maldon.ports.hypervisor import Capacity
from maldon.ports.switch import Wiring
from tests.harness import DEMO, OTHER, cloud

V2 = "/network/v2.0"
HOSTS = {"node-1": "10.9.0.1", "node-2": "10.9.0.2"}
SERVER = "11111111-1111-4111-8111-111111111111"
SECOND = "22222222-2222-4222-8222-222222222222"


async def report(net, *names):
    async with net.db.begin() as session:
        for name in names:
            told = HostReport(Capacity("fake", 1, 8, 8192, 100), tunnel_ip=HOSTS[name])
            await placement.report_host(session, net.op("agent"), name, told)


@pytest.fixture
async def net(database_url):
    async with cloud(database_url, [SERVICE], kit=[placement.PlacementSettings()]) as made:
        await report(made, *HOSTS)
        pool = ("172.24.4.10", "172.24.4.250")
        for _ in range(2):
            public = await service.ensure_public_network(
                made.op(), name="public", cidr="172.24.4.0/24", gateway="172.24.4.1", pool=pool
            )
            private = await service.ensure_private_network(made.op(), DEMO, "private", "10.0.0.0/24", "router")
        made.public, made.private = public, private
        yield made


async def wiring(net, host) -> Wiring:
    async with net.db.read() as session:
        return await service.wiring(session, net.op(), host)


async def boot(net, server, host, **plan):
    """The ports of a server, as its saga makes them."""
    op = net.op("demo")
    async with net.db.begin() as session:
        groups = await service.groups_for(session, op, [])
        plans = (
            await service.check_nics(session, op, [NicWanted(**plan)]) if plan else await service.auto_nics(session, op)
        )
        stored = msgspec.convert(msgspec.json.decode(msgspec.json.encode(plans)), list[NicPlan])
        home = Home(server, DEMO, "web", host)
        return await service.make_ports(session, net.op(), home=home, plans=stored, groups=groups)


async def drop(net, server):
    async with net.db.begin() as session:
        await service.unbind_or_drop_ports(session, net.op(), server)


async def owners(net):
    found = (await net.as_("admin")("GET", f"{V2}/ports?sort_key=device_owner")).json["ports"]
    return [port["device_owner"] for port in found]


async def test_a_first_guest_brings_its_network_to_its_host(net):
    (made,) = await boot(net, SERVER, "node-2")
    got = await wiring(net, "node-2")
    (port,), (network,), (group,) = got.ports, got.networks, got.groups
    assert (port.id, port.mac, port.addresses, port.groups) == (made.id, made.mac, made.addresses, (group.id,))
    assert (network.id, network.mtu, network.peers) == (net.private, made.mtu, (HOSTS["node-1"],))
    assert [(lease.mac, lease.address, lease.hostname) for lease in network.dhcp.leases] == [
        (made.mac, made.addresses[0], "web")
    ]
    assert network.dhcp.addresses[0].endswith("/24")
    assert group.members == made.addresses
    assert sorted((r.direction, r.ethertype, r.remote_group) for r in group.rules) == [
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group.id),
        ("ingress", "IPv6", group.id),
    ]


async def test_the_router_sits_on_one_host_with_its_networks(net):
    first, second = await wiring(net, "node-1"), await wiring(net, "node-2")
    assert (len(first.routers), second) == (1, Wiring())
    (router,) = first.routers
    assert [leg.addresses for leg in router.interfaces] == [("10.0.0.1/24",)]
    assert (router.gateway.network_id, router.next_hops, router.snat) == (net.public, ("172.24.4.1",), True)
    assert sorted((n.id, n.external, n.dhcp) for n in first.networks) == sorted(
        [(net.public, True, None), (net.private, False, None)]
    )


async def test_a_repeat_makes_the_same_ports_and_the_last_guest_takes_dhcp_along(net):
    before = await owners(net)
    made = await boot(net, SERVER, "node-2")
    assert await boot(net, SERVER, "node-2") == made
    assert await owners(net) == sorted([*before, "compute:nova", "network:dhcp"])
    moved = await boot(net, SERVER, "node-1")
    assert moved == made
    assert await wiring(net, "node-2") == Wiring()
    for _ in range(2):
        await drop(net, SERVER)
    assert await owners(net) == before


async def test_a_port_of_the_users_own_is_adopted_and_given_back(net):
    port = (await net("POST", f"{V2}/ports", {"port": {"network_id": net.private}})).json["port"]
    (made,) = await boot(net, SERVER, "node-1", port_id=port["id"])
    assert (made.id, made.mac) == (port["id"], port["mac_address"])
    with pytest.raises(Conflict):
        await boot(net, SECOND, "node-1", port_id=port["id"])
    await drop(net, SERVER)
    after = (await net("GET", f"{V2}/ports/{port['id']}")).json["port"]
    assert (after["device_id"], after["device_owner"], after["status"]) == ("", "", "DOWN")
    assert (await wiring(net, "node-1")).ports == ()


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ({"network_id": SERVER}, NotFound),
        ({"port_id": SERVER}, NotFound),
        ({}, BadRequest),
        ({"network_id": "private", "fixed_ip": "10.1.0.1"}, BadRequest),
        ({"network_id": "private", "fixed_ip": "10.0.0.1"}, Conflict),
        ({"network_id": "public"}, Forbidden),
    ],
)
async def test_a_nic_that_cannot_be_is_refused(net, wanted, refusal):
    names = {"private": net.private, "public": net.public}
    nic = NicWanted(**{k: names.get(v, v) for k, v in wanted.items()})
    with pytest.raises(refusal):
        async with net.db.begin() as session:
            await service.check_nics(session, net.op("demo"), [nic])


async def test_auto_means_the_only_network(net):
    async with net.db.begin() as session:
        assert await service.auto_nics(session, net.op("demo")) == [NicPlan(net.private)]
        with pytest.raises(BadRequest):
            await service.auto_nics(session, net.op("other"))
    second = (await net("POST", f"{V2}/networks", {"network": {}})).json["network"]
    await net("POST", f"{V2}/subnets", {"subnet": {"network_id": second["id"], "cidr": "10.7.0.0/24"}})
    async with net.db.begin() as session:
        with pytest.raises(Conflict):
            await service.auto_nics(session, net.op("demo"))


async def test_a_member_elsewhere_is_known_to_the_filter_here(net):
    (one,) = await boot(net, SERVER, "node-1")
    (two,) = await boot(net, SECOND, "node-2")
    for host in HOSTS:
        (group,) = (await wiring(net, host)).groups
        assert group.members == tuple(sorted((*one.addresses, *two.addresses)))
    (here,) = [n.dhcp for n in (await wiring(net, "node-1")).networks if n.dhcp]
    assert [lease.mac for lease in here.leases] == [one.mac]


async def test_reports_make_ports_routers_and_floating_ips_active(net):
    (made,) = await boot(net, SERVER, "node-2")
    body = {"floatingip": {"floating_network_id": net.public, "port_id": made.id}}
    floating = (await net("POST", f"{V2}/floatingips", body)).json["floatingip"]
    (router,) = (await wiring(net, "node-1")).routers
    assert router.floating == ((floating["floating_ip_address"], made.addresses[0]),)

    async def tell(host, *wires):
        async with net.db.begin() as session:
            await service.record_wires(session, net.op(), host, wires)

    async def statuses():
        port = (await net("GET", f"{V2}/ports/{made.id}")).json["port"]
        fip = (await net("GET", f"{V2}/floatingips/{floating['id']}")).json["floatingip"]
        leg = (await net("GET", f"{V2}/ports?device_id={router.id}&fixed_ips=ip_address=10.0.0.1")).json["ports"]
        return port["status"], fip["status"], leg[0]["status"]

    assert await statuses() == ("DOWN", "DOWN", "DOWN")
    await tell("node-1", ObservedWire("port", made.id, True))
    assert await statuses() == ("DOWN", "DOWN", "DOWN")
    await tell("node-2", ObservedWire("port", made.id, True), ObservedWire("network", net.private, True))
    await tell("node-1", ObservedWire("router", router.id, True))
    assert await statuses() == ("ACTIVE", "ACTIVE", "ACTIVE")
    await tell("node-2", ObservedWire("port", made.id, False))
    assert (await statuses())[0] == "DOWN"
    async with net.db.read() as session:
        (seen,) = (await service.server_nets(session, [SERVER, SECOND]))[SERVER]
    assert [(f.address, f.floating) for f in seen.fixed] == [(made.addresses[0], floating["floating_ip_address"])]
    assert (seen.network_name, [name for _, name in seen.groups]) == ("private", ["default"])


async def test_routers_leave_dead_hosts(net):
    assert await service.place_routers(net.op()) == 0
    net.clock.advance(3600)
    assert await service.place_routers(net.op()) == 0
    await report(net, "node-2")
    assert await service.place_routers(net.op()) == 1
    assert ((await wiring(net, "node-1")).routers, len((await wiring(net, "node-2")).routers)) == ((), 1)
    assert await service.place_routers(net.op()) == 0


async def test_a_router_is_placed_where_its_zone_hints_say(net):
    async with net.db.begin() as session:
        (west,) = [h.id for h in await placement.hosts(session, net.op()) if h.name == "node-2"]
        await placement.set_host(session, net.op(), west, availability_zone="west")

    async def routed(cidr, **more):
        router = (await net("POST", f"{V2}/routers", {"router": more})).json["router"]
        made = (await net("POST", f"{V2}/networks", {"network": {}})).json["network"]
        subnet = {"network_id": made["id"], "cidr": cidr, "ip_version": 4}
        made = (await net("POST", f"{V2}/subnets", {"subnet": subnet})).json["subnet"]
        body = {"subnet_id": made["id"]}
        assert (await net("PUT", f"{V2}/routers/{router['id']}/add_router_interface", body)).status == 200
        return (await net("GET", f"{V2}/routers/{router['id']}")).json["router"]

    for n, zone in enumerate(("nova", "west")):
        router = await routed(f"10.{n + 1}.0.0/24", availability_zone_hints=[zone])
        assert router["availability_zones"] == router["availability_zone_hints"] == [zone]
    assert (await routed("10.3.0.0/24"))["availability_zones"] == ["west"]  # it has fewer
    got = await net("POST", f"{V2}/routers", {"router": {"availability_zone_hints": ["east"]}})
    assert (got.status, got.json["NeutronError"]["type"]) == (404, "AvailabilityZoneNotFound")
    net.clock.advance(3600)
    await report(net, "node-1")
    assert await service.place_routers(net.op()) == 1  # the one that may be anywhere
    assert await service.place_routers(net.op()) == 0
    await report(net, "node-2")
    assert len((await wiring(net, "node-2")).routers) == 1


async def test_a_host_is_woken_when_its_wiring_changes(net):
    topics = (service.WIRING_TOPIC, service.wiring_topic("node-2"))
    with net.wakes.listening(*topics) as woken:
        (made,) = await boot(net, SERVER, "node-2")
        group = (await net("GET", f"{V2}/ports/{made.id}")).json["port"]["security_groups"][0]
        rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
        for method, path, body in (
            ("PUT", f"ports/{made.id}", {"port": {"admin_state_up": False}}),
            ("PUT", f"networks/{net.private}", {"network": {"mtu": 1400}}),
            ("POST", "subnets", {"subnet": {"network_id": net.private, "cidr": "10.3.0.0/24"}}),
            ("POST", "security-group-rules", {"security_group_rule": rule}),
            ("DELETE", f"ports/{made.id}", None),
        ):
            woken.clear()
            assert (await net(method, f"{V2}/{path}", body)).status < 300
            assert woken.is_set(), path


async def test_the_host_of_a_guest_is_told_its_group_names_and_addresses_outside(net):
    (made,) = await boot(net, SERVER, "node-2")
    (facts,) = (await wiring(net, "node-2")).facts
    assert (facts.port_id, facts.groups, facts.floating) == (made.id, ("default",), ())
    body = {"floatingip": {"floating_network_id": net.public, "port_id": made.id}}
    with net.wakes.listening(service.wiring_topic("node-2")) as woken:
        floating = (await net("POST", f"{V2}/floatingips", body)).json["floatingip"]
        assert woken.is_set()
        (facts,) = (await wiring(net, "node-2")).facts
        assert facts.floating == (floating["floating_ip_address"],)
        woken.clear()
        path = f"{V2}/floatingips/{floating['id']}"
        assert (await net("PUT", path, {"floatingip": {"port_id": None}})).status == 200
        assert woken.is_set()
    assert (await wiring(net, "node-1")).facts == ()
    (facts,) = (await wiring(net, "node-2")).facts
    assert facts.floating == ()


async def test_dhcp_options_of_a_port_are_in_its_lease(net):
    (made,) = await boot(net, SERVER, "node-2")

    async def put(*options):
        body = {"port": {"extra_dhcp_opts": [dict(zip(("opt_name", "opt_value"), o, strict=True)) for o in options]}}
        return (await net("PUT", f"{V2}/ports/{made.id}", body)).status

    assert await put(("mtu", "1300"), ("42", "10.0.0.8,10.0.0.9")) == 200
    assert await put(("mtu", None), ("tftp-server", "boot.example")) == 200
    for refused in (("no-such-option", "1"), ("mtu", "1\n2"), ("300", "1"), ("mtu", "")):
        assert await put(refused) == 400
    six = {"opt_name": "dns-server", "opt_value": "fd00::53", "ip_version": 6}
    assert (await net("PUT", f"{V2}/ports/{made.id}", {"port": {"extra_dhcp_opts": [six]}})).status == 200
    (network,) = (await wiring(net, "node-2")).networks
    assert [lease.options for lease in network.dhcp.leases] == [
        (("42", "10.0.0.8,10.0.0.9"), ("tftp-server", "boot.example"))
    ]


async def test_new_subnets_reach_dhcp_and_full_ones_do_not_stop_guests(net):
    await boot(net, SERVER, "node-1")
    subnet = {"network_id": net.private, "cidr": "10.3.0.0/30", "gateway_ip": "10.3.0.1"}
    got = await net("POST", f"{V2}/subnets", {"subnet": {**subnet, "allocation_pools": []}})
    assert got.status == 201
    (network,) = [n for n in (await wiring(net, "node-1")).networks if not n.external]
    assert (len(network.subnets), len(network.dhcp.addresses)) == (2, 1)
    served = next(s.id for s in network.subnets if s.cidr == "10.0.0.0/24")
    got = await net("PUT", f"{V2}/subnets/{served}", {"subnet": {"enable_dhcp": False}})
    assert got.status == 200
    (network,) = [n for n in (await wiring(net, "node-1")).networks if not n.external]
    assert network.dhcp is None


async def test_the_wiring_is_computed_in_few_statements_and_is_always_the_same(net):
    for n in range(3):
        await boot(net, f"{n}{SERVER[1:]}", "node-1")
    before = net.db.statements
    first = await wiring(net, "node-1")
    assert net.db.statements - before <= 15
    assert msgspec.json.encode(first) == msgspec.json.encode(await wiring(net, "node-1"))


async def test_a_foreign_device_id_does_not_enter_a_servers_view(net):
    await boot(net, SERVER, "node-1")
    other = net.as_("other")
    made = (await other("POST", f"{V2}/networks", {"network": {}})).json["network"]
    body = {"port": {"network_id": made["id"], "device_id": SERVER, "device_owner": "compute:nova"}}
    assert (await other("POST", f"{V2}/ports", body)).json["port"]["project_id"] == OTHER
    async with net.db.read() as session:
        assert len((await service.server_nets(session, [SERVER]))[SERVER]) == 1
    await drop(net, SERVER)
    assert len((await other("GET", f"{V2}/ports")).json["ports"]) == 1
