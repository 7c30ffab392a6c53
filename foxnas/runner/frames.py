"""Frames: how host and runner find the ends of each other's words in a stream of bytes.

foxnas <crc32, 8 hex digits> <header: one JSON object with "type" and "size">\n<size raw bytes>
"""

from __future__ import annotations

import json
import zlib
from typing import Any

MAX_HEADER_BYTES = 1 << 20
MAX_BODY_BYTES = 1 << 30
#: A greeting is some lines; what goes on is no runner.
MAX_NOISE_BYTES = 1 << 20
_MAGIC = b"foxnas "


class FrameError(Exception):
    """What came over the stream is not a frame."""


def encode_frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return one frame. The checksum covers header and body."""
    text = json.dumps(dict(header, size=len(body)), allow_nan=False).encode()
    return b"".join([_MAGIC, b"%08x " % zlib.crc32(body, zlib.crc32(text)), text, b"\n", body])


class FrameReader:
    """Cuts frames out of a stream of bytes that arrives in pieces.

    Until the first frame, lines that are none are kept in `noise` and passed over: a login shell may
    print a greeting. After it, they are an error, since no one can say what was lost.
    """

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._pending = bytearray()
        self._begun = False
        self._passed_over = 0
        self._max_body_bytes = max_body_bytes
        self.noise = b""

    def feed(self, data: bytes) -> None:
        self._pending += data

    @property
    def torn(self) -> bool:
        """Whether the stream, if it ended now, would end inside a frame."""
        return bool(self._pending)

    def next_frame(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the next whole frame, None if it has not arrived yet. Raises FrameError."""
        while True:
            end = self._pending.find(b"\n", 0, MAX_HEADER_BYTES)
            if end < 0:
                if len(self._pending) >= MAX_HEADER_BYTES:
                    raise FrameError(f"a line of more than {MAX_HEADER_BYTES} bytes")
                return None
            line = bytes(self._pending[:end])
            if self._begun or line.startswith(_MAGIC):
                break
            self.noise = (self.noise + line + b"\n")[-4096:]
            del self._pending[: end + 1]
            self._passed_over += end + 1
            if self._passed_over > MAX_NOISE_BYTES:
                raise FrameError(f"more than {MAX_NOISE_BYTES} bytes before its first answer")
        header, checksum, text = self._parse(line)
        size = header["size"]
        if len(self._pending) < end + 1 + size:
            return None
        body = bytes(self._pending[end + 1 : end + 1 + size])
        if zlib.crc32(body, zlib.crc32(text)) != checksum:
            raise FrameError(f"a frame with a wrong checksum, {line[:80]!r}")
        del self._pending[: end + 1 + size]
        self._begun = True
        return header, body

    def _parse(self, line: bytes) -> tuple[dict[str, Any], int, bytes]:
        try:
            magic, checksum, text = line.split(b" ", 2)
            header = json.loads(text)
            if magic + b" " != _MAGIC or not isinstance(header["type"], str):
                raise ValueError
            if type(header["size"]) is not int or not 0 <= header["size"] <= self._max_body_bytes:
                raise ValueError
            return header, int(checksum, 16), text
        except (ValueError, KeyError, TypeError, RecursionError):
            raise FrameError(f"a line that is no frame, {line[:80]!r}") from None
