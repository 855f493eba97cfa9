"""Networks, subnets, ports, routers, floating IPs and security groups through the API a user has."""

import asyncio

import pytest

from maldon.network import service
from maldon.network.plan.addresses import slaac
from maldon.network.routes import SERVICE
from maldon.placement import service as placement
from maldon.ports.agent import HostReport
from maldon.ports.hypervisor import Capacity
from tests.harness import DEMO, OTHER, cloud

V2 = "/network/v2.0"
SETTINGS = service.NetworkSettings(quota_port=6)
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def net(database_url):
    async with cloud(database_url, [SERVICE], kit=[SETTINGS, placement.PlacementSettings()]) as made:
        async with made.db.begin() as session:
            report = HostReport(Capacity("fake", 1, 8, 8192, 100), tunnel_ip="10.9.0.1")
            await placement.report_host(session, made.op("agent"), "node-1", report)
        yield made


async def make(net, kind, path=None, **body):
    got = await net("POST", f"{V2}/{path or kind + 's'}", {kind: body})
    assert got.status == 201, got.body
    return got.json[kind]


async def network(net, cidr="10.0.0.0/24", **more):
    made = await make(net, "network", **more)
    subnet = await make(net, "subnet", network_id=made["id"], cidr=cidr, ip_version=6 if ":" in cidr else 4)
    return made, subnet


async def outside(net):
    admin = net.as_("admin")
    public = await make(admin, "network", **{"router:external": True, "name": "public"})
    await make(admin, "subnet", network_id=public["id"], cidr="172.24.4.0/28", enable_dhcp=False, ip_version=4)
    return public


async def refused(net, method, path, body=None, **headers):
    got = await net(method, f"{V2}/{path}", body, **headers)
    return got.status, got.json["NeutronError"]["type"]


async def test_a_network_with_its_subnet_and_port_from_birth_to_death(net):
    made, subnet = await network(net, name="n")
    assert (subnet["gateway_ip"], subnet["allocation_pools"]) == (
        "10.0.0.1",
        [{"start": "10.0.0.2", "end": "10.0.0.254"}],
    )
    port = await make(net, "port", network_id=made["id"], name="p")
    assert port["mac_address"].startswith("fa:16:3e:")
    assert [f["subnet_id"] for f in port["fixed_ips"]] == [subnet["id"]]
    groups = (await net("GET", f"{V2}/security-groups?name=default")).json["security_groups"]
    assert port["security_groups"] == [groups[0]["id"]]
    assert sorted((r["direction"], r["ethertype"]) for r in groups[0]["security_group_rules"]) == [
        ("egress", "IPv4"),
        ("egress", "IPv6"),
        ("ingress", "IPv4"),
        ("ingress", "IPv6"),
    ]
    shown = (await net("GET", f"{V2}/networks/{made['id']}")).json["network"]
    assert shown == made | {"subnets": [subnet["id"]]}
    assert await refused(net, "DELETE", f"networks/{made['id']}") == (409, "NetworkInUse")
    assert await refused(net, "DELETE", f"subnets/{subnet['id']}") == (409, "SubnetInUse")
    for path in (f"ports/{port['id']}", f"subnets/{subnet['id']}", f"networks/{made['id']}"):
        assert (await net("DELETE", f"{V2}/{path}")).status == 204
    assert (await net("GET", f"{V2}/networks")).json == {"networks": []}


async def test_many_are_made_at_once_or_none(net):
    got = await net("POST", f"{V2}/networks", {"networks": [{"name": "a"}, {"name": "b"}]})
    assert (got.status, [n["name"] for n in got.json["networks"]]) == (201, ["a", "b"])
    made, _ = await network(net, "10.0.0.0/30")
    wanted = [{"network_id": made["id"]}] * 2
    assert await refused(net, "POST", "ports", {"ports": wanted}) == (409, "IpAddressGenerationFailure")
    assert (await net("GET", f"{V2}/ports")).json["ports"] == []


