"""uvicorn's HTTP/1.1 where it is stricter than the clients of these APIs.

A path with bytes beyond ASCII is percent-encoded before it is parsed: what it means is for the service to say, and the
object store says it with a sentence. A method that HTTP does not know is 405. What follows a
request that cannot be part of it (a body that nobody announced) closes the connection after the answer, instead of
cutting the answer off.
"""

import re
from urllib.parse import quote_from_bytes

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINE = re.compile(rb"([!-~]+ )(\S*)( HTTP/1\.[01]\r)")
_METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ", b"PATCH ", b"OPTIONS ", b"COPY ")
_NO_SUCH_METHOD = b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_SAFE = "".join(map(chr, range(0x21, 0x7F)))


class Protocol(HttpToolsProtocol):
    """One connection."""

    _method_unknown = False

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            end = data.find(b"\r") + 1
            line = None if data.startswith(_METHODS) and data[:end].isascii() else _LINE.fullmatch(data, 0, end)
            self._method_unknown = line is not None and not data.startswith(_METHODS)
            if line is not None:
                data = line[1] + quote_from_bytes(line[2], _SAFE).encode() + line[3] + data[end:]
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._method_unknown:
            self.transport.write(_NO_SUCH_METHOD)
            self.transport.close()
        else:
            super().send_400_response(msg)
