"""What the driver remembers of a node: the items it was given, one file each.

A record is written twice: before its devices are touched (`whole` is false: whatever happens now, the item is not as
desired) and after. The rename is the commit, so a crash leaves the old record or the new one. `number` is small and
unique within the node: a network's conntrack zone, a port's packet mark.
"""

import os
from pathlib import Path
from urllib.parse import quote

import msgspec

from maldon.ports.switch import Item, Kind, kind_of

Key = tuple[Kind, str]


class Record(msgspec.Struct, frozen=True):
    item: Item
    number: int
    whole: bool


def write_file(path: Path, content: bytes) -> None:
    """Replace a file at once and for good."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Memory:
    """The records of a node, in a directory and in a dict."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.records: dict[Key, Record] = {}
        for file in sorted(directory.glob("[!.]*.json")):
            record = msgspec.json.decode(file.read_bytes(), type=Record)
            self.records[kind_of(record.item), record.item.id] = record

    def put(self, item: Item, *, whole: bool) -> Record:
        """Remember an item; it keeps its number for as long as it is remembered."""
        key = (kind_of(item), item.id)
        known = self.records.get(key)
        record = Record(item, known.number if known else self._free_number(key[0]), whole)
        if record != known:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_file(self._path(key), msgspec.json.encode(record))
            self.records[key] = record
        return record

    def drop(self, key: Key) -> None:
        self._path(key).unlink(missing_ok=True)
        self.records.pop(key, None)

    def _path(self, key: Key) -> Path:
        return self._directory / f"{key[0]}-{quote(key[1], safe='')}.json"

    def _free_number(self, kind: Kind) -> int:
        taken = {record.number for key, record in self.records.items() if key[0] == kind}
        return next(number for number in range(1, len(taken) + 2) if number not in taken)