async def test_every_address_of_a_small_subnet_is_given_once(net):
    made, _ = await network(net, "10.0.0.0/29")
    ports = [await make(net, "port", network_id=made["id"]) for _ in range(5)]
    assert {p["fixed_ips"][0]["ip_address"] for p in ports} == {f"10.0.0.{n}" for n in range(2, 7)}
    assert await refused(net, "POST", "ports", {"port": {"network_id": made["id"]}}) == (
        409,
        "IpAddressGenerationFailure",
    )


async def test_ports_have_an_address_of_each_ip_version(net):
    made, _ = await network(net)
    wanted = {"network_id": made["id"], "cidr": "fd00::/64", "ip_version": 6, "ipv6_address_mode": "slaac"}
    await make(net, "subnet", **wanted)
    port = await make(net, "port", network_id=made["id"])
    four, six = (f["ip_address"] for f in port["fixed_ips"])
    assert (four.rpartition(".")[0], six) == ("10.0.0", slaac("fd00::/64", port["mac_address"]))


async def test_quotas_are_counted(net):
    made, _ = await network(net)
    for _ in range(6):
        await make(net, "port", network_id=made["id"])
    assert await refused(net, "POST", "ports", {"port": {"network_id": made["id"]}}) == (409, "OverQuota")
    details = (await net("GET", f"{V2}/quotas/{DEMO}/details.json")).json["quota"]
    assert details["port"] == {"limit": 6, "used": 6, "reserved": 0}
    assert (await net("PUT", f"{V2}/quotas/{DEMO}", {"quota": {"port": 7}})).status == 403
    got = await net.as_("admin")("PUT", f"{V2}/quotas/{DEMO}", {"quota": {"port": 7}})
    assert got.json["quota"]["port"] == 7
    await make(net, "port", network_id=made["id"])
    assert (await net.as_("admin")("DELETE", f"{V2}/quotas/{DEMO}")).status == 204
    assert (await net("GET", f"{V2}/quotas/{DEMO}")).json["quota"]["port"] == 6


async def test_a_router_carries_a_floating_ip_to_a_port(net):
    public = await outside(net)
    made, subnet = await network(net)
    port = await make(net, "port", network_id=made["id"])
    wanted = {"floating_network_id": public["id"], "port_id": port["id"]}
    assert await refused(net, "POST", "floatingips", {"floatingip": wanted}) == (
        404,
        "ExternalGatewayForFloatingIPNotFound",
    )
    router = await make(net, "router", external_gateway_info={"network_id": public["id"]})
    assert router["external_gateway_info"]["enable_snat"]
    leg = {"subnet_id": subnet["id"]}
    got = await net("PUT", f"{V2}/routers/{router['id']}/add_router_interface", leg)
    assert (got.status, got.json["subnet_ids"]) == (200, [subnet["id"]])
    floating = await make(net, "floatingip", **wanted)
    assert (floating["router_id"], floating["fixed_ip_address"]) == (router["id"], port["fixed_ips"][0]["ip_address"])
    assert await refused(net, "POST", "floatingips", {"floatingip": wanted}) == (409, "FloatingIPPortAlreadyAssociated")
    for method, path, body, kind in (
        ("PUT", f"routers/{router['id']}/remove_router_interface", leg, "RouterInterfaceInUseByFloatingIP"),
        (
            "PUT",
            f"routers/{router['id']}",
            {"router": {"external_gateway_info": {}}},
            "RouterExternalGatewayInUseByFloatingIp",
        ),
        ("DELETE", f"routers/{router['id']}", None, "RouterInUse"),
        ("DELETE", f"ports/{got.json['port_id']}", None, "ServicePortInUse"),
    ):
        assert await refused(net, method, path, body) == (409, kind)
    assert (await net("DELETE", f"{V2}/ports/{port['id']}")).status == 204
    left = (await net("GET", f"{V2}/floatingips/{floating['id']}")).json["floatingip"]
    assert (left["port_id"], left["router_id"], left["status"]) == (None, None, "DOWN")
    assert (await net("DELETE", f"{V2}/floatingips/{floating['id']}")).status == 204
    assert (await net("PUT", f"{V2}/routers/{router['id']}/remove_router_interface", leg)).status == 200
    assert (await net("DELETE", f"{V2}/routers/{router['id']}")).status == 204
    assert (await net.as_("admin")("GET", f"{V2}/ports")).json["ports"] == []


