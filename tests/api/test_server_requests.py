"""What the servers API takes, shows and refuses."""

import base64

import pytest

from maldon.compute.routes import AGENT, SERVERS
from tests.servers_rig import Host, rig

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def made(tmp_path):
    async with rig(str(tmp_path / "db"), tmp_path) as got:
        yield got


@pytest.fixture
async def host(made):
    host = Host(made, "a")
    await host.report()
    return host


def user_data(size):
    return base64.b64encode(b"x" * size).decode()


BAD = [
    {"name": ""},
    {"name": " "},
    {"name": " a"},
    {"name": "a" * 256},
    {"name": 1},
    {"name": None},
    {"colour": "red"},
    {"flavorRef": "nothing"},
    {"flavorRef": None},
    {"imageRef": "nothing"},
    {"imageRef": NOBODY},
    {"imageRef": ""},
    {"networks": "some"},
    {"networks": [{}]},
    {"networks": [{"uuid": NOBODY}]},
    {"networks": [{"uuid": "x"}]},
    {"networks": [{"port": NOBODY}]},
    {"networks": [{"port": "x"}]},
    {"key_name": "nothing"},
    {"security_groups": [{"name": "nothing"}]},
    {"security_groups": "default"},
    {"user_data": "not base64!"},
    {"user_data": user_data(65535)},
    {"metadata": {"k": 1}},
    {"metadata": {"k" * 256: "v"}},
    {"metadata": {"k": "v" * 256}},
    {"metadata": {"": "v"}},
    {"metadata": "x"},
    {"min_count": 0},
    {"min_count": -1},
    {"max_count": "x"},
    {"min_count": 3, "max_count": 2},
    {"min_count": 10**6},
    {"availability_zone": "nowhere"},
    {"accessIPv4": "::1"},
    {"accessIPv6": "10.0.0.1"},
    {"accessIPv4": "x"},
    {"config_drive": "perhaps"},
    {"description": "a" * 256},
    {"hostname": "-bad-"},
    {"hostname": "a_b"},
    {"tags": ["a,b"]},
    {"tags": ["a"] * 2},
    {"tags": [str(n) for n in range(51)]},
    {"personality": []},
    {"OS-DCF:diskConfig": "SOMETIMES"},
    {"trusted_image_certificates": ["a"]},
    {"block_device_mapping_v2": [{"source_type": "nothing"}]},
]


async def test_bad_wishes_are_refused_with_a_sentence(made):
    for change in BAD:
        got = await made("POST", "/servers", made.body(**change))
        assert (change, got.status, list(got.json)) == (change, 400, ["badRequest"])
        assert got.json["badRequest"]["message"]
    for body in ({}, {"server": {}}, {"server": []}, [], {"server": None}, {**made.body(), "more": 1}):
        assert (await made("POST", "/servers", body)).status == 400
    assert (await made.census())["live"] == 0


@pytest.mark.parametrize(
    ("change", "version", "status"),
    [
        ({"networks": "auto"}, "2.37", 202),
        ({"networks": "none"}, "2.37", 202),
        ({"networks": "none"}, "2.36", 400),
        ({"description": "d"}, "2.18", 400),
        ({"description": "d"}, "2.19", 202),
        ({"tags": ["a"]}, "2.51", 400),
        ({"tags": ["a"]}, "2.52", 202),
        ({"hostname": "h1"}, "2.89", 400),
        ({"hostname": "h1"}, "2.90", 202),
        ({"hostname": "h1.example.org"}, "2.93", 400),
        ({"hostname": "h1.example.org"}, "2.94", 202),
        ({"personality": []}, "2.56", 202),
        ({"host": "a"}, "2.73", 400),
        ({"host": "a"}, "2.74", 403),
        ({"availability_zone": "nova:a"}, "2.1", 403),
        ({"block_device_mapping_v2": [{"source_type": "volume", "uuid": NOBODY}]}, "2.1", 501),
        ({"networks": [], "metadata": {"a": "b"}}, "2.1", 202),
    ],
)
async def test_versions_know_their_fields(made, host, change, version, status):
    got = await made("POST", "/servers", made.body(**change), OpenStack_API_Version=f"compute {version}")
    assert (got.status, version) == (status, version), got.body


