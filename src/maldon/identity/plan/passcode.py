"""One-time passcodes by time (RFC 6238): six digits, HMAC-SHA1, a new one every 30 seconds. Pure."""

import base64
import binascii
import hashlib
import hmac

STEP_S = 30
_DIGITS = 6


def passcode(secret: bytes, step: int) -> str:
    """The passcode of one step of time."""
    digest = hmac.digest(secret, step.to_bytes(8), hashlib.sha1)
    at = digest[-1] & 0xF
    number = int.from_bytes(digest[at : at + 4]) & 0x7FFF_FFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def secret_of(text: str) -> bytes | None:
    """The secret that a base32 text stands for, padded or not; None when it is none."""
    plain = text.strip().replace(" ", "").upper().rstrip("=")
    try:
        return base64.b32decode(plain + "=" * (-len(plain) % 8)) or None
    except (binascii.Error, ValueError):
        return None