async def test_routes_need_a_next_hop_the_router_reaches(net):
    _, subnet = await network(net)
    router = await make(net, "router")
    await net("PUT", f"{V2}/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})

    async def route(hop, verb="add_extraroutes"):
        body = {"router": {"routes": [{"destination": "10.9.0.0/16", "nexthop": hop}]}}
        return await net("PUT", f"{V2}/routers/{router['id']}/{verb}", body)

    assert ((await route("10.0.0.1")).status, (await route("10.1.0.1")).status) == (400, 400)
    assert (await route("10.0.0.9")).json["router"]["routes"] == [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]
    got = await net("PUT", f"{V2}/routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})
    assert (got.status, got.json["NeutronError"]["type"]) == (409, "RouterInterfaceInUseByRoute")
    assert (await route("10.0.0.9", "remove_extraroutes")).json["router"]["routes"] == []


async def test_rules_of_a_group_exist_once(net):
    group = await make(net, "security_group", "security-groups", name="web")
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 80,
    }
    first = await make(net, "security_group_rule", "security-group-rules", **rule)
    same = {"security_group_rule": {**rule, "protocol": "6", "remote_ip_prefix": "0.0.0.0/0"}}
    got = await net("POST", f"{V2}/security-group-rules", same)
    assert (got.status, first["id"] in got.json["NeutronError"]["message"]) == (409, True)
    assert await refused(net, "POST", "security-groups", {"security_group": {"name": "default"}}) == (
        409,
        "SecurityGroupDefaultAlreadyExists",
    )
    default = (await net("GET", f"{V2}/security-groups?name=default&fields=id")).json["security_groups"]
    assert await refused(net, "DELETE", f"security-groups/{default[0]['id']}") == (
        409,
        "SecurityGroupCannotRemoveDefault",
    )
    assert (await net("DELETE", f"{V2}/security-groups/{group['id']}")).status == 204
    assert (await net("GET", f"{V2}/security-group-rules/{first['id']}")).status == 404


async def test_what_belongs_to_others_does_not_exist(net):
    made, subnet = await network(net, name="secret")
    router = await make(net, "router")
    port = await make(net, "port", network_id=made["id"])
    other = net.as_("other")
    paths = [f"networks/{made['id']}", f"subnets/{subnet['id']}", f"ports/{port['id']}", f"routers/{router['id']}"]
    paths.append(f"security-groups/{port['security_groups'][0]}")
    for path in paths:
        one = path.partition("/")[0].rstrip("s").replace("-", "_")
        assert (await other("GET", f"{V2}/{path}")).status == 404
        assert (await other("PUT", f"{V2}/{path}", {one: {"name": "mine"}})).status == 404
        assert (await other("DELETE", f"{V2}/{path}")).status == 404
    assert (await other("GET", f"{V2}/networks")).json == {"networks": []}
    assert (await other("POST", f"{V2}/ports", {"port": {"network_id": made["id"]}})).status == 404
    assert (await other("POST", f"{V2}/networks", {"network": {"project_id": DEMO}})).status == 403


async def test_a_shared_network_is_seen_by_all_and_changed_by_none(net):
    admin = net.as_("admin")
    made, subnet = await network(admin, shared=True)
    assert (await net("GET", f"{V2}/networks/{made['id']}")).json["network"]["shared"]
    assert "provider:segmentation_id" not in (await net("GET", f"{V2}/networks/{made['id']}")).json["network"]
    port = await make(net, "port", network_id=made["id"])
    assert port["project_id"] == DEMO
    assert (await net("PUT", f"{V2}/networks/{made['id']}", {"network": {"name": "x"}})).status == 403
    assert (
        await net("POST", f"{V2}/subnets", {"subnet": {"network_id": made["id"], "cidr": "10.8.0.0/24"}})
    ).status == 403
    wanted = {"network_id": made["id"], "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.0.0.77"}]}
    assert (await net("POST", f"{V2}/ports", {"port": wanted})).status == 403
    assert (await admin("PUT", f"{V2}/networks/{made['id']}", {"network": {"shared": False}})).status == 409


