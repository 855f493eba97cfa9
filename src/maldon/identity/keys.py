"""The keys that tokens are sealed with: files in one directory, shared by every process of the cloud.

File 0 is staged: it opens tokens but seals none yet, so that every host can learn a key before tokens come with it. The
highest number is the primary, which seals; the others are older primaries that still open. Rotating makes the staged
key the primary and stages a new one. Whoever finds the directory changed reads it again.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from maldon.identity.settings import IdentitySettings


class TokenKeys:
    """The keys in `directory`, which is made with two of them when there are none.

    A rotation keeps `active` keys, and beyond that every one that was the primary less than `keep_s` ago, so that it
    kills no token that has its time still.
    """

    def __init__(self, directory: Path, active: int = 3, keep_s: float = 0.0) -> None:
        self._directory, self._active, self._keep_s = directory, max(active, 2), keep_s
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            if not self._numbers():
                self._write(1)
                self._write(0)
        self._state = -1
        self._cipher = self._read()

    @property
    def state(self) -> int:
        """Moves when the keys change."""
        return self._directory.stat().st_mtime_ns

    def seal(self, content: bytes) -> str:
        """A token of this content."""
        return self._current().encrypt(content).decode().rstrip("=")

    def open(self, token: str) -> bytes | None:
        """The content of a token that one of the keys has sealed."""
        try:
            return self._current().decrypt(token + "=" * (-len(token) % 4))
        except (InvalidToken, ValueError):
            return None

    def rotate(self) -> None:
        """Make the staged key the primary, stage a new one, drop the oldest beyond what is to be kept."""
        with self._alone():
            primary = max(self._numbers()) + 1
            os.utime(self._directory / "0")  # from now on it is the primary
            (self._directory / "0").replace(self._directory / str(primary))
            self._write(0)
            older = [n for n in self._numbers() if n not in {0, primary}]
            for number in older[: max(len(older) - (self._active - 2), 0)]:
                if self._done_with(number):
                    (self._directory / str(number)).unlink()
            self._sync()

    def _done_with(self, number: int) -> bool:
        """Whether the key has been no primary for long enough: its follower's file says since when."""
        since = min(n for n in self._numbers() if n > number)
        return time.time() - (self._directory / str(since)).stat().st_mtime >= self._keep_s

    def _current(self) -> MultiFernet:
        if self.state != self._state:
            self._cipher = self._read()
        return self._cipher

    def _read(self) -> MultiFernet:
        with self._alone():
            self._state = self.state
            numbers = self._numbers()
            return MultiFernet([Fernet((self._directory / str(n)).read_bytes()) for n in reversed(numbers)])

    def _numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self._directory.iterdir() if path.name.isdecimal())

    def _write(self, number: int) -> None:
        beside = self._directory / f".new-{number}"
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._directory / str(number))
        self._sync()

    def _sync(self) -> None:
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time. The directory itself is locked, so that there is no further file."""
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def token_keys(home: Path, settings: IdentitySettings) -> TokenKeys:
    """The keys of a cloud's tokens. One is kept as long as a token of it may be looked up."""
    keep_s = settings.token_lifetime_s + settings.expired_window_s
    return TokenKeys(home / "fernet-keys", settings.active_keys, keep_s)
