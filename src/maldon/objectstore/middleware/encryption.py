"""Bytes and metadata encrypted at rest: AES-256 in counter mode, a key of its own for every object's body.

The body's key is random and kept wrapped by the object's key, which is derived from the root secret and the path, so
nothing is kept beside the secret. Values of metadata and the ETag clients see are encrypted by the object's key, the
ETag in listings by the container's. A root secret has an id, kept with what it protects; new ones are added to the
settings, old ones stay while anything needs them. Conditions, ranges and listings are answered over the plain bytes.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from maldon.kernel.errors import CloudError
from maldon.kernel.settings import BadSetting, option
from maldon.objectstore.middleware.layer import Handler, Layer, answered
from maldon.objectstore.node import WrongDigest
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.proxy.reading import Readable, answer
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import SMALL, Given, ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.telling import OVERRIDE
from maldon.objectstore.timestamp import parse

BODY, ETAG = "x-object-sysmeta-crypto-body", "x-object-sysmeta-crypto-etag"
META, CRYPTED = "x-object-meta-", "x-object-transient-sysmeta-crypto-meta-"
MARK = "crypto="
BLOCK = 16
CONDITIONS = {"range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"}


@dataclass(frozen=True, slots=True)
class EncryptionSettings:
    root_secrets: tuple[str, ...] = option(
        (),
        "Root secrets, each id:base64 of 32 bytes or more; the last encrypts, all decrypt. None: nothing is encrypted.",
    )


class NoKey(CloudError):
    """What was encrypted under a secret that the settings do not have any more."""

    status, code = 500, "no-key"


class _Sealed(msgspec.Struct, array_like=True, frozen=True):
    secret: str
    nonce: bytes
    key: bytes = b""
    text: bytes = b""


class Keys:
    """Keys derived from the root secrets."""

    def __init__(self, settings: EncryptionSettings) -> None:
        self._roots: dict[str, bytes] = {}
        for text in settings.root_secrets:
            name, _, secret = text.partition(":")
            try:
                root = base64.b64decode(secret, validate=True)
            except ValueError:
                root = b""
            if not name or len(root) < 32:
                raise BadSetting("[encryption] root_secrets wants id:base64 of at least 32 bytes for each secret.")
            self._roots[name] = root
        self.current = next(reversed(self._roots), "")

    def of(self, path: Path, secret: str) -> bytes:
        """The key of an object, or of a container. Raises NoKey."""
        if secret not in self._roots:
            raise NoKey("The object cannot be decrypted.", internal=f"no root secret {secret!r}")
        return hmac.new(self._roots[secret], str(path).encode(), hashlib.sha256).digest()

    def seal(self, path: Path, text: str) -> str:
        """A short text, for a header."""
        nonce = os.urandom(BLOCK)
        crypted = crypt(self.of(path, self.current), nonce, 0, text.encode("utf-8", "surrogateescape"))
        return _packed(_Sealed(self.current, nonce, text=crypted))

    def open(self, path: Path, header: str) -> str:
        sealed = _unpacked(header)
        plain = crypt(self.of(path, sealed.secret), sealed.nonce, 0, sealed.text)
        return plain.decode("utf-8", "surrogateescape")


def crypt(key: bytes, nonce: bytes, at: int, data: bytes) -> bytes:
    """Encrypt or decrypt bytes that stand at an offset."""
    return _Stream(key, nonce, at).update(data)


class _Stream:
    """Counter mode from an offset on."""

    def __init__(self, key: bytes, nonce: bytes, at: int) -> None:
        counter = (int.from_bytes(nonce, "big") + at // BLOCK) % (1 << 128)
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(BLOCK, "big"))).encryptor()
        self._cipher.update(bytes(at % BLOCK))

    def update(self, data: bytes) -> bytes:
        return self._cipher.update(data)


def _packed(sealed: _Sealed) -> str:
    return base64.b64encode(msgspec.msgpack.encode(sealed)).decode()


def _unpacked(header: str) -> _Sealed:
    return msgspec.msgpack.decode(base64.b64decode(header), type=_Sealed)


def make(store: Store, below: Handler) -> Handler:
    keys = Keys(store.option(EncryptionSettings))
    if not keys.current:
        return below

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_object:
            match request.method:
                case "PUT":
                    return _put(request)
                case "POST":
                    _seal_metadata(request)
                case "GET" | "HEAD":
                    return _get(request)
        elif request.is_container and request.method == "GET":
            return _listed(request)
        return below(request)

    async def _put(request: ObjectRequest) -> Response:
        path, secret = request.path, keys.current
        claimed = request.headers.pop("etag", "").strip('"').lower()
        key, nonce, md5 = os.urandom(32), os.urandom(BLOCK), hashlib.md5(usedforsecurity=False)
        stream, body = _Stream(key, nonce, 0), request.body
        _seal_metadata(request)
        wrapped = aes_key_wrap(keys.of(path, secret), key)
        request.headers[BODY] = _packed(_Sealed(secret, nonce, wrapped))
        if body.length is not None and body.length <= SMALL:
            plain = await body.whole()
            md5.update(plain)
            _noted(request, path, md5.hexdigest(), claimed)
            request.body = Given(stream.update(plain))
            made = await below(request)
            made.headers["etag"] = md5.hexdigest()
            return made

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in body:
                md5.update(piece)
                yield stream.update(piece)
            if claimed and claimed != md5.hexdigest():
                raise WrongDigest("")

        request.body = Given(pieces(), body.length)
        request.body.limit = body.limit
        made = await below(request)
        if made.ok:
            made = await _tell_etag(request, made, md5.hexdigest())
        return made

    async def _tell_etag(request: ObjectRequest, made: Response, etag: str) -> Response:
        """A long body's ETag is known once it is written: it becomes metadata of the same version."""
        post = request.derive(
            "POST", headers={n: v for n, v in request.headers.items() if not n.startswith("content-l")}, trusted=True
        )
        post.headers[_LATE] = keys.seal(request.path, etag)
        await below(post)
        made.headers["etag"] = etag
        return made

    def _noted(request: ObjectRequest, path: Path, etag: str, claimed: str) -> None:
        """The ETag that clients see, for the object and for its row."""
        if claimed and claimed != etag:
            raise WrongDigest("")
        request.headers[ETAG] = keys.seal(path, etag)
        shown = request.headers.get(f"{OVERRIDE}etag", etag)
        request.headers[f"{OVERRIDE}etag"] = MARK + keys.seal(Path(path.account, path.container), shown)

    def _seal_metadata(request: ObjectRequest) -> None:
        headers = request.headers
        for name in [name for name in headers if name.startswith(META)]:
            if value := headers.pop(name):
                headers[CRYPTED + name[len(META) :]] = keys.seal(request.path, value)

    async def _get(request: ObjectRequest) -> Response:
        plain = {name: v for name, v in request.headers.items() if name not in CONDITIONS}
        head = request.derive("HEAD", headers=plain)
        head.query = request.query
        response = await answered(below, head)
        if not response.ok or BODY not in response.headers:
            return await below(request)
        sealed = _unpacked(response.headers.pop(BODY))
        headers = _opened(request, response.headers)
        at = parse(headers["x-timestamp"])
        key = aes_key_unwrap(keys.of(request.path, sealed.secret), sealed.key)

        async def read(start: int, stop: int) -> AsyncIterator[bytes]:
            got = await below(
                request.derive("GET", headers={"range": f"bytes={start}-{stop - 1}"})
                if stop > start
                else request.derive("GET")
            )
            stream = _Stream(key, sealed.nonce, start)
            try:
                if isinstance(got.body, bytes):
                    yield stream.update(got.body)
                    return
                async for piece in got.body:
                    yield stream.update(piece)
            finally:
                await got.close()

        return answer(request, Readable(headers, int(headers["content-length"]), headers["etag"], at, read))

    def _opened(request: ObjectRequest, headers: dict[str, str]) -> dict[str, str]:
        for name in [name for name in headers if name.startswith(CRYPTED)]:
            headers[META + name[len(CRYPTED) :]] = keys.open(request.path, headers.pop(name))
        if sealed := headers.pop(ETAG, "") or headers.pop(_LATE, ""):
            headers["etag"] = keys.open(request.path, sealed)
        headers.pop(_LATE, None)
        return headers

    async def _listed(request: ObjectRequest) -> Response:
        response = await below(request)
        if isinstance(response, Listing) and MARK.encode() in response.json:
            container = Path(request.path.account, request.path.container)
            for row in response.rows:
                if row.get("hash", "").startswith(MARK):
                    row["hash"] = keys.open(container, row["hash"][len(MARK) :])
        return response

    return handle


_LATE = "x-object-transient-sysmeta-crypto-etag"


LAYER = Layer("encryption", make, settings=EncryptionSettings)