@pytest.mark.parametrize("attribute", ["shared", "router:external"])
async def test_only_an_admin_opens_a_network(net, attribute):
    assert (await net("POST", f"{V2}/networks", {"network": {attribute: True}})).status == 403
    made = await make(net, "network")
    assert (await net("PUT", f"{V2}/networks/{made['id']}", {"network": {attribute: True}})).status == 403


async def test_if_match_names_the_revision(net):
    made = await make(net, "network")
    path, body = f"{V2}/networks/{made['id']}", {"network": {"name": "new"}}
    assert (await net("PUT", path, body, If_Match=f"revision_number={made['revision_number'] + 1}")).status == 412
    got = await net("PUT", path, body, If_Match=f"revision_number={made['revision_number']}")
    assert (got.status, got.json["network"]["revision_number"]) == (200, made["revision_number"] + 1)
    assert (await net("DELETE", path, If_Match="revision_number=1")).status == 412


async def test_lists_are_filtered_sorted_narrowed_and_paged(net):
    for name in ("b", "a", "c"):
        await make(net, "network", name=name)

    async def names(query):
        return [n.get("name") for n in (await net("GET", f"{V2}/networks?{query}")).json["networks"]]

    assert await names("sort_key=name&sort_dir=desc") == ["c", "b", "a"]
    assert await names("name=a&name=c&sort_key=name") == ["a", "c"]
    assert await names("admin_state_up=False") == []
    assert await names("colour=red&sort_key=name") == ["a", "b", "c"]
    assert (await net("GET", f"{V2}/networks?name=a&fields=name")).json == {"networks": [{"name": "a"}]}
    seen, where = [], f"{V2}/networks?limit=2&sort_key=name"
    while where:
        page = (await net("GET", where)).json
        seen.append([n["name"] for n in page["networks"]])
        links = {link["rel"]: link["href"] for link in page.get("networks_links", ())}
        where = links.get("next", "").removeprefix("http://cloud.test")
    assert seen == [["a", "b"], ["c"]]
    back = (await net("GET", links["previous"].removeprefix("http://cloud.test"))).json["networks"]
    assert [n["name"] for n in back] == ["a", "b"]


async def test_tags_are_set_and_filter(net):
    red, both = await make(net, "network", name="red"), await make(net, "network", name="both")
    for item, tags in ((red, ["red"]), (both, ["red", 'blue"x,', "Blue"])):
        assert (await net("PUT", f"{V2}/networks/{item['id']}/tags", {"tags": tags})).status == 200
    plain = await make(net, "network", name="plain")

    async def names(query):
        found = (await net("GET", f"{V2}/networks?{query}")).json["networks"]
        return sorted(n["name"] for n in found)

    assert await names("tags=red") == ["both", "red"]
    assert await names("tags=red,Blue") == ["both"]
    assert await names("tags=blue") == []
    assert await names("tags-any=Blue,red") == ["both", "red"]
    assert await names("not-tags=red,Blue") == ["plain", "red"]
    assert await names("not-tags-any=red") == ["plain"]
    path = f"{V2}/networks/{plain['id']}/tags"
    assert (await net("PUT", f"{path}/green")).status == 201
    assert ((await net("GET", f"{path}/green")).status, (await net("GET", f"{path}/red")).status) == (204, 404)
    assert (await net("GET", path)).json == {"tags": ["green"]}
    assert (await net("DELETE", f"{path}/green")).status == 204
    assert (await net.as_("other")("PUT", f"{path}/mine")).status == 404