async def test_an_image_as_block_device_is_the_image(made, host):
    device = {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": made.image}
    body = made.body(block_device_mapping_v2=[device])
    del body["server"]["imageRef"]
    assert (await made("POST", "/servers", body)).status == 202


async def test_an_admin_says_where(made, host):
    await Host(made, "b").report()
    body = made.body(networks="none", availability_zone="nova:b")
    got = await made("POST", "/servers", body, who="admin")
    assert got.status == 202, got.body
    await made.run()
    assert (await made.show(got.json["server"]["id"], who="admin"))["OS-EXT-SRV-ATTR:host"] == "b"
    assert (await made("POST", "/servers", made.body(networks="none", host="c"), who="admin")).status == 400


async def test_hints_keep_servers_together_or_apart(made, host):
    await Host(made, "b").report()
    first = await made.create(networks="none")
    await made.run()
    where = (await made.show(first, who="admin"))["OS-EXT-SRV-ATTR:host"]
    for hint, same in (("same_host", True), ("different_host", False)):
        body = made.body(networks="none") | {"os:scheduler_hints": {hint: [first]}}
        other = (await made("POST", "/servers", body)).json["server"]["id"]
        await made.run()
        assert ((await made.show(other, who="admin"))["OS-EXT-SRV-ATTR:host"] == where) is same


async def test_lists_filter_sort_and_page(made, host):
    ids = {name: await made.create(name=name, metadata={"n": name}, tags=[name]) for name in ("abc", "bcd", "xyz")}
    await made("DELETE", f"/servers/{ids['xyz']}")
    await made.run()
    await host.converge()

    async def names(query, **headers):
        got = await made("GET", f"/servers?{query}", **headers)
        assert got.status == 200, got.body
        return sorted(one["name"] for one in got.json["servers"])

    address = (await made.show(ids["abc"]))["addresses"]["private"][0]["addr"]
    assert await names("") == ["abc", "bcd"]
    assert await names("name=bc") == ["abc", "bcd"]
    assert await names("name=^bc") == ["bcd"]
    assert await names("name=a.*c") == ["abc"]
    assert await names("name=_") == []
    assert await names("name=^[a-c]%2B$") == ["abc", "bcd"]
    assert await names("name=^x|d$") == ["bcd"]
    assert await names("name=^.(b|c).$") == ["abc", "bcd"]
    assert await names("limit=0") == []
    assert await names("status=ACTIVE") == ["abc", "bcd"]
    assert await names("status=active&limit=1") in (["abc"], ["bcd"])
    assert await names("status=SHUTOFF") == []
    assert await names(f"image={made.image}&flavor={made.flavor}") == ["abc", "bcd"]
    assert await names("tags=abc") == ["abc"]
    assert await names("not-tags-any=abc") == ["bcd"]
    assert await names(f"ip=^{address}$") == ["abc"]
    assert await names("ip=10.0.0.") == ["abc", "bcd"]
    assert await names("ip=10.9.") == []
    assert await names("locked=true") == []
    assert await names("changes-since=2000-01-01T00:00:00Z") == ["abc", "bcd", "xyz"]
    assert await names("changes-since=2999-01-01T00:00:00") == []
    assert await names("availability_zone=nova&key_name=x") == []
    assert await names("host=zzz", OpenStack_API_Version="compute 2.1") == ["abc", "bcd"]
    first = (await made("GET", "/servers/detail?limit=1&sort_key=display_name&sort_dir=asc")).json
    assert [one["name"] for one in first["servers"]] == ["abc"]
    [link] = first["servers_links"]
    assert f"marker={ids['abc']}" in link["href"]
    second = (await made("GET", link["href"].split("/compute/v2.1")[1])).json
    assert [one["name"] for one in second["servers"]] == ["bcd"]
    everybody = await made("GET", "/servers?all_tenants=1", who="admin")
    assert len(everybody.json["servers"]) == 2
    assert (await made("GET", "/servers", who="other")).json == {"servers": []}


@pytest.mark.parametrize(
    ("query", "version", "status"),
    [
        ("limit=x", "2.1", 400),
        ("limit=-1", "2.1", 400),
        ("marker=nothing", "2.1", 400),
        ("sort_key=user_data", "2.1", 400),
        ("sort_key=name&sort_dir=sideways", "2.1", 400),
        ("changes-since=yesterday", "2.1", 400),
        ("status=HAPPY", "2.37", 200),
        ("status=HAPPY", "2.38", 400),
        ("colour=red", "2.74", 200),
        ("colour=red", "2.75", 400),
        ("all_tenants=1", "2.1", 403),
        ("all_tenants=perhaps", "2.1", 400),
        ("changes-since=2020-01-02&changes-before=2020-01-01", "2.66", 400),
        ("deleted=x", "2.1", 400),
        ("name=%00", "2.1", 400),
        ("ip=" + "9" * 9000, "2.1", 400),
    ],
)
async def test_bad_queries_are_refused(made, query, version, status):
    for path in ("/servers", "/servers/detail"):
        got = await made("GET", f"{path}?{query}", OpenStack_API_Version=f"compute {version}")
        assert got.status == status, got.body


async def test_a_server_is_renamed_described_and_locked(made, host):
    server_id = await made.active(host)
    change = {
        "name": "n",
        "description": "d",
        "accessIPv4": "192.0.2.1",
        "accessIPv6": "2001:db8:0::1",
        "hostname": "hh",
    }
    got = await made("PUT", f"/servers/{server_id}", {"server": change})
    shown = got.json["server"]
    assert (shown["name"], shown["description"], shown["accessIPv4"], shown["accessIPv6"]) == (
        "n", "d", "192.0.2.1", "2001:db8::1",
    )  # fmt: skip
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "hh"
    await host.converge()
    assert host.desired[server_id].metadata.hostname == "hh"
    for bad in ({"name": ""}, {"name": " x "}, {"colour": 1}, {"accessIPv4": "x"}, {"hostname": "_"}):
        assert (await made("PUT", f"/servers/{server_id}", {"server": bad})).status == 400
    assert (await made.act(server_id, "lock", {"locked_reason": "mine"})).status == 202
    assert (await made.show(server_id))["locked_reason"] == "mine"
    for action in ("os-stop", "os-start"):
        assert (await made.act(server_id, action)).status == 409
    assert (await made("DELETE", f"/servers/{server_id}")).status == 409
    assert (await made.act(server_id, "unlock")).status == 202
    assert (await made.act(server_id, "os-stop")).status == 202


async def test_metadata_is_told_to_the_guest(made, host):
    server_id = await made.active(host, metadata={"a": "1"})
    base = f"/servers/{server_id}/metadata"
    assert (await made("POST", base, {"metadata": {"b": "2"}})).json == {"metadata": {"a": "1", "b": "2"}}
    assert (await made("PUT", base + "/b", {"meta": {"b": "3"}})).json == {"meta": {"b": "3"}}
    assert (await made("GET", base + "/b")).json == {"meta": {"b": "3"}}
    assert (await made("DELETE", base + "/a")).status == 204
    await host.converge()
    assert host.desired[server_id].metadata.properties == {"b": "3"}
    assert (await made("PUT", base, {"metadata": {}})).json == {"metadata": {}}
    assert (await made("GET", base)).json == {"metadata": {}}
    assert (await made("GET", base + "/b")).status == 404
    assert (await made("DELETE", base + "/b")).status == 404
    for bad in (
        {},
        {"metadata": []},
        {"metadata": {"a": None}},
        {"metadata": {"": "x"}},
        {"metadata": {"a": "x" * 256}},
    ):
        assert (await made("POST", base, bad)).status == 400
    assert (await made("PUT", base + "/b", {"meta": {"c": "3"}})).status == 400
    assert (await made("PUT", base + "/b", {"meta": {"b": "3", "c": "3"}})).status == 400
    assert (await made("PUT", base, {"metadata": {str(n): "x" for n in range(129)}})).status == 403


async def test_tags(made, host):
    server_id = await made.create(tags=["b"])
    base = f"/servers/{server_id}/tags"
    assert (await made("PUT", base + "/a")).status == 201
    assert (await made("PUT", base + "/a")).status == 204
    assert (await made("GET", base)).json == {"tags": ["a", "b"]}
    assert (await made.show(server_id))["tags"] == ["a", "b"]
    assert (await made("GET", base + "/a")).status == 204
    assert (await made("DELETE", base + "/a")).status == 204
    assert (await made("GET", base + "/a")).status == 404
    assert (await made("PUT", base, {"tags": ["x", "y"]})).json == {"tags": ["x", "y"]}
    assert (await made("DELETE", base)).status == 204
    assert (await made("GET", base)).json == {"tags": []}
    assert (await made("PUT", base, {"tags": ["a/b"]})).status == 400
    assert (await made("PUT", base + "/" + "a" * 61)).status == 400
    assert (await made("GET", base, OpenStack_API_Version="compute 2.25")).status == 404


async def test_a_guest_is_told_the_tags_of_its_cards(made, host):
    server_id = await made.active(host, networks=[{"uuid": made.network, "tag": "inside"}])
    [card] = host.desired[server_id].spec.nics
    assert host.desired[server_id].metadata.tags == ((card.mac, "inside"),)
    wish = {"interfaceAttachment": {"net_id": made.network, "tag": "second"}}
    got = (await made("POST", f"/servers/{server_id}/os-interface", wish)).json["interfaceAttachment"]
    await host.converge()
    assert host.desired[server_id].metadata.tags == ((card.mac, "inside"), (got["mac_addr"], "second"))
    assert (await made("DELETE", f"/servers/{server_id}/os-interface/{card.port_id}")).status == 202
    await host.converge()
    assert host.desired[server_id].metadata.tags == ((got["mac_addr"], "second"),)


async def test_addresses_and_interfaces(made, host):
    server_id = await made.active(host)
    [there] = (await made("GET", f"/servers/{server_id}/ips")).json["addresses"]["private"]
    assert (await made("GET", f"/servers/{server_id}/ips/private")).json == {"private": [there]}
    assert (await made("GET", f"/servers/{server_id}/ips/elsewhere")).status == 404
    base = f"/servers/{server_id}/os-interface"
    [one] = (await made("GET", base)).json["interfaceAttachments"]
    assert (one["net_id"], one["fixed_ips"][0]["ip_address"]) == (made.network, there["addr"])
    wish = {"net_id": made.network, "fixed_ips": [{"ip_address": "10.0.0.77"}]}
    got = await made("POST", base, {"interfaceAttachment": wish})
    assert got.status == 200, got.body
    port = got.json["interfaceAttachment"]["port_id"]
    assert (await made("GET", f"{base}/{port}")).json["interfaceAttachment"]["fixed_ips"][0][
        "ip_address"
    ] == "10.0.0.77"
    await host.converge()
    assert [nic.port_id for nic in host.desired[server_id].spec.nics] == [one["port_id"], port]
    assert (await made("DELETE", f"{base}/{port}")).status == 202
    assert (await made("GET", f"{base}/{port}")).status == 404
    await host.converge()
    assert len(host.desired[server_id].spec.nics) == 1
    wishes = ({"net_id": "x"}, {"port_id": NOBODY}, {"net_id": "a", "port_id": "b"}, {"fixed_ips": []}, {"x": 1})
    for bad in (*({"interfaceAttachment": wish} for wish in wishes), {"x": 1}):
        assert (await made("POST", base, bad)).status == 400
    assert (await made("DELETE", f"{base}/{NOBODY}")).status == 404


async def test_security_groups_of_a_server(made, host):
    server_id = await made.active(host)
    group = {"security_group": {"name": "web"}}
    assert (await made.cloud("POST", "/network/v2.0/security-groups", group)).status == 201
    assert (await made.act(server_id, "addSecurityGroup", {"name": "web"})).status == 202
    default, web = (await made("GET", f"/servers/{server_id}/os-security-groups")).json["security_groups"]
    assert (default["name"], web["name"], web["tenant_id"]) == ("default", "web", default["tenant_id"])
    anybody = {
        "ip_protocol": None,
        "from_port": None,
        "to_port": None,
        "ip_range": {},
        "parent_group_id": default["id"],
    }
    own = {"name": "default", "tenant_id": default["tenant_id"]}
    assert [{k: v for k, v in rule.items() if k != "id"} for rule in default["rules"]] == [anybody | {"group": own}] * 2
    assert web["rules"] == []
    let_in = [
        ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 23}, ("tcp", 22, 23, "0.0.0.0/0")),
        ({"protocol": "tcp", "remote_ip_prefix": "10.1.0.0/16"}, ("tcp", 1, 65535, "10.1.0.0/16")),
        ({"protocol": "icmp"}, ("icmp", -1, -1, "0.0.0.0/0")),
        ({"ethertype": "IPv6"}, (None, None, None, "::/0")),
    ]
    for rule, _ in let_in:
        body = {"security_group_rule": {"direction": "ingress", "security_group_id": web["id"], **rule}}
        assert (await made.cloud("POST", "/network/v2.0/security-group-rules", body)).status == 201
    _, web = (await made("GET", f"/servers/{server_id}/os-security-groups")).json["security_groups"]
    rules = [(r["ip_protocol"], r["from_port"], r["to_port"], r["ip_range"]["cidr"]) for r in web["rules"]]
    assert sorted(rules, key=str) == sorted([expected for _, expected in let_in], key=str)
    assert {str(rule["group"]) for rule in web["rules"]} == {"{}"}
    assert (await made.act(server_id, "removeSecurityGroup", {"name": "default"})).status == 202
    assert (await made.show(server_id))["security_groups"] == [{"name": "web"}]
    assert (await made.act(server_id, "removeSecurityGroup", {"name": "default"})).status == 404
    assert (await made.act(server_id, "addSecurityGroup", {"name": "nothing"})).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"os-start": None, "os-stop": None}, 400),
        ({"dance": None}, 400),
        ({"reboot": {}}, 400),
        ({"reboot": {"type": "MEDIUM"}}, 400),
        ({"reboot": "SOFT"}, 400),
        ({"os-stop": {"now": True}}, 400),
        ({"os-resetState": {"state": "active"}}, 403),
        ({"addSecurityGroup": {}}, 400),
        ({"pause": None}, 501),
        ({"resize": {"flavorRef": "1"}}, 501),
    ],
)
async def test_bad_actions_are_refused(made, host, body, status):
    server_id = await made.active(host)
    got = await made("POST", f"/servers/{server_id}/action", body)
    assert got.status == status, got.body


