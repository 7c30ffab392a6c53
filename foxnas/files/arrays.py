"""Arrays in .npy files that notice when they were cut or edited, and prepared images by image size.

Behind the numbers stand a line with their digest and, in files of this version on, one that says what made them:
every reader of .npy files passes them over.
"""

from __future__ import annotations

import hashlib
import json
import math
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.files.provenance import ARRAY_MARK
from foxnas.files.tables import MAKE_ANEW, sealed, unseal

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BLOCK_BYTES = 1 << 20
_SEAL_BYTES = len("\nsha256 \n") + 64


def seal_array(path: Path, made_by: Mapping[str, Any] | None = None) -> None:
    """Put the digest of a .npy file behind its numbers, and what made it."""
    with path.open("r+b") as file:
        seal = _seal(file, path.stat().st_size)
        file.write(seal)
        if made_by is not None:
            file.write(ARRAY_MARK + json.dumps(sealed(made_by), sort_keys=True).encode() + b"\n")


def array_seal(path: Path) -> str:
    """Return the digest of the numbers that a .npy file carries, without reading them; nothing if it has none."""
    with path.open("rb") as file:
        file.seek(_end_of_numbers(file))
        return file.read(_SEAL_BYTES).decode(errors="replace").strip()


def load_array(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """Return an array that the workflow made. Raises FoxnasError when it is missing, truncated or edited."""
    try:
        return whole_array(path, mmap_mode)
    except (OSError, ValueError) as error:
        raise FoxnasError(f"{path}: is missing or damaged ({error}); {MAKE_ANEW}") from error


def whole_array(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """Return the array of a .npy file; one without a digest, from elsewhere, is taken as it is.

    Raises OSError when it cannot be read, ValueError when it was truncated or edited.
    """
    with path.open("rb") as file:
        end = _end_of_numbers(file)
        file.seek(end)
        seal, made_by = file.read(_SEAL_BYTES), file.read()
        if seal and (seal != _seal(file, end) or not _is_whole(made_by)):
            raise ValueError("it was truncated or edited since it was written")
    return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)


def _is_whole(line: bytes) -> bool:
    """Whether what stands behind the digest is nothing, or the whole record of the array's making."""
    try:
        return not line or (
            line.startswith(ARRAY_MARK) and line.endswith(b"}\n") and unseal(json.loads(line[len(ARRAY_MARK) :]))
        )
    except (ValueError, RecursionError):
        return False


def _end_of_numbers(file: BinaryIO) -> int:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format")
    try:
        shape, _, dtype = _HEADERS[version](file)
    except (SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
        raise ValueError(f"its header is damaged: {type(error).__name__}") from error
    return file.tell() + math.prod(shape) * dtype.itemsize


def _seal(file: BinaryIO, end: int) -> bytes:
    """Return the line that belongs behind the first `end` bytes of a file."""
    found = hashlib.sha256()
    file.seek(0)
    while rest := end - file.tell():
        if not (block := file.read(min(rest, _BLOCK_BYTES))):
            break
        found.update(block)
    return f"\nsha256 {found.hexdigest()}\n".encode()


class ArraysBySize:
    """The .npy files ``.../<size>/<split>-images.npy`` of one split, mapped: in memory as far as there is room."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = {int(path.parent.name): path for path in paths}
        self._opened: dict[int, np.ndarray] = {}

    def at(self, size: int) -> np.ndarray:
        """Return uint8 (n, size, size, channels). Raises FoxnasError when the size is missing or damaged."""
        if size not in self._opened:
            if size not in self._paths:
                raise FoxnasError(f"no images at {size} px were prepared, only at {sorted(self._paths)} px")
            # Read-only: Linux refuses a map for writing, even of a copy, that is larger than memory and swap.
            images = np.asarray(load_array(self._paths[size], "r"))
            if images.dtype != np.uint8 or images.shape[1:3] != (size, size):
                raise FoxnasError(f"{self._paths[size]}: holds {images.dtype} {images.shape}; {MAKE_ANEW}")
            self._opened[size] = images
        return self._opened[size]
