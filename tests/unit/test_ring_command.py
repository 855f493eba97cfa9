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
    assert (code, said) == (0, "version 1: 0 replicas moved, balance 0.00 %, dispersion 0.00 %\n")
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
