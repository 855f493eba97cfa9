"""A guest is changed by one process at a time: the agent, a doctor beside it, an agent that is being replaced.

The lock is the kernel's, on the guest's directory; it ends with the process that holds it, however that ends.
"""

import fcntl
import os
from pathlib import Path


def take(directory: Path) -> int | None:
    """A file descriptor that holds the lock until it is closed; None without a directory. BlockingIOError: taken."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def give_back(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)