async def test_an_admin_resets_a_state(made, host):
    server_id = await made.active(host)
    assert (await made.act(server_id, "os-resetState", {"state": "error"}, who="admin")).status == 202
    assert await made.status(server_id) == "ERROR"
    assert (await made.act(server_id, "reboot", {"type": "HARD"})).status == 202
    await made.run()
    await host.converge()
    assert await made.status(server_id) == "ACTIVE"


def paths(routes):
    for path, methods in routes.items():
        for method in methods:
            yield method, path


async def test_nobody_reaches_anothers_server(made, host):
    server_id = await made.active(host)
    names = {"id": server_id, "key": "k", "tag": "t", "label": "l", "port": NOBODY, "request_id": "r"}
    bodies = {"action": {"os-stop": None}, "metadata": {"metadata": {}}, "{key}": {"meta": {"k": "v"}},
              "tags": {"tags": []}, "os-interface": {}, "{id}": {"server": {"name": "x"}}}  # fmt: skip
    for method, path in paths(SERVERS):
        if "{id}" not in path:
            continue
        body = bodies.get(path.rsplit("/", 1)[-1]) if method in {"PUT", "POST"} else None
        url = path.removeprefix("/v2.1").format(**names)
        for who, status in (("other", 404), ("", 401), ("nobody", 401)):
            got = await made(method, url, body, who=who)
            assert (method, url, who, got.status) == (method, url, who, status)
        gone = path.removeprefix("/v2.1").format(**names | {"id": NOBODY})
        assert (await made(method, gone, body)).status == 404
    assert await made.status(server_id) == "ACTIVE"


