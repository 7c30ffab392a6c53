"""Seals an exported model with its own digest, and checks that it is still the file that was written."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from foxnas.errors import FoxnasError

_NAME = "file_sha256"

#: What a file's metadata say before it is sealed: the place of the digest, which is taken with zeros in it.
UNSEALED = {_NAME: "0" * 64}

_MARK = re.compile(rb'"%s": "([0-9a-f]{64})"' % _NAME.encode())


def sealed(content: bytes) -> bytes:
    """Return a file that has `UNSEALED` in its metadata with its digest in that place."""
    place = _MARK.search(content)
    assert place is not None
    return content[: place.start(1)] + _digest(content, place).encode() + content[place.end(1) :]


def read_model(path: Path) -> bytes:
    """Return an exported .tflite file. Raises FoxnasError when it is missing, truncated or edited."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FoxnasError(f"{path}: cannot be read ({error.strerror}); run again to have it made anew") from error
    place = _MARK.search(content)
    if place is None or place[1].decode() != _digest(content, place):
        raise FoxnasError(
            f"{path}: was truncated or edited since it was written, or not by this workflow; delete {path.parent} and "
            "run again to have its files made anew"
        )
    return content


def _digest(content: bytes, place: re.Match[bytes]) -> str:
    digest = hashlib.sha256(content[: place.start(1)])
    digest.update(b"0" * 64)
    digest.update(content[place.end(1) :])
    return digest.hexdigest()
