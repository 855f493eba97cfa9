"""Tempest's tests that this cloud passes go on passing: `tempest-passing.txt` names them and only grows.

To try others, and to grow the list: `python -m tests.compat.tempest --help`.
"""

import pytest

from tests.clouds import CLIENTS
from tests.compat.tempest import must_pass, regex_of, tempest

pytestmark = [
    pytest.mark.clients,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (CLIENTS / "stestr").exists(), reason="no virtual environment of the stock clients"),
]


def test_the_list_is_in_order():
    assert must_pass() == sorted(set(must_pass()))


def test_what_passed_passes():
    with tempest() as ready:
        results = ready.run(map(regex_of, must_pass()))
        missed = {test: results.get(test, "did not run") for test in must_pass() if results.get(test) != "success"}
        assert not missed, f"{missed}\n{ready.last_words()}"
