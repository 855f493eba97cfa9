"""Addresses and rules: arithmetic that must hold for every subnet."""

from ipaddress import ip_address, ip_network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maldon.kernel.errors import BadRequest
from maldon.network.plan import addresses as plan
from maldon.network.plan.dhcp_options import options_of
from maldon.network.plan.rules import checked, fingerprint

V4 = st.builds(
    lambda n, length: str(ip_network((n << 8, length), strict=False)), st.integers(1, 2**24 - 1), st.integers(20, 30)
)
V6 = st.builds(lambda n: f"fd00:0:0:{n:x}::/64", st.integers(0, 2**16 - 1))
RULE = {
    "direction": "ingress",
    "ethertype": "IPv4",
    "protocol": None,
    "port_range_min": None,
    "port_range_max": None,
    "remote_ip_prefix": None,
    "remote_group_id": None,
}


@given(st.one_of(V4, V6))
def test_default_pools_hold_everything_but_the_gateway_and_the_edges(cidr):
    network, gateway = ip_network(cidr), plan.default_gateway(cidr)
    pools = plan.default_pools(cidr, gateway)
    assert plan.size(pools) == network.num_addresses - (3 if network.version == 4 else 2)
    for first, last in plan.spans_of(pools):
        assert not first <= int(ip_address(gateway)) <= last
        assert int(network.network_address) < first <= last <= int(network.broadcast_address)


@given(st.one_of(V4, V6), st.integers(0, 2**32), st.integers(1, 8))
def test_guesses_are_different_addresses_of_the_pools(cidr, seed, count):
    pools = plan.default_pools(cidr, plan.default_gateway(cidr))
    made = plan.guesses(pools, ip_network(cidr).version, Random(seed), count)
    spans = plan.spans_of(pools)
    assert 1 <= len(set(made)) == len(made) <= count
    assert all(any(a <= int(ip_address(g)) <= b for a, b in spans) for g in made)


@given(V4, st.data())
def test_the_lowest_free_address_is_free_and_lowest(cidr, data):
    pools = plan.default_pools(cidr, None)
    every = list(plan.lowest_free(pools, 4, ()))
    used = set(data.draw(st.lists(st.sampled_from(every), max_size=20)))
    assert next(plan.lowest_free(pools, 4, used), None) == next((a for a in every if a not in used), None)


@given(st.lists(st.integers(24, 28), max_size=12))
def test_subnets_cut_from_a_pool_never_overlap(lengths):
    taken: list[str] = []
    for length in lengths:
        found = plan.cut(["10.0.0.0/24", "10.0.4.0/23"], taken, length)
        if found is None:
            assert sum(ip_network(t).num_addresses for t in taken) + 2 ** (32 - length) > 256
            continue
        assert plan.overlapping(found, taken) is None
        assert any(ip_network(found).subnet_of(ip_network(p)) for p in ("10.0.0.0/24", "10.0.4.0/23"))
        taken.append(found)


def test_slaac_addresses_are_eui64():
    assert plan.slaac("2001:db8::/64", "fa:16:3e:12:34:56") == "2001:db8::f816:3eff:fe12:3456"


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "nonsense"},
        {"protocol": "256"},
        {"protocol": "tcp", "port_range_min": 80},
        {"protocol": "tcp", "port_range_min": 80, "port_range_max": 79},
        {"protocol": "udp", "port_range_min": 0, "port_range_max": 79},
        {"protocol": "icmp", "port_range_max": 1},
        {"protocol": "icmp", "port_range_min": 256},
        {"protocol": "gre", "port_range_min": 1, "port_range_max": 1},
        {"port_range_min": 1, "port_range_max": 1},
        {"ethertype": "IPX"},
        {"protocol": "icmpv6"},
        {"remote_ip_prefix": "::/0"},
        {"remote_ip_prefix": "300.0.0.0/8"},
        {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "g"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(change):
    with pytest.raises(BadRequest):
        checked({**RULE, **change})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"protocol": "tcp"}, {"protocol": "6"}),
        ({"protocol": "TCP"}, {"protocol": "tcp"}),
        ({"remote_ip_prefix": "0.0.0.0/0"}, {}),
        ({"remote_ip_prefix": "10.0.0.7/24"}, {"remote_ip_prefix": "10.0.0.0/24"}),
    ],
)
def test_rules_that_let_the_same_through_are_the_same(one, other):
    assert fingerprint(checked({**RULE, **one})) == fingerprint(checked({**RULE, **other}))


def dhcp_option(name, value, version=4):
    return {"opt_name": name, "opt_value": value, "ip_version": version}


def test_the_last_word_on_a_dhcp_option_counts_and_no_value_takes_it_away():
    given = [("mtu", "1400"), ("42", "10.0.0.1,10.0.0.2"), ("mtu", "1300"), ("42", None), ("tftp-server", "a b#c")]
    made = options_of([dhcp_option(*one) for one in given])
    assert made == [dhcp_option("mtu", "1300"), dhcp_option("tftp-server", "a b#c")]
    assert options_of([dhcp_option("dns-server", "fd00::1", 6)]) == [dhcp_option("dns-server", "fd00::1", 6)]


@pytest.mark.parametrize(
    ("name", "value", "version"),
    [
        *[("mtu", value, 4) for value in ("", "1\n2", "a\r", "\t", 'a"b', "a\\b", "a #b", " a", "a ", "é", "a\0b")],
        *[
            (name, "1", 4)
            for name in ("MTU", "bootfile-url", "0", "255", "-1", "²", "mtu\n", "mtu,1", "option:mtu", "")
        ],
        *[(name, "1", 6) for name in ("mtu", "65536", "option6:dns-server")],
        ("mtu", "1", 5),
    ],
)
def test_dhcp_options_that_could_say_something_else_are_refused(name, value, version):
    with pytest.raises(BadRequest):
        options_of([dhcp_option(name, value, version)])
