"""Whole numbers for things that have UUIDs: services and hypervisors were told apart by numbers until 2.52."""

from maldon.web.microversion import Version

BY_UUID = (2, 53)


def number_of(host_id: str) -> int:
    """The same number for the same id, always; no two hosts of a cloud are likely to share one."""
    return int(host_id.replace("-", "")[:8], 16) & 0x7FFFFFFF


def shown_id(host_id: str, version: Version) -> str | int:
    """A host's id in the words of a version."""
    return host_id if version >= BY_UUID else number_of(host_id)
