"""Stored passwords of other clouds: bcrypt, scrypt and PBKDF2 in the forms that Keystone has kept them in.

The forms are passlib's: `$2b$…`, `$bcrypt-sha256$…`, `$scrypt$…`, `$pbkdf2-sha512$…`. They are checked, never made: a
login hashes the password anew. Checking one takes its own time, so until then it can be told from argon2id's.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable

_SCRYPT_MEMORY = 1 << 30


def is_known(stored: str) -> bool:
    """Whether it is a whole hash of one of these forms, or of argon2's, and takes no more work than can be borne."""
    return any(form.fullmatch(stored) for form in _WHOLE)


def matches(stored: str, password: str) -> bool:
    """Whether it is the password. Raises ValueError for a form that is none of these."""
    for prefix, check in _FORMS.items():
        if stored.startswith(prefix):
            return check(stored, password.encode())
    raise ValueError("unknown form")


def _bcrypt(stored: str, password: bytes) -> bool:
    """It looks at 72 bytes and no more."""
    import bcrypt

    return bool(bcrypt.checkpw(password[:72], stored.encode()))


def _bcrypt_sha256(stored: str, password: bytes) -> bool:
    """The password is hashed to fit; since version 2 with the salt as key."""
    _, _, words, salt, digest = stored.split("$")
    if words.startswith("v=2,"):
        kind, rounds = (word.partition("=")[2] for word in words.split(",")[1:])
        short = hmac.digest(salt.encode(), password, "sha256")
    else:
        kind, rounds = words.split(",")
        short = hashlib.sha256(password).digest()
    return _bcrypt(f"${kind}${int(rounds):02}${salt}{digest}", base64.b64encode(short))


def _scrypt(stored: str, password: bytes) -> bool:
    _, _, words, salt, digest = stored.split("$")
    cost, r, p = (int(word.partition("=")[2]) for word in words.split(","))
    n = 1 << cost
    wanted = _unpadded(digest)
    made = hashlib.scrypt(
        password, salt=_unpadded(salt), n=n, r=r, p=p, dklen=len(wanted), maxmem=min(256 * n * r * p, _SCRYPT_MEMORY)
    )
    return hmac.compare_digest(made, wanted)


def _pbkdf2(stored: str, password: bytes) -> bool:
    _, _, rounds, salt, digest = stored.split("$")
    made = hashlib.pbkdf2_hmac("sha512", password, _unpadded(salt), int(rounds))
    return hmac.compare_digest(made, _unpadded(digest))


def _unpadded(text: str) -> bytes:
    """Base 64 without padding, in which passlib may have a dot for the plus."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


_FORMS: dict[str, Callable[[str, bytes], bool]] = {
    "$2a$": _bcrypt,
    "$2b$": _bcrypt,
    "$2y$": _bcrypt,
    "$bcrypt-sha256$": _bcrypt_sha256,
    "$scrypt$": _scrypt,
    "$pbkdf2-sha512$": _pbkdf2,
}
_B64 = r"[A-Za-z0-9./+]"
_ROUNDS = r"(0[4-9]|1[0-9])"  # of bcrypt, as a power of two
_WHOLE = tuple(
    re.compile(form)
    for form in (
        rf"\$2[aby]\${_ROUNDS}\${_B64}{{53}}",
        rf"\$bcrypt-sha256\$(v=2,t=2[ab],r=|2[ab],)(?:[4-9]|1[0-9])\${_B64}{{22}}\${_B64}{{31}}",
        rf"\$scrypt\$ln=([1-9]|1[0-9]),r=(8|16),p=[1-8]\${_B64}*\${_B64}{{16,}}",
        rf"\$pbkdf2-sha512\$[1-9]\d{{0,6}}\${_B64}*\${_B64}{{16,}}",
        rf"\$argon2(id|i|d)\$v=\d+\$m=\d{{1,7}},t=\d{{1,2}},p=\d{{1,2}}\${_B64}{{8,}}\${_B64}{{16,}}",
    )
)
