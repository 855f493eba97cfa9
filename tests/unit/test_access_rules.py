"""Access rules: which calls a pattern speaks of, and that no pattern is slow."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maldon.identity.plan.access_rules import AccessRule, permits


def fits(pattern, path):
    return permits([AccessRule("r", "compute", "GET", pattern)], "compute", "GET", path)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/a", ["/a"], ["/a/", "/ab", "/A", "", "/a/b"]),
        ("/a/*", ["/a/b", "/a/*"], ["/a/", "/a", "/a/b/c"]),
        ("/a/{id}/c", ["/a/b/c"], ["/a//c", "/a/b/d/c"]),
        ("/**", ["/", "/a", "/a/b/c"], ["", "a"]),
        ("/a/**/c", ["/a/b/c", "/a//c", "/a/b/b/c"], ["/a/c", "/a/b"]),
        ("/a*b", ["/axb", "/axxb"], ["/ab", "/a/b"]),
        ("/a.b", ["/a.b"], ["/axb"]),
        ("/***", ["/", "/a/b"], ["a"]),
        ("/{", ["/{"], ["/a"]),
    ],
)
def test_a_pattern_fits_what_it_says(pattern, yes, no):
    assert [path for path in yes if not fits(pattern, path)] == []
    assert [path for path in no if fits(pattern, path)] == []


def expression(pattern):
    """The same by a regular expression: slow for some, but easy to believe."""
    words = re.findall(r"\*{2,}|\*|{[^/{}]*}|.", pattern)
    kinds = (".*" if w.startswith("**") else "[^/]+" if w == "*" or len(w) > 1 else re.escape(w) for w in words)
    return re.compile("".join(kinds), re.DOTALL)


@given(pattern=st.text("ab/*{}", max_size=10), path=st.text("ab/", max_size=10))
def test_it_is_what_a_regular_expression_says(pattern, path):
    assert fits(pattern, path) == bool(expression(pattern).fullmatch(path))


@pytest.mark.parametrize("pattern", ["/" + "**a" * 80, "/" + "*a" * 120, "/" + "{x}a**" * 40])
def test_no_pattern_is_slow(pattern):
    begun = time.process_time()
    fits(pattern, "/" + "a" * 8000 + "b")
    assert time.process_time() - begun < 1


def test_service_and_method_count():
    rules = [AccessRule("r", "block-storage", "GET", "/v3/**")]
    assert permits(rules, "volume", "GET", "/v3/x")
    assert not permits(rules, "volume", "HEAD", "/v3/x")
    assert not permits(rules, "compute", "GET", "/v3/x")
    assert not permits([], "volume", "GET", "/v3/x")
