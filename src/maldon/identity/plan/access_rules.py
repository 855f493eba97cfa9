"""Which calls an application credential with access rules may make. Pure.

A rule names a service by its type, a method, and a path below the service's root, in which `*` and `{name}` stand for
one segment or a part of one, and `**` for anything. Users write these patterns, so a match takes time in proportion to
the path, whatever the pattern: all places in it where the path so far may have led are followed at once, as bits.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_TYPES = {
    "volume": frozenset({"volume", "volumev2", "volumev3", "block-storage", "block-store"}),
    "objectstore": frozenset({"object-store"}),
}
_WORDS = re.compile(r"\*{2,}|\*|{[^/{}]*}|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One kind of call."""

    id: str
    service: str
    method: str
    path: str


def permits(rules: Iterable[AccessRule], service: str, method: str, path: str) -> bool:
    """Whether one of the rules speaks of this call to our service of that name."""
    types = _TYPES.get(service, frozenset({service}))
    return any(r.service in types and r.method == method and _form(r.path).fits(path) for r in rules)


class _Form:
    """A pattern's words. Bit n of a state: the path so far may be what the first n words stand for."""

    def __init__(self, pattern: str) -> None:
        words = _WORDS.findall(pattern)
        self._end = 1 << len(words)
        self._steps: dict[str, int] = {}  # by character: after which words the next one takes it
        self._part = self._any = 0
        for n, word in enumerate(words):
            if word.startswith("**"):
                self._any |= 1 << n
            elif len(word) > 1 or word == "*":
                self._part |= 1 << n
            else:
                self._steps[word] = self._steps.get(word, 0) | 1 << n

    def fits(self, path: str) -> bool:
        state = 1 | (self._any & 1) << 1
        for character in path:
            part = 0 if character == "/" else self._part
            onward = (state & (self._steps.get(character, 0) | part)) << 1
            state = onward | state & (part | self._any) << 1
            state |= (state & self._any) << 1
        return bool(state & self._end)


@lru_cache(maxsize=1024)
def _form(pattern: str) -> _Form:
    return _Form(pattern)
