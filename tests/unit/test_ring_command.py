"""`maldon ring`, as an operator types it."""

import pytest
from click.testing import CliRunner

from maldon.runtime.cli import main


@pytest.fixture
def ring(tmp_path):
    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["ring", words[0], "--home", str(tmp_path), *words[1:]])
        return done.exit_code, done.output

    return run


def add(ring, name: str, zones: int) -> None:
    for zone in range(zones):
        words = ("--zone", str(zone), "--address", f"10.0.0.{zone}:6200", "--device", "d1", "--weight", "100")
        assert ring("add", name, *words) == (0, f"device {zone}\n")


def test_a_ring_is_made_filled_balanced_and_read(ring):
    assert ring("create", "object", "--power", "6")[0] == 0
    add(ring, "object", 3)
    assert ring("validate", "object")[0] == 1
    code, said = ring("rebalance", "object", "--seed", "1")
    assert (code, said) == (0, "object: version 1, 0 replicas move, balance 0.00 %, dispersion 0.00 %\n")
    assert ring("validate", "object")[0] == 0
    assert ring("list-parts", "object", "2")[1].split() == [str(n) for n in range(64)]
    code, said = ring("show", "object")
    assert "version 1, 64 partitions, 3 replicas, 3 devices" in said
    assert said.splitlines()[-1].split() == ["2", "1", "2", "10.0.0.2:6200", "d1", "100", "64", "64"]


def test_a_disk_is_drained_and_removed(ring):
    ring("create", "container", "--power", "5", "--replicas", "2", "--min-part-hours", "0")
    add(ring, "container", 4)
    ring("rebalance", "container")
    assert ring("set-weight", "container", "1", "0")[0] == 0
    ring("rebalance", "container")
    assert ring("list-parts", "container", "1")[1].split() == []
    assert ring("remove", "container", "1")[0] == 0
    ring("rebalance", "container")
    code, said = ring("list-parts", "container", "1")
    assert (code, said) == (1, "maldon: There is no device 1; there are 0, 2, 3.\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "objects"), "There is no ring 'objects'"),
        (("create", "container-1"), "There is no ring 'container-1'"),
        (("show", "object"), "`maldon ring create object` makes one"),
        (("rebalance", "account"), "3 replicas need as many devices with a weight."),
        (("set-weight", "account", "7", "1"), "There is no device 7; there are none."),
        (("create", "account"), "already"),
    ],
)
def test_a_mistake_is_one_sentence(ring, words, sentence):
    ring("create", "account")
    code, said = ring(*words)
    assert code == 1
    assert said.startswith("maldon: ")
    assert sentence in said
    assert said.count("\n") == 1


@pytest.fixture
def rings(ring):
    """All three, over one disk of each of four nodes that do not answer."""
    assert ring("create", "--power", "6", "--replicas", "3")[1].count("64 partitions") == 3
    for zone in range(4):
        code, said = ring("add", "--zone", str(zone), "--address", f"127.0.0.1:{zone + 1}", "--device", "d1")
        assert (code, said) == (0, "".join(f"{name}: device {zone}\n" for name in ("account", "container", "object")))
    assert ring("rebalance")[1].count("version 1, 0 replicas move") == 3
    return ring


def parts(ring, name, device):
    return len(ring("list-parts", name, str(device))[1].split())


NAMES = ("account", "container", "object")


