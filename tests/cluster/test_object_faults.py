"""A cluster of five nodes under faults loses nothing that was answered; `python -m tests.cluster.faults` goes on.

A few faults, chosen anew each time; the seed is in the output, and makes the same choice again.
"""

import subprocess
import sys

import pytest


@pytest.mark.root
@pytest.mark.timeout(900)
@pytest.mark.parametrize("options", [[], ["--code=isa_l_rs_vand/4+2"]], ids=["replicas", "fragments"])
def test_nothing_that_was_answered_is_lost(tmp_path, options):
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        sys.executable,
        "-m",
        "tests.cluster.faults",
        "--faults=5",
        f"--keep={tmp_path}",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
