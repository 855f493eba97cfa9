"""The packet filter's text: what is allowed, and that a change is as small as the difference."""

import json
import random
import secrets

import pytest

from maldon.drivers.switch import filter as packet_filter
from maldon.drivers.switch import namespace, ruleset
from maldon.drivers.switch.filter import Rules, chains, change, link_local, match, whole
from maldon.ports.switch import GroupSpec, PortSpec, RuleSpec

MAC = "fa:16:3e:00:00:05"
GROUPS = {
    "g1": GroupSpec("g1", (RuleSpec("ingress", "IPv4", "tcp", 22, 22),), ("10.0.0.5",)),
    "g2": GroupSpec("g2", (RuleSpec("ingress", "IPv4", remote_group="g1"),)),
}
PORTS = {"p5": (5, PortSpec("p5", "n", MAC, ("10.0.0.5",), ("g1",)))}
RULES = Rules({"br-n": 1}, GROUPS, PORTS)


def lines(before: Rules, after: Rules) -> list[str]:
    return change(before, after).splitlines()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (RuleSpec("egress", "IPv4"), "meta nfproto ipv4"),
        (RuleSpec("egress", "IPv6", remote_cidr="::/0"), "meta nfproto ipv6"),
        (RuleSpec("ingress", "IPv4", "tcp", 80, 443), "meta nfproto ipv4 meta l4proto 6 th dport 80-443"),
        (RuleSpec("ingress", "IPv4", "udp", 53), "meta nfproto ipv4 meta l4proto 17 th dport 53-65535"),
        (RuleSpec("ingress", "IPv4", "UDP"), "meta nfproto ipv4 meta l4proto 17"),
        (RuleSpec("ingress", "IPv4", "112"), "meta nfproto ipv4 meta l4proto 112"),
        (RuleSpec("ingress", "IPv4", "icmp", 8, 0), "meta nfproto ipv4 meta l4proto 1 icmp type 8 icmp code 0"),
        (RuleSpec("ingress", "IPv6", "icmp", 128), "meta nfproto ipv6 meta l4proto 58 icmpv6 type 128"),
        (RuleSpec("ingress", "IPv4", remote_cidr="10.1.2.3/8"), "meta nfproto ipv4 ip saddr 10.0.0.0/8"),
        (RuleSpec("egress", "IPv6", remote_group="g"), "meta nfproto ipv6 ip6 daddr @members-g-6"),
    ],
)
def test_a_rule_speaks_of_its_packets(rule, text):
    assert match(rule) == text


def test_nothing_changed_is_an_empty_transaction():
    assert not change(RULES, RULES)


def test_a_changed_member_is_one_element():
    group = GroupSpec("g1", GROUPS["g1"].rules, ("10.0.0.5", "10.0.0.6", "10.0.0.6/32"))
    more = Rules(RULES.zones, {**GROUPS, "g1": group}, PORTS)
    assert lines(RULES, more) == ["add element inet maldon members-g1-4 { 10.0.0.6 }"]
    assert lines(more, RULES) == ["delete element inet maldon members-g1-4 { 10.0.0.6 }"]


def test_a_changed_rule_rewrites_one_direction_of_its_group():
    fewer = Rules(RULES.zones, {**GROUPS, "g1": GroupSpec("g1", (), ("10.0.0.5",))}, PORTS)
    assert lines(RULES, fewer) == ["flush chain inet maldon group-g1-ingress"]


def test_a_changed_port_rewrites_its_own_chains_only():
    moved = Rules(RULES.zones, GROUPS, {"p5": (5, PortSpec("p5", "n", MAC, ("10.0.0.7",), ("g2",)))})
    assert all("port-p5" in line for line in lines(RULES, moved))


def test_a_member_within_a_wider_one_is_left_out():
    group = GroupSpec("g", (), ("10.0.0.0/8", "10.1.0.0/16", "10.2.3.4", "192.0.2.1", "fd00::1"))
    text = change(Rules(groups={"g": GroupSpec("g")}), Rules(groups={"g": group}))
    assert "members-g-4 { 10.0.0.0/8, 192.0.2.1 }" in text
    assert "members-g-6 { fd00::1 }" in text


