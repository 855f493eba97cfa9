"""Which host: whatever is chosen fits, whatever is refused is explained, and load is spread."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from maldon.placement.plan.choose import Room, Wanted, choose, obstacle

rooms = st.lists(
    st.builds(
        Room,
        id=st.uuids().map(str),
        name=st.sampled_from("abcdef"),
        availability_zone=st.sampled_from(["nova", "west"]),
        enabled=st.booleans(),
        alive=st.booleans(),
        vcpus=st.integers(0, 64),
        memory_mb=st.integers(0, 4096),
        disk_gb=st.integers(0, 100),
        used_vcpus=st.integers(0, 32),
        used_memory_mb=st.integers(0, 2048),
        used_disk_gb=st.integers(0, 50),
    ),
    unique_by=lambda room: room.id,
    max_size=12,
)
wanteds = st.builds(
    Wanted,
    vcpus=st.integers(1, 8),
    memory_mb=st.integers(1, 1024),
    disk_gb=st.integers(0, 20),
    availability_zone=st.none() | st.sampled_from(["nova", "west", "east"]),
    host=st.none() | st.sampled_from("abcdef"),
    avoid=st.frozensets(st.sampled_from("abcdef"), max_size=2),
)
seeds = st.integers(0, 2**32)


@given(rooms, wanteds, seeds)
def test_every_host_is_either_offered_or_counted_in_the_trace(rooms, wanted, seed):
    fit, trace = choose(rooms, wanted, Random(seed))
    assert len(fit) + sum(1 for room in rooms if obstacle(room, wanted)) == len(rooms)
    if rooms and not fit:
        assert trace.startswith(f"{len(rooms)} host")
        assert sum(int(word) for word in trace.split(": ")[1].split() if word.isdigit()) >= len(rooms)


@given(rooms, wanteds, seeds)
def test_what_is_offered_has_room_and_is_what_was_asked_for(rooms, wanted, seed):
    for room in choose(rooms, wanted, Random(seed))[0]:
        assert room.enabled
        assert room.alive
        assert room.used_vcpus + wanted.vcpus <= room.vcpus
        assert room.used_memory_mb + wanted.memory_mb <= room.memory_mb
        assert room.used_disk_gb + wanted.disk_gb <= room.disk_gb
        assert wanted.host in {None, room.name}
        assert wanted.availability_zone in {None, room.availability_zone}
        assert room.name not in wanted.avoid


@given(st.integers(1, 8), st.integers(1, 40), seeds)
def test_equal_hosts_are_filled_evenly(hosts, servers, seed):
    empty = [Room(str(n), str(n), "nova", True, True, 1000, 100_000, 1000) for n in range(hosts)]
    wanted, random = Wanted(1, 64, 1), Random(seed)
    for _ in range(servers):
        best = choose(empty, wanted, random)[0][0]
        full = replace(
            best,
            used_vcpus=best.used_vcpus + 1,
            used_memory_mb=best.used_memory_mb + 64,
            used_disk_gb=best.used_disk_gb + 1,
        )
        empty[int(best.id)] = full
    counts = [room.used_vcpus for room in empty]
    assert max(counts) - min(counts) <= 1


def test_chance_decides_among_equals():
    equal = [Room(str(n), str(n), "nova", True, True, 10, 10_000, 10) for n in range(20)]
    assert len({choose(equal, Wanted(1, 1, 1), Random(seed))[0][0].id for seed in range(40)}) > 5


def test_a_refusal_says_which_constraint_failed_how_many_hosts():
    small = Room("1", "a", "nova", True, True, 4, 100, 10)
    hosts = [small, replace(small, id="2", name="b"), replace(small, id="3", name="c", enabled=False)]
    assert choose(hosts, Wanted(1, 512, 1), Random(1)) == (
        [],
        "3 hosts: 2 have too little memory (512 MB wanted), 1 is disabled.",
    )
    assert choose([], Wanted(1, 1, 1), Random(1)) == ([], "There are no hosts.")
