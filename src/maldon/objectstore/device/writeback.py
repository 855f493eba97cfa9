"""Writeback that begins at once: what is synced at the end of a long body is on its way to the disk by then.

`sync_file_range` of Linux, which Python has no word for; where there is none, the sync has more to do.
"""

import ctypes

_WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin, do not wait

_libc = ctypes.CDLL(None, use_errno=True)
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def start_writeback(file: int, at: int, length: int) -> None:
    """Begin to write so many bytes from an offset."""
    if _sync_file_range is not None:
        _sync_file_range(file, at, length, _WRITE)