async def test_a_reader_only_looks(made, host):
    server_id = await made.active(host)
    assert (await made("GET", f"/servers/{server_id}", who="reader")).status == 200
    assert (await made("DELETE", f"/servers/{server_id}", who="reader")).status == 403
    assert (await made.act(server_id, "os-stop", who="reader")).status == 403
    assert (await made("POST", "/servers", made.body(), who="reader")).status == 403


async def test_agents_calls_are_for_agents(made, host):
    for method, path in paths(AGENT):
        url = "/compute" + path.format(host="a", job=NOBODY)
        body = {} if path.endswith(("{host}", "{job}")) else []
        if path.endswith("{host}"):
            capacity = {"hypervisor_type": "f", "hypervisor_version": 1, "vcpus": 1, "memory_mb": 1, "disk_gb": 1}
            body = {"capacity": capacity}
        asked = body if method == "POST" else None
        for who, status in (("demo", 403), ("admin", 403), ("", 401)):
            assert (await made.cloud.as_(who)(method, url, asked)).status == status


async def test_discovery(made):
    ask = made.cloud.as_("")
    past, one = (await ask("GET", "/compute/")).json["versions"]
    assert (past["id"], past["status"]) == ("v2.0", "DEPRECATED")
    assert (one["id"], one["min_version"], one["version"]) == ("v2.1", "2.1", "2.96")
    assert (await ask("GET", "/compute/v2.1/")).json["version"]["links"][0]["href"] == "http://cloud.test/compute/v2.1/"


