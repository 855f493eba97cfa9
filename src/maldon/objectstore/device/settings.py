"""What an operator may say about the disks of the object store."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One section for all disks of a node."""

    small_bytes: int = option(
        1_048_576, "Objects up to this size share segment files; a larger one is a file of its own."
    )
    segment_bytes: int = option(268_435_456, "A segment file that has grown to this size is followed by a new one.")
    reserve_percent: int = option(
        1, "Part of each disk that is kept free: writes are refused with 507 before it is used."
    )
    reclaim_age_s: int = option(
        604_800, "Seconds that the mark of a deleted object is kept for replicas that were away."
    )
    live_percent: int = option(60, "Segment files are rewritten when less than this part of their bytes is in use.")
    replicate_bytes_per_s: int = option(
        50_000_000, "Bytes of objects that a second brings from each disk to disks which lack them."
    )
    audit_bytes_per_s: int = option(20_000_000, "Bytes the auditor reads of each disk in a second.")
    compact_bytes_per_s: int = option(50_000_000, "Bytes compaction reads of each disk in a second.")
