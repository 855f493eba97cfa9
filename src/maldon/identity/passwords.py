"""Passwords: argon2id at OWASP's parameters, in a thread, a few at a time.

A check costs the same whether the user exists or not: without a hash the password is compared with one that nothing
matches. Hashes made with other parameters, or by what other clouds use (see hashes.py), are accepted and made anew.
"""

import asyncio
import base64
import secrets

import argon2
import structlog

from maldon.identity import hashes
from maldon.identity.settings import DEFAULTS, IdentitySettings

log = structlog.get_logger("identity")
_OWN = "$argon2"


class Passwords:
    """Hashes and checks. `checks` counts the passwords looked at; `turn` is held by whoever looks at one."""

    def __init__(self, settings: IdentitySettings = DEFAULTS) -> None:
        self._hasher = argon2.PasswordHasher(settings.hash_passes, settings.hash_memory_kib, 1)
        salt, digest = (base64.b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32))
        self._nobody = f"$argon2id$v=19$m={settings.hash_memory_kib},t={settings.hash_passes},p=1${salt}${digest}"
        self.turn = asyncio.Semaphore(settings.hashes_at_once)
        self.checks = 0

    async def hash(self, password: str) -> str:
        """What to store."""
        async with self.turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, stored: str | None, password: str) -> tuple[bool, str | None]:
        """Whether it is the password, and what to store instead when the old hash is out of date.

        Outside of any transaction, please.
        """
        async with self.turn:
            return await self.check_in_turn(stored, password)

    async def check_in_turn(self, stored: str | None, password: str) -> tuple[bool, str | None]:
        """The same for who holds a turn and does something with the verdict before the next one has it."""
        self.checks += 1
        return await asyncio.to_thread(self._check, stored or self._nobody, password)

    def _check(self, stored: str, password: str) -> tuple[bool, str | None]:
        try:
            if not stored.startswith(_OWN):
                good, outdated = hashes.matches(stored, password), True
            else:
                good, outdated = self._hasher.verify(stored, password), self._hasher.check_needs_rehash(stored)
        except argon2.exceptions.VerifyMismatchError:
            return False, None
        except (ValueError, argon2.exceptions.Argon2Error) as error:  # whoever asks hears no more than of a wrong one
            log.warning("a stored password cannot be read", why=type(error).__name__)
            return False, None
        return good, self._hasher.hash(password) if good and outdated else None
