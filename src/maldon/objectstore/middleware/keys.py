"""The keys that bytes at rest are encrypted with, all derived from root secrets that only the settings know.

A root secret has an id, kept with whatever it protects: a new one is added and made the active one, old ones stay while
anything needs them. They stand in the settings, or one a line in a file that nobody else can read. The key of a path is
an HMAC of it; an object's bytes have a random key of their own, wrapped by that. AES-256 in counter mode.
"""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path as File

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from maldon.kernel.errors import CloudError
from maldon.kernel.settings import BadSetting, option
from maldon.objectstore.path import Path

BLOCK = 16
_LEAST = 32  # bytes of a root secret


@dataclass(frozen=True, slots=True)
class EncryptionSettings:
    root_secrets: tuple[str, ...] = option(
        (),
        "Root secrets, each id:base64 of 32 bytes or more; all decrypt, the active one encrypts. None: nothing is"
        " encrypted.",
    )
    root_secrets_file: str = option("", "A file with further root secrets, id:base64, one a line.")
    active_root_secret_id: str = option("", "The root secret that encrypts; the last one when empty.")
    disable_encryption: bool = option(False, "Write what is new in the clear; what is encrypted can still be read.")


class NoKey(CloudError):
    """What was encrypted under a secret that the settings do not have any more."""

    status, code = 500, "no-key"


class Sealed(msgspec.Struct, array_like=True, frozen=True):
    """What is kept beside bytes: the id of the root secret, where the counter starts, the wrapped key; or a short text
    itself.
    """

    secret: str
    nonce: bytes
    key: bytes = b""
    text: bytes = b""

    def packed(self) -> str:
        """As a header has it."""
        return base64.b64encode(msgspec.msgpack.encode(self)).decode()


def unpacked(header: str) -> Sealed:
    return msgspec.msgpack.decode(base64.b64decode(header), type=Sealed)


class Keys:
    """Keys derived from the root secrets. `active` is "" when nothing is to be encrypted."""

    def __init__(self, settings: EncryptionSettings) -> None:
        self._roots = dict(map(_root, (*settings.root_secrets, *_lines(settings.root_secrets_file))))
        active = settings.active_root_secret_id or next(reversed(self._roots), "")
        if active and active not in self._roots:
            raise BadSetting(f"[object-encryption] active_root_secret_id {active!r} is none of the root secrets.")
        self.active = "" if settings.disable_encryption else active

    def __bool__(self) -> bool:
        return bool(self._roots)

    def of(self, path: Path, secret: str) -> bytes:
        """The key of an object, or of a container. Raises NoKey."""
        if secret not in self._roots:
            raise NoKey("The object cannot be decrypted.", internal=f"no root secret {secret!r}")
        return hmac.new(self._roots[secret], str(path).encode(), hashlib.sha256).digest()

    def new(self, path: Path) -> tuple[str, "Stream"]:
        """What is to be kept of new bytes, and what encrypts them."""
        key, nonce = os.urandom(32), os.urandom(BLOCK)
        wrapped = aes_key_wrap(self.of(path, self.active), key)
        return Sealed(self.active, nonce, wrapped).packed(), Stream(key, nonce, 0)

    def stream(self, path: Path, kept: str, at: int) -> "Stream":
        """What decrypts bytes from `at` on. Raises NoKey."""
        sealed = unpacked(kept)
        return Stream(aes_key_unwrap(self.of(path, sealed.secret), sealed.key), sealed.nonce, at)

    def seal(self, path: Path, text: str) -> str:
        """A short text, for a header."""
        nonce = os.urandom(BLOCK)
        crypted = Stream(self.of(path, self.active), nonce, 0).update(text.encode("utf-8", "surrogateescape"))
        return Sealed(self.active, nonce, text=crypted).packed()

    def open(self, path: Path, header: str) -> str:
        """That text again. Raises NoKey."""
        sealed = unpacked(header)
        plain = Stream(self.of(path, sealed.secret), sealed.nonce, 0).update(sealed.text)
        return plain.decode("utf-8", "surrogateescape")


class Stream:
    """Counter mode from an offset on: the same encrypts and decrypts."""

    def __init__(self, key: bytes, nonce: bytes, at: int) -> None:
        counter = (int.from_bytes(nonce, "big") + at // BLOCK) % (1 << 128)
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(BLOCK, "big"))).encryptor()
        self._cipher.update(bytes(at % BLOCK))

    def update(self, data: bytes) -> bytes:
        return self._cipher.update(data)


def _root(text: str) -> tuple[str, bytes]:
    name, _, secret = text.partition(":")
    try:
        root = base64.b64decode(secret, validate=True)
    except ValueError:
        root = b""
    if not name or len(root) < _LEAST:
        raise BadSetting(f"[object-encryption] a root secret is not id:base64 of at least {_LEAST} bytes.")
    return name, root


def _lines(file: str) -> list[str]:
    if not file:
        return []
    try:
        lines = File(file).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"[object-encryption] root_secrets_file cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
