"""What one process did to one disk, in plain numbers: nothing is looked up where it is counted."""

import msgspec

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Records of a group, up to which it falls into a bucket."""


class DiskCounts(msgspec.Struct):
    """`groups` by how many records were written and synced together: one for each of SIZES, and one beyond."""

    groups: list[int] = msgspec.field(default_factory=lambda: [0] * (len(SIZES) + 1))
    records: int = 0
    small_bytes: int = 0
    large_bytes: int = 0
    refused: int = 0
    quarantined: int = 0

    def group(self, records: int, size: int) -> None:
        """One group is on the disk."""
        self.groups[min((records - 1).bit_length(), len(SIZES))] += 1
        self.records += records
        self.small_bytes += size

    def add(self, other: "DiskCounts") -> None:
        """Another process's."""
        self.groups = [one + more for one, more in zip(self.groups, other.groups, strict=True)]
        self.records += other.records
        self.small_bytes += other.small_bytes
        self.large_bytes += other.large_bytes
        self.refused += other.refused
        self.quarantined += other.quarantined
