"""Models on the wire: compressed twice.

The weights of a probe repeat, and the first pass of zlib turns them into the same match over and over, a byte or
two for every 258; the second pass finds that in turn. Megabytes become tens of kilobytes.
"""

from __future__ import annotations

import zlib


def pack(model: bytes) -> bytes:
    """Return a model as it travels."""
    return zlib.compress(zlib.compress(model))


def unpack(body: bytes, size: int) -> bytes:
    """Return the model of `size` bytes that was packed, never making more. Raises ValueError for anything else."""
    # What one pass cannot compress grows by five bytes in 16 kB and a few at the ends.
    return _inflate(_inflate(body, size + size // 1000 + 100), size, exactly=True)


def _inflate(body: bytes, most: int, exactly: bool = False) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(body, most + 1)
    except zlib.error as error:
        raise ValueError(f"the model arrived damaged ({error})") from None
    if len(content) > most or not stream.eof or (exactly and len(content) < most):
        raise ValueError("the model is not of the size that was announced")
    return content
