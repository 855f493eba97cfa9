"""Passwords: argon2id at OWASP's parameters, in a thread, a few at a time.

A check costs the same whether the user exists or not: without a hash the password is compared with one that nothing
matches. Hashes made with other parameters, or by bcrypt where that package is installed, are accepted and made anew.
"""

import asyncio
import base64
import secrets

import argon2

from maldon.identity.settings import DEFAULTS, IdentitySettings
from maldon.kernel.errors import CloudError

_BCRYPT = ("$2a$", "$2b$", "$2y$")


class Passwords:
    """Hashes and checks. `checks` counts the passwords looked at."""

    def __init__(self, settings: IdentitySettings = DEFAULTS) -> None:
        self._hasher = argon2.PasswordHasher(settings.hash_passes, settings.hash_memory_kib, 1)
        salt, digest = (base64.b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32))
        self._nobody = f"$argon2id$v=19$m={settings.hash_memory_kib},t={settings.hash_passes},p=1${salt}${digest}"
        self._turn = asyncio.Semaphore(settings.hashes_at_once)
        self.checks = 0

    async def hash(self, password: str) -> str:
        """What to store."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, stored: str | None, password: str) -> tuple[bool, str | None]:
        """Whether it is the password, and what to store instead when the old hash is out of date.

        Outside of any transaction, please.
        """
        self.checks += 1
        async with self._turn:
            return await asyncio.to_thread(self._check, stored or self._nobody, password)

    def _check(self, stored: str, password: str) -> tuple[bool, str | None]:
        if stored.startswith(_BCRYPT):
            good, outdated = _bcrypt(stored, password), True
        else:
            try:
                good = self._hasher.verify(stored, password)
            except argon2.exceptions.VerifyMismatchError:
                return False, None
            except argon2.exceptions.InvalidHashError as error:
                raise CloudError("The stored password cannot be read.", internal="unknown form of hash") from error
            outdated = self._hasher.check_needs_rehash(stored)
        return good, self._hasher.hash(password) if good and outdated else None


def _bcrypt(stored: str, password: str) -> bool:
    """By bcrypt, which looks at 72 bytes and no more."""
    try:
        import bcrypt
    except ImportError as error:
        raise CloudError("The stored password cannot be read.", internal="bcrypt is not installed") from error
    return bool(bcrypt.checkpw(password.encode()[:72], stored.encode()))