def test_a_group_only_spoken_of_has_its_chains():
    rules = Rules(ports={"p": (1, PortSpec("p", "n", MAC, (), ("unknown",)))})
    assert ("inet", "group-unknown-egress") in chains(rules)
    assert "add chain inet maldon group-unknown-egress" in whole(rules)


def test_the_address_a_device_gives_itself():
    assert link_local(MAC) == "fe80::f816:3eff:fe00:5"


@pytest.mark.parametrize(
    "rules",
    [
        Rules(groups={"g }": GroupSpec("g }")}),
        Rules(groups={"g": GroupSpec("g", (RuleSpec("ingress", "IPv4", "tcp accept"),))}),
        Rules(groups={"g": GroupSpec("g", (RuleSpec("ingress", "IPv4", remote_cidr="any"),))}),
        Rules(groups={"g": GroupSpec("g", (), ("0.0.0.0/0 }",))}),
        Rules(ports={"p": (1, PortSpec("p", "n", f"{MAC} accept"))}),
        Rules(ports={"p": (1, PortSpec("p", "n", MAC, pairs=((MAC, "here"),)))}),
    ],
)
def test_text_that_is_more_than_a_value_is_refused(rules):
    with pytest.raises(ValueError, match=r".+"):
        whole(rules)


@pytest.mark.root
@pytest.mark.parametrize("seed", range(4))
def test_changes_leave_what_building_anew_leaves(seed):
    chance = random.Random(seed)
    place = f"filter{secrets.token_hex(4)}"
    namespace.create(place)
    try:
        with namespace.entered(place):
            before = Rules()
            ruleset.load(whole(before))
            for _ in range(8):
                after = some_rules(chance)
                if changes := change(before, after):
                    ruleset.load(changes)
                step_by_step = listed()
                assert ruleset.list_chains() == chains(after)
                ruleset.load(whole(after))
                assert listed() == step_by_step
                before = after
    finally:
        namespace.delete(place)


def some_rules(chance: random.Random) -> Rules:
    ids = ["a", "b", "c", "d"]
    groups = {group: some_group(chance, group, ids) for group in ids if chance.random() < 0.6}
    ports = {
        port: (number, some_port(chance, port, ids)) for number, port in enumerate(ids, 1) if chance.random() < 0.6
    }
    return Rules({f"br-{name}": number for number, name in enumerate(ids, 1) if chance.random() < 0.6}, groups, ports)


def some_group(chance: random.Random, group: str, ids: list[str]) -> GroupSpec:
    rules = [
        RuleSpec(
            chance.choice(["ingress", "egress"]),
            version := chance.choice(["IPv4", "IPv6"]),
            chance.choice([None, *packet_filter.PROTOCOLS]),
            remote_cidr=chance.choice([None, "10.0.0.0/8" if version == "IPv4" else "fd00::/8"]),
            remote_group=chance.choice([None, *ids]),
        )
        for _ in range(chance.randrange(4))
    ]
    members = ("10.0.0.1", "10.0.0.2", "10.0.0.0/30", "10.0.0.0/8", "fd00::1", "fd00::/64")
    return GroupSpec(group, tuple(rules), tuple(chance.sample(members, chance.randrange(5))))


def some_port(chance: random.Random, port: str, ids: list[str]) -> PortSpec:
    addresses = tuple(chance.sample(("10.0.0.1", "10.0.0.2", "fd00::1"), chance.randrange(3)))
    pairs = ((MAC, "10.0.0.0/24"), ("fa:16:3e:00:00:06", "10.0.0.9"), ("fa:16:3e:00:00:06", "fd00:9::/64"))
    groups = tuple(chance.sample(ids, chance.randrange(3)))
    return PortSpec(port, "n", MAC, addresses, groups, tuple(chance.sample(pairs, chance.randrange(3))))


def listed() -> dict:
    """The rule set without what depends on the order of its making: handles, and the order of names and elements."""
    found = {}
    for entry in json.loads(namespace.run(["nft", "-j", "list", "ruleset"]))["nftables"]:
        ((kind, value),) = entry.items()
        if kind == "rule":
            chain = found[value["family"], "chain", value["chain"]]
            chain.setdefault("rules", []).append(value["expr"])
        elif kind != "metainfo":
            value.pop("handle")
            value["elem"] = sorted(value.get("elem", []), key=json.dumps)
            found[value.get("family"), kind, value["name"]] = value
    return found
