"""What the secret of an EC2 credential signs a request with: Signature Versions 2 and 4, for EC2 and S3. Pure.

Whoever received the request took it apart; here it is put together again as the signer must have seen it. Comparing
takes the same time whatever is wrong. Versions 0 and 1, which leave most of a request unsigned, are refused.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from maldon.kernel.errors import BadRequest

_V4 = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"
_PORT = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class Signed:
    """A request with its signature. `headers` are by their names in lower case, `path` as it stood in the address."""

    access: str
    signature: str
    host: str
    verb: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    body_hash: str = ""


def right(secret: str, asked: Signed) -> bool:
    """Whether the secret made the signature. Raises BadRequest for a way of signing that is none of ours."""
    return any(hmac.compare_digest(wanted.encode(), asked.signature.encode()) for wanted in _wanted(secret, asked))


def _wanted(secret: str, asked: Signed) -> Iterator[str]:
    """The signatures that would do: clients disagree whether the port is part of the host."""
    hosts = dict.fromkeys((asked.host, _PORT.sub("", asked.host), asked.headers.get("host", asked.host)))
    if is_v4(asked):
        yield from (_v4(secret, asked, host) for host in hosts)
    elif asked.params.get("SignatureVersion") == "2":
        yield from (_v2(secret, asked, host) for host in hosts)
    else:
        raise BadRequest("Only signatures of version 2 and 4 are understood; sign the request with one of those.")


def is_v4(asked: Signed) -> bool:
    """Whether the request says so, in a header or, being presigned, in its query."""
    return _V4 in (asked.params.get("X-Amz-Algorithm"), asked.headers.get("authorization", "").split(" ")[0])


def _v2(secret: str, asked: Signed, host: str) -> str:
    method = asked.params.get("SignatureMethod", "HmacSHA1")
    if method not in {"HmacSHA256", "HmacSHA1"}:
        raise BadRequest("SignatureMethod must be HmacSHA256 or HmacSHA1.")
    pairs = sorted((k, v) for k, v in asked.params.items() if k != "Signature")
    text = "\n".join((asked.verb.upper(), host.lower(), asked.path, _query(pairs)))
    digest = hmac.new(secret.encode(), text.encode(), "sha256" if method == "HmacSHA256" else "sha1").digest()
    return base64.b64encode(digest).decode()


def _v4(secret: str, asked: Signed, host: str) -> str:
    """Of a request that was signed in its headers or presigned."""
    scope, signed_headers = credential_scope(asked)
    pairs = sorted((k, v) for k, v in asked.params.items() if k != "X-Amz-Signature")
    headers = {**asked.headers, "host": host}
    canonical = (
        asked.verb.upper(),
        asked.path,
        "" if asked.verb.upper() == "POST" else _query(pairs),  # the parameters of a POST are its body
        *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed_headers),
        "",
        ";".join(signed_headers),
        asked.body_hash,
    )
    text = "\n".join((_V4, signed_at(asked), scope, hashlib.sha256("\n".join(canonical).encode()).hexdigest()))
    return sign_v4(secret, scope, text)


def sign_v4(secret: str, scope: str, text: str) -> str:
    """The text signed with the key that a day, a region and a service have of a secret."""
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def signed_at(asked: Signed) -> str:
    """When a request of version 4 says that it was signed, in its own words."""
    return asked.headers.get("x-amz-date") or asked.params.get("X-Amz-Date", "")


def credential_scope(asked: Signed) -> tuple[str, list[str]]:
    """The scope "day/region/service/aws4_request" and the signed headers. Raises BadRequest."""
    fields = dict(part.strip().partition("=")[::2] for part in _fields(asked).split(","))
    access, _, scope = fields.get("Credential", "").partition("/")
    if access != asked.access or scope.count("/") != 3 or not scope.endswith("/aws4_request"):
        raise BadRequest("The request's Credential is not <access key>/<day>/<region>/<service>/aws4_request.")
    if scope[:8] != signed_at(asked)[:8]:
        raise BadRequest("The day in the request's Credential is not that of its X-Amz-Date.")
    return scope, fields.get("SignedHeaders", "").lower().split(";")


def _fields(asked: Signed) -> str:
    header = asked.headers.get("authorization", "")
    if header.startswith(_V4):
        return header.removeprefix(_V4)
    params = asked.params
    return f"Credential={params.get('X-Amz-Credential', '')},SignedHeaders={params.get('X-Amz-SignedHeaders', '')}"


def _query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(k, safe=_UNRESERVED)}={quote(v, safe=_UNRESERVED)}" for k, v in pairs)


def decoded(token: str) -> str:
    """The text that an S3 request had to sign, of its base64. Raises BadRequest."""
    try:
        return base64.b64decode(
            token.encode(), altchars=b"-_" if set("-_") & set(token) else None, validate=True
        ).decode()
    except (binascii.Error, UnicodeError) as error:
        raise BadRequest("The token is no base64 of the text that was signed.") from error


def right_text(secret: str, text: str, signature: str) -> bool:
    """Whether the secret signed the text for S3, by version 4 if the text says so and by version 2 otherwise."""
    lines = text.split("\n")
    if lines[0] == _V4:
        wanted = sign_v4(secret, lines[2] if len(lines) == 4 else "", text)
    else:
        wanted = base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()
    return hmac.compare_digest(wanted.encode(), signature.encode())