async def test_ports_are_found_by_address(net):
    made, subnet = await network(net)
    wanted = [{"subnet_id": subnet["id"], "ip_address": "10.0.0.42"}]
    port = await make(net, "port", network_id=made["id"], fixed_ips=wanted)
    await make(net, "port", network_id=made["id"], fixed_ips=[{"ip_address": "10.0.0.7"}])
    for query in (
        "fixed_ips=ip_address=10.0.0.42",
        "fixed_ips=ip_address_substr=0.4",
        f"mac_address={port['mac_address']}",
    ):
        found = (await net("GET", f"{V2}/ports?{query}")).json["ports"]
        assert [p["id"] for p in found] == [port["id"]]
    assert len((await net("GET", f"{V2}/ports?fixed_ips=subnet_id={subnet['id']}")).json["ports"]) == 2


async def test_the_books_are_read_in_few_statements(net, request):
    made, _ = await network(net)
    await make(net, "port", network_id=made["id"])
    counts = {}
    for method, path, body in (
        ("GET", "networks", None),
        ("GET", "ports", None),
        ("POST", "ports", {"port": {"network_id": made["id"]}}),
    ):
        before = net.db.statements
        assert (await net(method, f"{V2}/{path}", body)).status < 300
        counts[f"{method} {path}"] = net.db.statements - before
    locks = 0 if "sqlite" in request.node.name else 1
    assert counts == {"GET networks": 2, "GET ports": 3, "POST ports": 8 + locks}


COLLECTIONS = {
    "networks": ("network", {}),
    "subnets": ("subnet", {"network_id": NOBODY, "cidr": "10.0.0.0/24"}),
    "subnetpools": ("subnetpool", {"prefixes": ["10.0.0.0/8"]}),
    "ports": ("port", {"network_id": NOBODY}),
    "routers": ("router", {}),
    "floatingips": ("floatingip", {"floating_network_id": NOBODY}),
    "security-groups": ("security_group", {}),
    "security-group-rules": ("security_group_rule", {"security_group_id": NOBODY, "direction": "ingress"}),
}