def test_a_disk_is_added_drained_and_forgotten_in_all_rings_by_one_command_each(rings):
    code, said = rings("add", "--zone", "9", "--address", "127.0.0.1:5", "--device", "d1", "--rebalance")
    assert (code, said.count("version 2")) == (0, 3)
    assert all(parts(rings, name, 4) > 30 for name in NAMES)
    assert "cluster.json is not here" in said
    assert "`maldon object recon`" in said
    assert [rings("validate")[1].count("every replica has a device of its own")] == [3]
    moved_before = {name: parts(rings, name, 0) for name in NAMES}
    code, said = rings("drain", "127.0.0.1:1/d1")
    assert (code, "must wait, because another replica of theirs moved less than 1 h ago" in said) == (0, True)
    left = {name: parts(rings, name, 0) for name in NAMES}
    assert all(0 < left[name] < moved_before[name] for name in NAMES)
    assert rings("forget", "127.0.0.1:1")[0] == 1
    code, said = rings("rebalance", "--force")
    assert code == 0
    code, said = rings("drain", "127.0.0.1:1")
    assert "once it holds no objects, `maldon ring forget 127.0.0.1:1`" in said
    assert rings("forget", "127.0.0.1:1/d1")[0] == 0
    code, said = rings("drain", "127.0.0.1:1")
    known = ", ".join(f"127.0.0.1:{port}/d1" for port in (2, 3, 4, 5))
    assert (code, said) == (1, f"maldon: No ring has 127.0.0.1:1; there are {known}.\n")


def test_a_node_takes_the_place_of_another(rings):
    before = {name: parts(rings, name, 2) for name in NAMES}
    code, said = rings("replace", "127.0.0.1:3", "127.0.0.1:30")
    assert (code, "Start its storage node first" in said) == (1, True)
    code, said = rings("replace", "127.0.0.1:3", "127.0.0.1:30", "--force")
    assert (code, said.count("version 2")) == (0, 3)
    assert {name: parts(rings, name, 2) for name in NAMES} == before
    assert "127.0.0.1:30 " in rings("show", "object")[1]
    assert "127.0.0.1:3 " not in rings("show", "object")[1]
    code, said = rings("replace", "127.0.0.1:2", "127.0.0.1:20", "--force")
    assert code == 0
    assert rings("replace", "127.0.0.1:1", "127.0.0.1:20", "--force")[0] == 1  # it is in the rings
    assert rings("replace", "127.0.0.1:1", "nowhere", "--force")[0] == 1


def test_a_change_that_cannot_be_made_changes_nothing(rings):
    rings("drain", "127.0.0.1:1")
    before = rings("show")[1]
    code, said = rings("drain", "127.0.0.1:2")
    assert (code, said) == (1, "maldon: 3 replicas need as many devices with a weight.\n")
    assert rings("show")[1] == before


def test_a_ring_has_a_place_for_each_fragment_of_its_policy(ring, tmp_path):
    (tmp_path / "maldon.toml").write_text('[object]\npolicies = ["0:gold", "1:deep:ec=isa_l_rs_vand/4+2"]\n')
    for name, replicas in (("object", "3"), ("object-1", "5")):
        assert ring("create", name, "--power", "4", "--replicas", replicas)[0] == 0
        add(ring, name, 6)
        assert ring("rebalance", name)[0] == 0
    assert ring("validate", "object")[0] == 0
    code, said = ring("validate", "object-1")
    assert (code, said) == (
        1,
        (
            "maldon: The storage policy 'deep' (isa_l_rs_vand/4+2) wants a ring object-1 with 6 replicas, "
            "and there is one with 5.\n"
        ),
    )
    (tmp_path / "maldon.toml").write_text('[object]\npolicies = ["0:gold", "1:deep:ec=none/4+2"]\n')
    assert "there is no erasure code 'none'" in ring("validate", "object-1")[1]


def test_rings_are_made_for_all_policies_with_as_many_replicas_as_each_wants(ring, tmp_path):
    (tmp_path / "maldon.toml").write_text('[object]\npolicies = ["0:gold", "1:deep:ec=isa_l_rs_vand/4+2"]\n')
    assert ring("create", "container", "--power", "4")[0] == 0
    code, said = ring("create", "--power", "5", "--replicas", "2")
    made = {"account": 2, "object": 2, "object-1": 6}
    assert (code, said) == (0, "".join(f"{name}: 32 partitions, {copies} replicas\n" for name, copies in made.items()))
    assert ring("create") == (1, "maldon: Every ring of the settings is there already.\n")
