"""Erasure codes: an object in `data` + `parity` fragments of which any `needed` give it back.

    ec=isa_l_rs_vand/4+2            kind, data and parity fragments
    ec=isa_l_rs_vand/4+2/1048576    and the bytes of a segment

An object is cut into segments; of each segment every fragment has a chunk, and a fragment archive is its chunks one
after the other. So any part of an object is read by reading as much of the archives, a segment at least.

The codes are pyeclib's, an extra, imported when a policy wants it. It keeps the interpreter to itself while it works
(0.2 ms for 1 MiB of 4+2), so that coding in a thread would gain nothing. It ends the process when a chunk is not of
type bytes: `_checked` sees to that.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from maldon.kernel.errors import Unavailable
from maldon.kernel.settings import BadSetting

SEGMENT_BYTES = 1 << 20
_SEGMENTS = range(4096, (64 << 20) + 1)
_MOST = 255  # fragments: what an index of a byte tells apart
_LOSSES = {"flat_xor_hd_3": 2, "flat_xor_hd_4": 3}  # that these always survive, whatever their parity
_UNSAFE = {"isa_l_rs_vand": 4}  # the most parity with which every loss can be mended


class Code:
    """One code. Raises BadSetting for what pyeclib cannot do here."""

    def __init__(self, kind: str, data: int, parity: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.kind, self.data, self.parity, self.segment_bytes = kind, data, parity, segment_bytes
        self._driver: Any = _driver(kind, data, parity)
        self.needed = self.fragments - min(_LOSSES.get(kind, parity), parity)
        self.quorum = min(self.fragments, self.needed + 1)
        self._chunk_bytes = lru_cache(maxsize=64)(self._measure)

    @property
    def fragments(self) -> int:
        return self.data + self.parity

    @property
    def scheme(self) -> str:
        """What must stay the same for an object to be read."""
        return f"{self.kind}/{self.data}+{self.parity}"

    def encode(self, segment: bytes) -> list[bytes]:
        """The chunk of each fragment."""
        chunks: list[bytes] = self._driver.encode(segment)
        return chunks

    def decode(self, chunks: Sequence[bytes], size: int) -> bytes:
        """The segment of so many bytes, of `needed` chunks. Raises Unavailable for what is not."""
        segment: bytes = self._call(self._driver.decode, self._checked(chunks, size))
        if len(segment) != size:
            raise Unavailable("", internal=f"a segment of {size} bytes was decoded to {len(segment)}")
        return segment

    def rebuild(self, chunks: Sequence[bytes], size: int, fragment: int) -> bytes:
        """The chunk of a fragment, of `needed` others. Raises Unavailable."""
        (chunk,) = self._call(self._driver.reconstruct, self._checked(chunks, size), [fragment])
        return bytes(chunk)

    def chunk_bytes(self, size: int) -> int:
        """Of each fragment of a segment of so many bytes."""
        return self._chunk_bytes(size)

    def _measure(self, size: int) -> int:
        found: int = self._driver.get_segment_info(size, size)["fragment_size"]
        return found

    def _checked(self, chunks: Sequence[bytes], size: int) -> list[bytes]:
        wanted = self.chunk_bytes(size)
        if len(chunks) < self.needed or any(type(chunk) is not bytes or len(chunk) != wanted for chunk in chunks):
            raise Unavailable(
                "", internal=f"{len(chunks)} chunks of a segment of {size} bytes are not as they should be"
            )
        return list(chunks)

    def _call(self, verb: Any, *arguments: Any) -> Any:
        from pyeclib.ec_iface import ECDriverError

        try:
            return verb(*arguments)
        except ECDriverError as error:
            raise Unavailable("", internal=f"{self.scheme}: {error}") from error


def _driver(kind: str, data: int, parity: int) -> Any:
    try:
        from pyeclib.ec_iface import VALID_EC_TYPES, ECDriver, ECDriverError
    except ImportError as error:
        raise BadSetting(
            "[object] policies wants an erasure code, which needs pyeclib: install Maldon with its extra `erasure`."
        ) from error
    if kind not in VALID_EC_TYPES:
        raise BadSetting(
            f"[object] policies: there is no erasure code {kind!r}; there are {', '.join(VALID_EC_TYPES)}."
        )
    if parity > _UNSAFE.get(kind, parity):
        raise BadSetting(
            f"[object] policies: {kind} cannot mend every loss with {parity} parity fragments, "
            f"only with {_UNSAFE[kind]} at most; isa_l_rs_cauchy can."
        )
    try:
        return ECDriver(ec_type=kind, k=data, m=parity)
    except ECDriverError as error:
        raise BadSetting(f"[object] policies: {kind} has no {data}+{parity} fragments.") from error


@lru_cache(maxsize=64)
def read_code(text: str) -> Code:
    """The code of a policy's text, without `ec=`. Raises BadSetting."""
    kind, _, rest = text.partition("/")
    numbers, _, segment = rest.partition("/")
    words = (*numbers.partition("+")[::2], segment or str(SEGMENT_BYTES))
    if not kind or any(not (word.isascii() and word.isdecimal() and len(word) < 10) for word in words):
        raise BadSetting(f"[object] policies wants ec=kind/data+parity[/segment bytes], not 'ec={text}'.")
    data, parity, segment_bytes = map(int, words)
    if data < 1 or parity < 1 or data + parity > _MOST:
        raise BadSetting(f"[object] policies: 'ec={text}' wants data and parity fragments, {_MOST} of both at most.")
    if segment_bytes not in _SEGMENTS:
        raise BadSetting(
            f"[object] policies: the segments of 'ec={text}' want {_SEGMENTS.start} to {_SEGMENTS.stop - 1} bytes."
        )
    return Code(kind, data, parity, segment_bytes)
