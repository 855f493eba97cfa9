"""Erasure codes: the text of a policy, where bytes lie in fragments, which version is to be read."""

import os
import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maldon.kernel.errors import Unavailable
from maldon.kernel.settings import BadSetting
from maldon.objectstore.coding.code import Code
from maldon.objectstore.coding.layout import Layout
from maldon.objectstore.coding.versions import Seen, current, versions
from maldon.objectstore.coding.whole import HEADER, Whole, told_as_whole, whole_of
from maldon.objectstore.node import Record
from maldon.objectstore.policies import read_policies
from maldon.objectstore.ring.device import RingDevice

SEGMENT = 4096
CODE = Code("isa_l_rs_vand", 4, 2, SEGMENT)
KINDS = ("isa_l_rs_vand", "isa_l_rs_cauchy", "isa_l_rs_vand_inv", "liberasurecode_rs_vand")
DATA = os.urandom(3 * SEGMENT + 1)


def test_a_policy_says_its_code():
    (whole, coded, other) = read_policies(
        ("0:gold", "1:deep:ec=isa_l_rs_vand/4+2:abyss:deprecated", "2:c:ec=isa_l_rs_cauchy/2+1/65536")
    )
    assert (whole.code, coded.name, coded.aliases, coded.deprecated) == (None, "deep", ("abyss",), True)
    assert (coded.code.scheme, coded.code.segment_bytes) == ("isa_l_rs_vand/4+2", 1 << 20)
    assert (coded.code.fragments, coded.code.needed, coded.code.quorum) == (6, 4, 5)
    assert (other.code.scheme, other.code.segment_bytes) == ("isa_l_rs_cauchy/2+1", 65536)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0:gold:ec=", "wants ec=kind/data"),
        ("0:gold:ec=isa_l_rs_vand", "wants ec=kind/data"),
        ("0:gold:ec=isa_l_rs_vand/4", "wants ec=kind/data"),
        ("0:gold:ec=isa_l_rs_vand/4+2/x", "wants ec=kind/data"),
        ("0:gold:ec=isa_l_rs_vand/4+-2", "wants ec=kind/data"),
        ("0:gold:ec=isa_l_rs_vand/٤+2", "wants ec=kind/data"),
        ("0:gold:ec=isa_l_rs_vand/0+2", "255 of both at most"),
        ("0:gold:ec=isa_l_rs_vand/4+0", "255 of both at most"),
        ("0:gold:ec=isa_l_rs_vand/200+100", "255 of both at most"),
        ("0:gold:ec=isa_l_rs_vand/4+2/1", "4096 to 67108864 bytes"),
        ("0:gold:ec=isa_l_rs_vand/4+2/999999999", "4096 to 67108864 bytes"),
        ("0:gold:ec=isa_l_rs_vand/10+5", "isa_l_rs_cauchy can"),
        ("0:gold:ec=none/4+2", "there are flat_xor_hd_3, flat_xor_hd_4, isa_l_rs_vand"),
        ("0:gold:ec=flat_xor_hd_3/4+2", "has no 4+2 fragments"),
        ("0:gold:ec=isa_l_rs_vand/4+2:ec=isa_l_rs_vand/4+2", "index:name"),
        ("0:ec=isa_l_rs_vand/4+2", "index:name"),
        ("0:gold:eck=isa_l_rs_vand/4+2", "index:name"),
    ],
)
def test_what_is_no_code_is_refused_with_a_sentence(text, says):
    with pytest.raises(BadSetting) as refused:
        read_policies((text,))
    assert says in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 4, 5, SEGMENT - 1, SEGMENT])
def test_any_fragments_that_are_enough_give_the_segment_and_the_lost_ones(kind, size):
    code = Code(kind, 4, 2, SEGMENT)
    segment = os.urandom(size)
    chunks = code.encode(segment)
    assert {len(chunk) for chunk in chunks} == {code.chunk_bytes(size)}
    for kept in combinations(range(6), 4):
        assert code.decode([chunks[n] for n in kept], size) == segment
        for lost in set(range(6)) - set(kept):
            assert code.rebuild([chunks[n] for n in kept], size, lost) == chunks[lost]


def test_a_code_that_does_not_survive_every_loss_of_its_parity_needs_more():
    code = Code("flat_xor_hd_3", 5, 5, SEGMENT)
    assert (code.needed, code.quorum) == (8, 9)
    chunks = code.encode(DATA[:SEGMENT])
    for lost in combinations(range(10), 2):
        assert code.decode([c for n, c in enumerate(chunks) if n not in lost], SEGMENT) == DATA[:SEGMENT]


