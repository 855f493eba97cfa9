"""What a token's holder shows, and how it becomes the token again: two ways, one of which the settings choose.

Sealed (fernet): the token itself, encrypted, about 200 characters; nothing is stored. Kept (uuid): 32 characters that
mean nothing; the token lies in the key-value store under their hash, so that who reads the store learns no token, until
nobody may look it up any more. A token that a process has verified is known to it until its end even if the store loses
it; a store that cannot be reached is 503 for tokens not yet known. Receipts are sealed in either case.
"""

import hashlib
import uuid
from typing import Protocol

from maldon.identity.keys import TokenKeys
from maldon.identity.settings import IdentitySettings
from maldon.identity.token import Token, pack, unpack
from maldon.kernel.clock import SECOND, Clock
from maldon.kernel.errors import Unavailable
from maldon.ports.keyvalue import KeyValue


class Provider(Protocol):
    """Makes the text of tokens, and tokens of texts."""

    async def show(self, token: Token) -> str:
        """What the holder shows from now on."""

    async def open(self, text: str) -> Token | None:
        """The token, if the text is that of one of ours."""


class SealedTokens:
    """See above: sealed."""

    def __init__(self, keys: TokenKeys) -> None:
        self._keys = keys

    async def show(self, token: Token) -> str:
        return self._keys.seal(pack(token))

    async def open(self, text: str) -> Token | None:
        content = self._keys.open(text)
        return None if content is None else unpack(content)


class KeptTokens:
    """See above: kept."""

    def __init__(self, store: KeyValue, settings: IdentitySettings, clock: Clock) -> None:
        self._store, self._window_s, self._clock = store, settings.expired_window_s, clock

    async def show(self, token: Token) -> str:
        text = uuid.uuid4().hex
        left_s = (token.expires_at - self._clock.now()) / SECOND + self._window_s
        try:
            await self._store.set(_key(text), pack(token), max(left_s, 1.0))
        except OSError as error:
            raise _away(error) from error
        return text

    async def open(self, text: str) -> Token | None:
        try:
            content = await self._store.get(_key(text))
        except OSError as error:
            raise _away(error) from error
        return None if content is None else unpack(content)


def _key(text: str) -> str:
    return f"token/{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def _away(error: OSError) -> Unavailable:
    return Unavailable("Tokens cannot be looked up at the moment; please try again.", internal=str(error))