async def grouped(made, policy, count):
    """A group of servers made one after the other, and the host of each; None where there was none."""
    body = {"server_group": {"name": policy, "policy": policy}}
    group = (await made("POST", "/os-server-groups", body)).json["server_group"]["id"]
    hosts = []
    for _ in range(count):
        body = made.body(networks="none") | {"os:scheduler_hints": {"group": group}}
        server = (await made("POST", "/servers", body)).json["server"]["id"]
        await made.run()
        shown = await made.show(server, who="admin")
        assert shown["server_groups"] == [group]
        hosts.append(shown["OS-EXT-SRV-ATTR:host"])
    return group, hosts


async def test_a_group_keeps_its_servers_together_or_apart(made, host):
    await Host(made, "b").report()
    _, hosts = await grouped(made, "affinity", 3)
    assert len(set(hosts)) == 1
    assert None not in hosts
    group, hosts = await grouped(made, "anti-affinity", 3)
    assert sorted(hosts[:2]) == ["a", "b"]
    assert hosts[2] is None
    members = (await made("GET", f"/os-server-groups/{group}")).json["server_group"]["members"]
    assert len(members) == 3
    _, hosts = await grouped(made, "soft-anti-affinity", 3)
    assert sorted(hosts[:2]) == ["a", "b"]
    assert hosts[2] is not None


