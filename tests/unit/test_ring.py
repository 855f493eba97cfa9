"""The ring's promises: balance, dispersion, as little movement as need be, one replica of a partition at a time."""

import random
from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maldon.objectstore.path import Path, PathHash
from maldon.objectstore.ring.builder import Plan, balance, dispersion, rebalance, shares
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import BadRing, RingFile, dump, parse, write
from maldon.objectstore.ring.ring import Ring, single

SALT = PathHash(b"before", b"after")


def disks(layout: list[tuple[int, int, int, float]]) -> tuple[RingDevice, ...]:
    """(region, zone, node, weight) of each."""
    return tuple(
        RingDevice(n, region, zone, f"10.0.{zone}.{node}:6200", f"d{n}", weight)
        for n, (region, zone, node, weight) in enumerate(layout)
    )


def even(zones: int, nodes: int, each: int) -> tuple[RingDevice, ...]:
    return disks([(1, z, n, 1.0) for z in range(zones) for n in range(nodes) for _ in range(each)])


def built(devices: tuple[RingDevice, ...], *, power: int = 8, replicas: float = 3, overload: float = 0.0) -> Plan:
    return rebalance(Plan(power, replicas, 1, overload, 0, devices), 1, random.Random(7)).plan


def holders(plan: Plan, part: int) -> list[int]:
    return [row[part] for row in plan.table if part < len(row)]


def changed(before: Plan, after: Plan) -> list[int]:
    """How many replicas of each partition are on another disk now."""
    return [len(set(holders(after, p)) - set(holders(before, p))) for p in range(before.partitions)]


def test_replicas_are_in_zones_of_their_own_and_every_disk_has_its_share():
    plan = built(even(3, 2, 2))
    assert (round(balance(plan), 1), dispersion(plan)) == (0.0, 0.0)
    zone = {device.id: device.zone for device in plan.devices}
    assert all(len({zone[i] for i in holders(plan, p)}) == 3 for p in range(plan.partitions))


def test_a_balanced_ring_stays_as_it_is():
    plan = built(even(3, 2, 2))
    again = rebalance(plan, 100, random.Random(8))
    assert (again.moved, again.waiting, again.plan.table) == (0, 0, plan.table)


def test_a_new_disk_takes_its_share_and_nothing_else_moves():
    plan = built(even(3, 2, 2))
    wider = plan.with_device(RingDevice(12, 1, 0, "10.0.0.0:6200", "d12", 1.0))
    done = rebalance(wider, 100, random.Random(8))
    moved = changed(plan, done.plan)
    assert max(moved) == 1
    assert sum(moved) == done.moved
    held = Counter(i for row in done.plan.table for i in row)
    assert held[12] == done.moved <= shares(done.plan)[12]
    assert held[12] > 0.9 * shares(done.plan)[12]


def test_a_removed_disk_is_emptied_at_once_and_then_forgotten():
    plan = built(even(3, 2, 2), overload=0.5)
    before = Counter(i for row in plan.table for i in row)[0]
    done = rebalance(plan.without_device(0), 1, random.Random(8))  # within the same hour
    assert done.plan.devices[0].id == 1
    assert sum(changed(plan, done.plan)) >= before
    assert max(changed(plan, done.plan)) == 1
    assert dispersion(done.plan) == 0.0


def test_what_moved_rests():
    plan = built(even(3, 1, 2))
    first = rebalance(plan.with_device(RingDevice(6, 1, 0, "10.0.0.0:6200", "d6", 1.0)), 50, random.Random(1)).plan
    wider = first.with_device(RingDevice(7, 1, 1, "10.0.1.0:6200", "d7", 1.0))
    rested = {p for p, hour in enumerate(first.moved_at) if hour == 50}
    second = rebalance(wider, 50, random.Random(2))
    assert rested
    assert all(n == 0 for p, n in enumerate(changed(first, second.plan)) if p in rested)


def test_a_drained_disk_holds_nothing():
    plan = built(even(3, 2, 1))
    drained = plan.with_device(msgspec.structs.replace(plan.devices[0], weight=0.0))
    done = rebalance(drained, 100, random.Random(3)).plan
    assert not Ring(done.power, done.devices, done.table, SALT).holders(0)
    assert done.devices[0].id == 0  # still known, unlike a removed one


def test_overload_keeps_replicas_apart_where_weight_would_not():
    layout = disks([(1, 1, 1, 2.0), (1, 1, 2, 2.0), (1, 2, 1, 2.0), (1, 2, 2, 2.0), (1, 3, 1, 2.0), (1, 3, 2, 1.0)])
    by_weight, apart = built(layout), built(layout, overload=0.5)
    assert dispersion(by_weight) > 0
    assert dispersion(apart) == 0
    assert balance(by_weight) < balance(apart) <= 50