@pytest.mark.parametrize("path", COLLECTIONS)
async def test_bad_input_is_the_askers_fault(net, path):
    one, good = COLLECTIONS[path]
    bodies = [
        {},
        [],
        {one: []},
        {one: None},
        {"thing": good},
        {one: {**good, "colour": "red"}},
        {one: {**good, "description": 5}},
        {one: {**good, "description": "d" * 300}},
        {one: {**good, "project_id": "a", "tenant_id": "b"}},
        {one: {**good, "project_id": OTHER}},
        {f"{one}s": []},
        {f"{one}s": [7]},
    ]
    for body in bodies:
        got = await net("POST", f"{V2}/{path}", body)
        assert 400 <= got.status < 500, (body, got.body)
        assert set(got.json["NeutronError"]) == {"type", "message", "detail"}
    assert (await net("POST", f"{V2}/{path}", body=b"{")).status == 400
    assert (await net("POST", f"{V2}/{path}", {one: {**good, "description": "d" * 2_000_000}})).status == 413
    for item in (NOBODY, "%00", "x" * 300, "'"):
        assert (await net("GET", f"{V2}/{path}/{item}")).status == 404
        assert (await net("DELETE", f"{V2}/{path}/{item}")).status == 404
        assert (await net("PUT", f"{V2}/{path}/{item}", {one: {"description": "x"}})).status == 404
    for query in (
        "limit=-1",
        "limit=x",
        "limit=99999999999999999999",
        "sort_key=colour",
        "sort_key=id&sort_dir=up",
        "marker=x",
    ):
        assert (await net("GET", f"{V2}/{path}?{query}")).status in {400, 404}
    for method, where in (("GET", path), ("POST", path), ("GET", f"{path}/x"), ("PUT", f"{path}/x/tags/y")):
        assert (await net.as_("")(method, f"{V2}/{where}")).status == 401
        assert (await net.as_("expired")(method, f"{V2}/{where}")).status == 401
    assert (await net.as_("reader")("POST", f"{V2}/{path}", {one: good})).status in {403, 404}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cidr": "10.0.0.0/33"}, 400),
        ({"cidr": "fd00::/64"}, 400),
        ({"cidr": "224.0.0.0/24"}, 400),
        ({"cidr": "0.0.0.0/0"}, 400),
        ({"cidr": "10.0.0.0/31"}, 400),
        ({"cidr": None}, 400),
        ({"gateway_ip": "10.0.0.255"}, 400),
        ({"gateway_ip": "fd00::1"}, 400),
        ({"gateway_ip": "10.0.0.5", "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9"}]}, 409),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}, 400),
        ({"allocation_pools": [{"start": "10.0.1.2", "end": "10.0.1.9"}]}, 400),
        ({"allocation_pools": [{"start": "fd00::2", "end": "fd00::9"}]}, 400),
        ({"allocation_pools": [{"start": "10.0.0.2"}]}, 400),
        ({"dns_nameservers": ["x"]}, 400),
        ({"host_routes": [{"destination": "x", "nexthop": "10.0.0.1"}]}, 400),
        ({"ipv6_ra_mode": "slaac"}, 400),
        ({"ip_version": 5}, 400),
        ({"prefixlen": 24}, 400),
        ({"subnetpool_id": NOBODY}, 404),
    ],
)
async def test_a_subnet_nobody_can_live_in_is_refused(net, change, status):
    made = await make(net, "network")
    wanted = {"network_id": made["id"], "ip_version": 4, "cidr": "10.0.0.0/24", **change}
    got = await net("POST", f"{V2}/subnets", {"subnet": wanted})
    assert (got.status, (await net("GET", f"{V2}/subnets")).json["subnets"]) == (status, [])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"fixed_ips": [{"ip_address": "10.1.0.1"}]}, 400),
        ({"fixed_ips": [{"ip_address": "10.0.0.255"}]}, 400),
        ({"fixed_ips": [{"ip_address": "x"}]}, 400),
        ({"fixed_ips": [{}]}, 400),
        ({"fixed_ips": [{"subnet_id": NOBODY}]}, 400),
        ({"mac_address": "x"}, 400),
        ({"mac_address": "ff:ff:ff:ff:ff:ff"}, 400),
        ({"security_groups": [NOBODY]}, 404),
        ({"port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}, 409),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}] * 2}, 400),
        ({"binding:host_id": "node-1"}, 403),
        ({"binding:vnic_type": "direct"}, 400),
    ],
)
async def test_a_port_that_cannot_be_is_refused(net, change, status):
    made, _ = await network(net)
    got = await net("POST", f"{V2}/ports", {"port": {"network_id": made["id"], **change}})
    assert (got.status, (await net("GET", f"{V2}/ports")).json["ports"]) == (status, [])


async def test_a_pool_gives_its_lowest_free_range(net):
    pool = await make(net, "subnetpool", prefixes=["10.0.0.0/16"], default_prefixlen=24, min_prefixlen=20)
    made = await make(net, "network")
    cidrs = [
        (await make(net, "subnet", network_id=made["id"], ip_version=4, subnetpool_id=pool["id"], **more))["cidr"]
        for more in ({}, {"prefixlen": 20}, {})
    ]
    assert cidrs == ["10.0.0.0/24", "10.0.16.0/20", "10.0.1.0/24"]
    assert await refused(net, "DELETE", f"subnetpools/{pool['id']}") == (409, "SubnetPoolDeleteError")