async def test_a_groups_wish_does_not_undo_another_hint(made, host):
    await Host(made, "b").report()
    _, [_, _, nowhere] = await grouped(made, "anti-affinity", 3)
    assert nowhere is None
    failed = (await made("GET", "/servers?status=ERROR")).json["servers"][0]["id"]
    group, [there] = await grouped(made, "affinity", 1)
    assert there is not None
    body = made.body(networks="none") | {"os:scheduler_hints": {"group": group, "same_host": failed}}
    server = (await made("POST", "/servers", body)).json["server"]["id"]
    await made.run()
    assert await made.status(server) == "ERROR"


async def test_servers_made_at_once_are_apart_too(made, host):
    await Host(made, "b").report()
    group = {"server_group": {"name": "g", "policy": "anti-affinity"}}
    group = (await made("POST", "/os-server-groups", group)).json["server_group"]["id"]
    body = made.body(networks="none", min_count=2) | {"os:scheduler_hints": {"group": group}}
    assert (await made("POST", "/servers", body)).status == 202
    await made.run()
    servers = (await made("GET", "/servers/detail?all_tenants=1", who="admin")).json["servers"]
    assert sorted(one["OS-EXT-SRV-ATTR:host"] for one in servers) == ["a", "b"]


async def test_a_group_must_be_ones_own(made, host):
    body = {"server_group": {"name": "g", "policy": "affinity"}}
    group = (await made("POST", "/os-server-groups", body, who="other")).json["server_group"]["id"]
    for wanted in (group, NOBODY, "x"):
        body = made.body(networks="none") | {"os:scheduler_hints": {"group": wanted}}
        assert (await made("POST", "/servers", body)).status == 400


