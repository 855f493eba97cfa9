"""A request signed as RFC 5849 has it: what its header says, and whether a pair of secrets signed it. Pure.

The header holds all of the protocol's parameters. HMAC-SHA1 and HMAC-SHA256 are understood; PLAINTEXT, which shows the
secrets, is not.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

from oauthlib.oauth1.rfc5849 import signature

from maldon.kernel.errors import BadRequest

_METHODS = {"HMAC-SHA1": signature.verify_hmac_sha1, "HMAC-SHA256": signature.verify_hmac_sha256}
_NEEDED = ("oauth_consumer_key", "oauth_signature_method", "oauth_signature", "oauth_timestamp", "oauth_nonce")
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Signed:
    """A request; `said` are the protocol's parameters without their prefix."""

    method: str
    url: str
    said: Mapping[str, str]
    params: tuple[tuple[str, str], ...]

    @property
    def timestamp(self) -> int:
        """When it was signed, in seconds."""
        return int(self.said["timestamp"])


def read(method: str, url: str, header: str) -> Signed:
    """The request to a URL with that header. Raises BadRequest naming what is missing."""
    query = url.partition("?")[2]
    try:
        headers = {"Authorization": header}
        params = signature.collect_parameters(query, headers=headers, exclude_oauth_signature=False)
    except ValueError as error:
        raise BadRequest("The header Authorization is no list of OAuth parameters.") from error
    said = [(name, value) for name, value in params if name.startswith("oauth_")]
    _check(said)
    signed = tuple((name, value) for name, value in params if name != "oauth_signature")
    return Signed(method, url, {name.removeprefix("oauth_"): value for name, value in said}, signed)


def _check(said: list[tuple[str, str]]) -> None:
    """That everything needed is there once, and makes sense."""
    given = dict(said)
    for name in _NEEDED:
        if not given.get(name):
            raise BadRequest(f"The request is not signed with OAuth: {name} is missing in its header Authorization.")
    if max(Counter(name for name, _ in said).values()) > 1 or any(len(value) > _LONGEST for value in given.values()):
        raise BadRequest(f"An OAuth parameter may be there once, with at most {_LONGEST} characters.")
    if given["oauth_signature_method"] not in _METHODS:
        raise BadRequest(f"oauth_signature_method must be {' or '.join(_METHODS)}.")
    if given.get("oauth_version", "1.0") != "1.0":
        raise BadRequest("oauth_version must be 1.0.")
    time = given["oauth_timestamp"]
    if not (time.isascii() and time.isdigit() and len(time) < 15):
        raise BadRequest("oauth_timestamp must be a number of seconds.")


def right(asked: Signed, consumer_secret: str, token_secret: str) -> bool:
    """Whether these secrets have signed it."""
    request = SimpleNamespace(
        http_method=asked.method, uri=asked.url, params=list(asked.params), signature=asked.said["signature"]
    )
    try:
        return bool(_METHODS[asked.said["signature_method"]](request, consumer_secret, token_secret))
    except ValueError as error:
        raise BadRequest("The address of the request cannot be signed.") from error
