"""Swift's functional tests that this store passes go on passing: `swift-passing.txt` names them and only grows.

To try others, and to grow the list: `python -m tests.compat.swift --help`.
"""

import pytest

from tests.compat.swift import PYTHON, must_pass, run_both

pytestmark = [
    pytest.mark.clients,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not PYTHON.exists(), reason="no virtual environment of Swift's tests"),
]


def test_what_passed_passes():
    results, said = run_both()
    missed = {test: results.get(test, "did not run") for test in must_pass() if results.get(test) != "passed"}
    words = "\n".join(f"{name}: {said.get(name, '')[-1500:]}" for name in missed)
    assert not missed, f"{missed}\n{words}"