async def test_each_address_and_group_is_shown_once(made, host):
    server_id = await made.active(host)
    demo, net = made.cloud.as_("demo"), "/network/v2.0"
    (port,) = (await demo("GET", f"{net}/ports?device_id={server_id}")).json["ports"]
    there = port["fixed_ips"][0]
    groups = [
        (await demo("POST", f"{net}/security-groups", {"security_group": {"name": name}})).json["security_group"]["id"]
        for name in ("web", "db")
    ]
    more = {"fixed_ips": [there, {"subnet_id": there["subnet_id"]}], "security_groups": groups}
    assert (await demo("PUT", f"{net}/ports/{port['id']}", {"port": more})).status == 200
    (port,) = (await demo("GET", f"{net}/ports?device_id={server_id}")).json["ports"]
    shown = await made.show(server_id)
    assert sorted(group["name"] for group in shown["security_groups"]) == ["db", "web"]
    assert [one["addr"] for one in shown["addresses"]["private"]] == [one["ip_address"] for one in port["fixed_ips"]]
    (seen,) = (await made("GET", f"/servers/{server_id}/os-interface")).json["interfaceAttachments"]
    assert seen["fixed_ips"] == port["fixed_ips"]
    assert (await demo("PUT", f"{net}/ports/{port['id']}", {"port": {"security_groups": []}})).status == 200
    shown = await made.show(server_id)
    assert "security_groups" not in shown
    assert len(shown["addresses"]["private"]) == 2


async def test_servers_are_read_in_few_statements(made, host):
    ids = [await made.active(host) for _ in range(3)]
    db = made.cloud.db
    for url, who, most in (
        ("/servers", "demo", 1),
        ("/servers/detail", "demo", 3),
        ("/servers/detail?all_tenants=1", "admin", 4),
        (f"/servers/{ids[0]}", "demo", 4),
        (f"/servers/{ids[0]}", "admin", 5),
    ):
        before = db.statements
        assert (await made("GET", url, who=who)).status == 200
        assert (url, who, db.statements - before) == (url, who, most)
