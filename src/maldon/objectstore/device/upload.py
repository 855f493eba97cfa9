"""A body on its way to a disk: the first pieces tell whether it is large, the end may bring more metadata."""

from collections.abc import AsyncIterator
from dataclasses import replace

from maldon.kernel.errors import BadRequest
from maldon.objectstore.node import Footer, Incoming, Put, Record, WrongDigest


class Upload:
    """What is `put`. `pieces` are those that came in so far, `more` where the rest comes from, if there is one."""

    def __init__(self, put: Put, body: Incoming) -> None:
        self.put = put
        self.pieces: list[bytes] = []
        self.more: AsyncIterator[bytes] | None = None
        if isinstance(body, bytes):
            self.pieces.append(body)
        else:
            self.more = self._bytes(body)

    async def begin(self, small_bytes: int) -> bool:
        """Take in enough to know; whether it is larger than that."""
        if self.put.size is not None and self.put.size > small_bytes:
            return True
        size = sum(map(len, self.pieces))
        if self.more is not None:
            async for piece in self.more:
                self.pieces.append(piece)
                size += len(piece)
                if size > small_bytes:
                    return True
            self.more = None
        return size > small_bytes

    async def _bytes(self, body: AsyncIterator[bytes | Footer]) -> AsyncIterator[bytes]:
        async for piece in body:
            if not isinstance(piece, Footer):
                yield piece
            else:
                self.put = replace(self.put, headers={**self.put.headers, **piece.headers}, footed=False)

    def record(self, size: int, etag: str) -> Record:
        """What the disk will say of it. Raises WrongDigest, BadRequest when the body is not what was announced."""
        put = self.put
        if put.footed:
            raise BadRequest("The body ends before its footer does.")
        if put.size is not None and put.size != size:
            raise BadRequest("The body is not as long as was announced.")
        if put.etag and put.etag != etag:
            raise WrongDigest("The bytes are not those that the etag was made of.")
        posted_at = put.posted_at or put.timestamp
        return Record(
            put.timestamp, size, etag, dict(put.headers), posted_at, fragment=put.fragment, durable=put.durable
        )
