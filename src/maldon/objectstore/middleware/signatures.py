"""Signatures by a shared key: the HMAC of a few lines, in hexadecimal or as `sha256:base64`, good until a time."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from maldon.kernel.errors import Unauthorized
from maldon.objectstore.proxy.request import ObjectRequest

DIGESTS: Mapping[str, Callable[..., Any]] = {
    "sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512,
}  # fmt: skip
_BY_LENGTH = {40: "sha1", 64: "sha256", 128: "sha512"}
_FORMS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")


class Key(NamedTuple):
    """`container` when it is one of the container's."""

    text: str
    container: bool


def digest_of(signature: str, allowed: Iterable[str]) -> tuple[str, bytes] | None:
    """The digest of a signature and its bytes; None for what is no signature that is believed."""
    name, colon, rest = signature.partition(":")
    try:
        if colon:
            raw = base64.urlsafe_b64decode(rest.replace("+", "-").replace("/", "_") + "==")
        else:
            name, raw = _BY_LENGTH.get(len(signature), ""), bytes.fromhex(signature)
    except (ValueError, binascii.Error):
        return None
    return (name, raw) if name in allowed and name in DIGESTS else None


def signed_by(found: list[Key], texts: Iterable[str], digest: str, signature: bytes) -> Key | None:
    """The key that signed one of the texts; all are tried, so that time tells nothing."""
    right = None
    for text in texts:
        for key in found:
            made = hmac.new(key.text.encode(), text.encode("utf-8", "surrogateescape"), DIGESTS[digest]).digest()
            if hmac.compare_digest(made, signature):
                right = key
    return right


def read_expiry(text: str) -> int | None:
    """Seconds since 1970 of a number or an ISO 8601 time in UTC; None for neither."""
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text)
    for form in _FORMS:
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    return None


def refused(why: str = "Temp URL invalid\n") -> Unauthorized:
    error = Unauthorized(why)
    error.headers = (("WWW-Authenticate", 'Swift realm="unknown"'),)
    return error


def mounted(request: ObjectRequest, where: str) -> list[str]:
    """A path, and the same as clients see it who find the store below another address."""
    prefix, colon, path = where.rpartition(":") if where.startswith("prefix:") else ("", "", where)
    return list(dict.fromkeys(f"{prefix}{colon}{root}{path}" for root in ("", urlsplit(request.base).path)))