def test_a_replica_more_and_a_replica_less():
    plan = built(even(4, 1, 2), replicas=2)
    more = rebalance(replace(plan, replicas=2.5), 100, random.Random(1)).plan
    assert [len(row) for row in more.table] == [256, 256, 128]
    assert more.table[0][:] == plan.table[0][:] or max(changed(plan, more)) <= 2
    less = rebalance(replace(more, replicas=1), 200, random.Random(1)).plan
    assert [len(row) for row in less.table] == [256]


def test_fewer_disks_than_replicas_are_refused():
    with pytest.raises(ValueError, match="3 replicas need as many"):
        built(disks([(1, 1, 1, 1.0), (1, 1, 2, 1.0)]))


@settings(max_examples=40, deadline=None, derandomize=True)
@example([(1, 1, 2, 0.5), (1, 1, 1, 0.5), (1, 3, 1, 0.5), (1, 1, 1, 2.0)], 2.5, 0.0, [("add", 0)])
@given(
    layout=st.lists(
        st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.5, 1.0, 2.0, 4.0])),
        min_size=4,
        max_size=14,
    ),
    replicas=st.sampled_from([1, 2, 2.5, 3, 4]),
    overload=st.sampled_from([0.0, 0.1]),
    steps=st.lists(st.tuples(st.sampled_from(["add", "remove", "weight"]), st.integers(0, 99)), max_size=4),
)
def test_whatever_is_done_to_a_ring(layout, replicas, overload, steps):
    plan = built(disks(layout), power=6, replicas=replicas, overload=overload)
    hour = 10
    for what, dice in steps:
        live = [device for device in plan.devices if device.share]
        chosen = live[dice % len(live)]
        match what:
            case "add":
                id_ = max(d.id for d in plan.devices) + 1
                wanted = plan.with_device(RingDevice(id_, 1, dice % 4, "10.9.9.9:6200", f"d{id_}", 1.0))
            case "remove" if len(live) - 1 >= replicas:
                wanted = plan.without_device(chosen.id)
            case _:
                wanted = plan.with_device(msgspec.structs.replace(chosen, weight=1.0 + dice % 3))
        done = rebalance(wanted, hour, random.Random(dice))
        assert max(changed(plan, done.plan)) <= 1
        plan, hour = done.plan, hour + 5
    for _ in range(6):  # it settles
        plan, hour = rebalance(plan, hour, random.Random(0)).plan, hour + 5
    own = [holders(plan, p) for p in range(plan.partitions)]
    usable = {device.id for device in plan.devices if device.share}
    assert all(len(set(ids)) == len(ids) and set(ids) <= usable for ids in own)
    assert sum(map(len, own)) == sum(plan.rows())
    held = Counter(i for ids in own for i in ids)
    share = shares(plan)
    slack = 3 + max(share.values()) * (0.06 + overload)
    assert all(abs(held[i] - n) <= slack for i, n in share.items()), (held, share)


def test_handoffs_are_all_others_the_farthest_first():
    plan = built(even(4, 1, 2), replicas=2)
    ring = Ring(plan.power, plan.devices, plan.table, SALT, plan.version)
    firsts = Counter()
    for part in range(plan.partitions):
        own, others = ring.nodes(part), list(ring.handoffs(part))
        assert sorted(d.id for d in [*own, *others]) == [d.id for d in plan.devices]
        assert others[0].zone not in {d.zone for d in own}
        firsts[others[0].id] += 1
    assert len(firsts) == 8
    assert max(firsts.values()) < 2 * min(firsts.values())


def test_paths_spread_over_the_partitions_and_depend_on_the_salt():
    ring = single("d0", "127.0.0.1:6200", SALT)
    other = single("d0", "127.0.0.1:6200", PathHash(b"", b"another"))
    paths = [Path("AUTH_a", "c", f"o{n}") for n in range(2000)]
    assert len({ring.partition(p) for p in paths}) == ring.partitions == 64
    assert [ring.partition(p) for p in paths] != [other.partition(p) for p in paths]
    assert [d.device for d in ring.nodes(ring.partition(paths[0]))] == ["d0"]
    assert list(ring.handoffs(0)) == []


def test_a_ring_file_says_all_of_its_plan_and_a_torn_one_is_none():
    plan = built(even(3, 2, 1), replicas=2.5)
    content = dump(plan)
    assert parse(content) == plan
    for torn in (b"", content[:40], content[:-1], content[:100] + b"x" + content[101:]):
        with pytest.raises(BadRing, match="no whole ring"):
            parse(torn)


def test_a_replaced_ring_is_taken_up_live_and_a_bad_one_is_not(tmp_path):
    file = tmp_path / "object.ring"
    plan = built(even(3, 2, 1))
    write(file, plan)
    live = RingFile(file, SALT, single("d0", "", SALT))
    assert live.ring().version == plan.version
    file.write_bytes(b"nonsense")
    assert (live.look(), live.ring().version) == (False, plan.version)
    write(file, rebalance(plan, 9, random.Random(1)).plan)
    assert (live.look(), live.ring().version) == (True, plan.version + 1)