@pytest.mark.parametrize("kind", ["few", "short", "long", "view", "mixed", "nothing"])
def test_what_are_no_chunks_is_refused_and_ends_nothing(kind):
    chunks = CODE.encode(DATA[:SEGMENT])[:4]
    chunks = {
        "few": chunks[:3],
        "short": [*chunks[:3], chunks[3][:-1]],
        "long": [*chunks[:3], chunks[3] + b"x"],
        "view": [*chunks[:3], memoryview(chunks[3])],
        "mixed": [*chunks[:3], chunks[2]],
        "nothing": [*chunks[:3], bytes(len(chunks[3]))],
    }[kind]
    with pytest.raises(Unavailable):
        CODE.decode(chunks, SEGMENT)
    with pytest.raises(Unavailable):
        CODE.rebuild(chunks, SEGMENT, 5)


def archives(data):
    coded = [CODE.encode(data[at : at + SEGMENT]) for at in range(0, len(data), SEGMENT)]
    return [b"".join(chunks[n] for chunks in coded) for n in range(CODE.fragments)]


def read(kept, layout, start, stop):
    """As a proxy does: the span of the archives, cut into chunks, each segment decoded, its wanted bytes."""
    first, last = layout.span(start, stop)
    spans, out = [archive[first:last] for archive in kept], b""
    for one in layout.slices(start, stop):
        out += CODE.decode([span[: one.chunk] for span in spans], one.size)[one.start : one.stop]
        spans = [span[one.chunk :] for span in spans]
    assert spans == [b""] * len(kept)
    return out


edges = st.sampled_from([n * SEGMENT + d for n in range(4) for d in (-1, 0, 1) if 0 <= n * SEGMENT + d <= len(DATA)])
sizes = edges | st.integers(0, len(DATA))


@given(sizes, sizes, sizes, st.randoms())
def test_any_range_is_read_from_the_segments_that_hold_it(size, one, other, chance):
    data, layout = DATA[:size], Layout(CODE, size, SEGMENT)
    whole = archives(data)
    assert {len(archive) for archive in whole} == {layout.archive_bytes}
    start, stop = sorted((min(one, size), min(other, size)))
    kept = sorted(chance.sample(range(6), 4))
    assert read([whole[n] for n in kept], layout, start, stop) == data[start:stop]
    assert sum(slice_.size for slice_ in layout.slices(start, stop)) < stop - start + 2 * SEGMENT


def device(number):
    return RingDevice(number, 1, 1, f"n{number}", "d", 1.0)


def part(at, fragment, *, durable=True, deleted=False, posted=0):
    return Record(at, 1, "", {}, posted or at, deleted, -1 if deleted else fragment, durable)


seen = st.builds(
    Seen,
    st.integers(0, 7).map(device),
    st.builds(part, st.integers(1, 4), st.integers(0, 5), durable=st.booleans(), posted=st.integers(4, 6))
    | st.builds(part, st.integers(1, 4), st.just(-1), deleted=st.just(True)),
)


@given(st.lists(seen, max_size=12))
def test_the_newest_that_anybody_calls_durable_is_read_and_no_two_are_mixed(told):
    version = current(told)
    durable = [one.record.timestamp for one in told if one.record.durable]
    assert (version.timestamp if version else None) == max(durable, default=None)
    if version is not None and not version.deleted:
        same = [one for one in told if one.record.timestamp == version.timestamp and not one.record.deleted]
        held = {(n, device_) for n, devices in version.holders.items() for device_ in devices}
        assert held == {(one.record.fragment, one.device) for one in same}
        assert version.record.posted_at == max(one.record.posted_at for one in same)
    shuffled = random.Random(1).sample(told, len(told))
    assert [one.timestamp for one in versions(shuffled)] == [one.timestamp for one in versions(told)]


def test_a_fragment_tells_of_the_whole():
    whole = Whole("0" * 32, 5, SEGMENT, CODE.scheme)
    record = Record(7, 81, "f" * 32, {"content-type": "a/b", **whole.headers}, 8, fragment=3)
    assert whole_of(record) == whole
    assert told_as_whole(record) == Record(7, 5, "0" * 32, {"content-type": "a/b"}, 8)
    plain = Record(7, 81, "f" * 32, {HEADER: "x"}, 8)
    assert told_as_whole(plain) == plain