async def test_a_pools_quota_counts_the_addresses_of_each_project(net):
    admin, other = net.as_("admin"), net.as_("other")
    pools = {
        4: await make(admin, "subnetpool", prefixes=["10.0.0.0/16"], default_quota=512, shared=True),
        6: await make(
            admin,
            "subnetpool",
            prefixes=["fd00::/48"],
            min_prefixlen=62,
            default_prefixlen=64,
            default_quota=2,
            shared=True,
        ),
    }

    async def cut(who, version, length):
        made = await make(who, "network")
        body = {"network_id": made["id"], "subnetpool_id": pools[version]["id"], "prefixlen": length}
        got = await who("POST", f"{V2}/subnets", {"subnet": {**body, "ip_version": version}})
        return got.status if got.status == 201 else (got.status, got.json["NeutronError"]["type"])

    over = (409, "SubnetPoolQuotaExceeded")
    assert [await cut(net, 4, length) for length in (22, 24, 25, 24, 25)] == [over, 201, 201, over, 201]
    assert [await cut(net, 6, length) for length in (62, 64, 64, 64)] == [over, 201, 201, over]
    assert await cut(other, 4, 23) == 201
    assert (
        await admin("PUT", f"{V2}/subnetpools/{pools[4]['id']}", {"subnetpool": {"default_quota": None}})
    ).status == 200
    assert await cut(net, 4, 20) == 201


async def test_discovery_names_only_what_is_there(net):
    anybody = net.as_("")
    assert (await anybody("GET", "/network/")).json["versions"][0]["id"] == "v2.0"
    for item in (await anybody("GET", f"{V2}/")).json["resources"]:
        if item["collection"] != "quotas":
            assert (await net.as_("admin")("GET", f"{V2}/{item['collection']}")).status == 200, item
    for item in (await net("GET", f"{V2}/extensions")).json["extensions"]:
        assert (await net("GET", f"{V2}/extensions/{item['alias']}")).json == {"extension": item}


async def test_hosts_are_shown_as_agents_to_those_who_run_them(net):
    agents = (await net.as_("admin")("GET", f"{V2}/agents?agent_type=L3%20agent")).json["agents"]
    assert [(a["host"], a["alive"], a["binary"]) for a in agents] == [("node-1", True, "maldon-node")]
    shown = await net.as_("admin")("GET", f"{V2}/agents/{agents[0]['id']}")
    assert shown.json == {"agent": agents[0]}
    assert (await net("GET", f"{V2}/agents")).json == {"agents": []}
    assert (await net("GET", f"{V2}/agents/{agents[0]['id']}")).status == 403


async def test_used_addresses_are_counted(net):
    made, subnet = await network(net)
    await make(net, "port", network_id=made["id"])
    got = await net.as_("admin")("GET", f"{V2}/network-ip-availabilities/{made['id']}")
    figure = got.json["network_ip_availability"]
    assert (figure["total_ips"], figure["used_ips"]) == (253, 1)
    assert [p["subnet_id"] for p in figure["subnet_ip_availability"]] == [subnet["id"]]
    assert (await net("GET", f"{V2}/network-ip-availabilities")).status == 403


async def test_two_projects_racing_for_addresses_get_different_ones(net):
    made, _ = await network(net.as_("admin"), "10.0.0.0/26", shared=True)
    for project in (DEMO, OTHER):
        await net.as_("admin")("PUT", f"{V2}/quotas/{project}", {"quota": {"port": 12}})
    body = {"port": {"network_id": made["id"]}}
    askers = [net, net.as_("other")] * 12
    got = await asyncio.gather(*(ask("POST", f"{V2}/ports", body) for ask in askers))
    assert [g.status for g in got] == [201] * 24
    assert len({g.json["port"]["fixed_ips"][0]["ip_address"] for g in got}) == 24
    assert {(await ask("POST", f"{V2}/ports", body)).status for ask in askers[:2]} == {409}
