"""Which versions stay is the same in whatever order, and however often, records are met."""

from functools import reduce
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from maldon.objectstore.device.merge import DELETED, MARK_SLOT, PROMOTED, Entry, merge, newest
from maldon.objectstore.node import WHOLE


def entry(fragment, timestamp, *, posted=0, written=0, durable=True, flags=0):
    pending = 0 if durable else timestamp
    return Entry(0, b"h", fragment, pending, timestamp, posted or timestamp, written, 1, 0, 0, 0, flags, None, None)


wholes = st.builds(
    entry, st.just(WHOLE), st.integers(1, 4), posted=st.integers(4, 6), flags=st.sampled_from([0, DELETED])
)
fragments = st.builds(entry, st.integers(0, 2), st.integers(1, 4), durable=st.booleans())
marks = st.builds(entry, st.just(MARK_SLOT), st.integers(1, 4))
tombstones = st.builds(entry, st.just(WHOLE), st.integers(1, 4), flags=st.just(DELETED))


def numbered(entries):
    """No two records are written at one time."""
    return [one._replace(written=number) for number, one in enumerate(entries)]


def all_of(entries):
    return set(reduce(merge, entries, []))


@given(st.lists(wholes | fragments | marks | tombstones, max_size=7).map(numbered), st.randoms())
def test_order_and_repetition_change_nothing(entries, random):
    shuffled = entries * 2
    random.shuffle(shuffled)
    assert all_of(shuffled) == all_of(entries)


@given(st.lists(fragments | marks | tombstones, max_size=6).map(numbered))
def test_what_stays_is_the_newest_durable_and_what_may_become_it(entries):
    kept = all_of(entries)
    durable = {one.timestamp for one in entries if not one.pending}
    newest_durable = max(durable, default=0)
    assert all(one.timestamp >= newest_durable for one in kept)
    fragments_of_it = {one.fragment for one in entries if one.timestamp == newest_durable and one.fragment >= 0}
    tombstones_of_it = {one.fragment for one in entries if one.timestamp == newest_durable and one.flags & DELETED}
    assert {one.fragment for one in kept if not one.pending} - {MARK_SLOT} == fragments_of_it | tombstones_of_it
    pending = {(one.fragment, one.timestamp) for one in entries if one.pending and one.timestamp > newest_durable}
    assert {(one.fragment, one.timestamp) for one in kept if one.pending} == pending


def test_a_mark_makes_its_fragment_durable_before_or_after():
    records = [entry(3, 1, written=1), entry(3, 2, written=2, durable=False), entry(MARK_SLOT, 2, written=3)]
    promoted = records[1]._replace(pending=0, flags=PROMOTED)
    assert [all_of(order) for order in permutations(records)] == [{promoted}] * 6
    assert newest([promoted], 3) == promoted
    assert newest([promoted], 4) is None
    assert newest([records[1]]) is None
