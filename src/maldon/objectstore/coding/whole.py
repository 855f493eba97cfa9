"""What each fragment of an object says of the whole: its size and MD5, and how it was cut; one header of sysmeta.

    x-object-sysmeta-ec: 5d41402abc4b2a76b9719d911017c592 5 1048576 isa_l_rs_vand/4+2

The record of a fragment has size and MD5 of the fragment's own bytes. Everything that clients and containers are told
of an object comes from here, so that they see the same as of an object kept whole.
"""

from typing import NamedTuple

import msgspec

from maldon.kernel.errors import CloudError
from maldon.objectstore.node import WHOLE, Record

HEADER = "x-object-sysmeta-ec"


class Whole(NamedTuple):
    """`segment_bytes` are coded together; `scheme` is the kind of code with its numbers of fragments."""

    etag: str
    size: int
    segment_bytes: int
    scheme: str

    @property
    def headers(self) -> dict[str, str]:
        return {HEADER: f"{self.etag} {self.size} {self.segment_bytes} {self.scheme}"}


def whole_of(record: Record) -> Whole:
    """What a fragment says of its object."""
    words = record.headers.get(HEADER, "").split(" ")
    if len(words) != 4 or not (words[1].isdecimal() and words[2].isdecimal()):
        raise CloudError("The object cannot be read.", internal=f"a fragment of {record.timestamp} has no {HEADER}")
    return Whole(words[0], int(words[1]), int(words[2]), words[3])


def told_as_whole(record: Record) -> Record:
    """The object of which a record is a fragment, as it is told to others; a record of a whole as it is."""
    if record.fragment == WHOLE or record.deleted:
        return record
    whole = whole_of(record)
    headers = {name: value for name, value in record.headers.items() if name != HEADER}
    return msgspec.structs.replace(record, size=whole.size, etag=whole.etag, headers=headers, fragment=WHOLE)
