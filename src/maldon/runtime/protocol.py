"""uvicorn's HTTP/1.1 where it is stricter than the clients of these APIs.

A path with bytes beyond ASCII is percent-encoded before it is parsed: what it means is for the service to say, and the
object store says it with a sentence. What follows a request that cannot be part of it (a body that nobody announced)
closes the connection after the answer, instead of cutting the answer off.
"""

import re
from urllib.parse import quote_from_bytes

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINE = re.compile(rb"([A-Z]+ )(\S*)( HTTP/1\.[01]\r)")
_SAFE = "".join(map(chr, range(0x21, 0x7F)))


class Protocol(HttpToolsProtocol):
    """One connection."""

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            end = data.find(b"\r") + 1
            if not data[:end].isascii() and (line := _LINE.fullmatch(data, 0, end)):
                data = line[1] + quote_from_bytes(line[2], _SAFE).encode() + line[3] + data[end:]
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        super().send_400_response(msg)
