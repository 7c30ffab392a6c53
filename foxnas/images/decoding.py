"""Image files into arrays: decoded in parallel, the shorter side resized, the centre cropped.

Nothing here imports torch, so that a decoding process starts fast and stays small. A process holds one decoded image
and one block of the array (64 images: 20 MB at 320 px), however many images there are.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from foxnas.errors import FoxnasError
from foxnas.files.arrays import seal_array
from foxnas.files.progress import Progress
from foxnas.files.tables import replacing
from foxnas.images.conversion import DAMAGED, FORMATS, damage_named, shown
from foxnas.images.labelled import create_array
from foxnas.images.views import View

#: Images that a process decodes at a time.
BLOCK = 64


@dataclass(frozen=True)
class ImageFile:
    """A file of a listed data folder, and the size in bytes that it had then."""

    path: str
    bytes: int

    def read(self, channels: int) -> Image.Image:
        """Return the decoded image in grey or colour, as `shown` gives it.

        Raises FoxnasError when the file changed since it was listed, and one of `DAMAGED` when it cannot be decoded.
        """
        found = Path(self.path).stat()
        if not stat.S_ISREG(found.st_mode):  # to open it may wait for ever, or do something to a device
            raise OSError("it is a pipe, a device or a folder, not a file")
        if found.st_size != self.bytes:
            raise FoxnasError(
                f"{self.path}: has {found.st_size} bytes, and had {self.bytes} when the folder was listed; "
                "delete results/data/source/images.csv and run again"
            )
        # Opened here, since Pillow 13.0.0 maps an uncompressed TIFF that it opens itself, and garbles a turned one.
        with Path(self.path).open("rb") as file:
            try:
                with damage_named():
                    image = Image.open(file, formats=FORMATS)
            except UnidentifiedImageError as error:
                raise OSError(f"its content is none of {', '.join(FORMATS)}") from error
            return shown(image, channels)


def decode_files(
    files: Sequence[ImageFile],
    view: View,
    target: Path,
    processes: int,
    made_by: Mapping[str, Any] | None = None,
) -> None:
    """Write the views of image files as one uint8 array (n, size, size, channels), whole or not at all.

    Raises FoxnasError that names the first file that cannot be decoded.
    """
    with replacing(target) as temporary:
        create_array(temporary, (len(files), *view.shape))
        work = partial(_decode_block, view, temporary)
        with _blocks(work, files, processes) as finished:
            progress = Progress(len(files), "images decoded")
            for done, _ in enumerate(finished, 1):
                progress.reached(min(done * BLOCK, len(files)))
        seal_array(temporary, made_by)


def unreadable(files: Sequence[ImageFile], channels: int, processes: int) -> dict[int, str]:
    """Return the positions of the files that cannot be decoded, and why."""
    found: dict[int, str] = {}
    with _blocks(partial(_check_block, channels), files, processes) as finished:
        progress = Progress(len(files), "images checked")
        for done, broken in enumerate(finished, 1):
            found |= broken
            progress.reached(min(done * BLOCK, len(files)))
    return found


def first_readable(
    files: Sequence[ImageFile], wanted: int, channels: int, processes: int
) -> tuple[list[ImageFile], dict[str, str]]:
    """Return the first `wanted` files that can be decoded, and why those before the last of them cannot.

    Raises FoxnasError when there are fewer.
    """
    good: list[ImageFile] = []
    bad: dict[str, str] = {}
    start = 0
    while len(good) < wanted:
        part = files[start : start + wanted - len(good)]
        if not part:
            raise FoxnasError(
                f"only {len(good)} of {len(files)} images can be read, {wanted} are asked for; the first of the "
                f"others is {next(iter(bad), 'none')}"
            )
        broken = unreadable(part, channels, processes)
        good += [file for place, file in enumerate(part) if place not in broken]
        bad |= {part[place].path: reason for place, reason in broken.items()}
        start += len(part)
    return good, bad


@contextmanager
def _blocks(work: Any, files: Sequence[ImageFile], processes: int) -> Iterator[Iterator[Any]]:
    """Give ``work(start, files)`` of every block, in order; in this process if one is enough."""
    starts = range(0, len(files), BLOCK)
    parts = [files[start : start + BLOCK] for start in starts]
    processes = min(processes, len(parts))
    if processes <= 1:
        yield map(work, starts, parts)
        return
    # Spawned rather than forked: a fork of a process that has threads may hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    try:
        yield pool.map(work, starts, parts)
    except BrokenProcessPool as error:
        raise FoxnasError(
            "a process that decodes images was killed, probably for want of memory; run with fewer cores"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_block(view: View, target: Path, start: int, files: Sequence[ImageFile]) -> None:
    array = np.load(target, mmap_mode="r+")
    for row, file in enumerate(files, start):
        try:
            pixels = np.asarray(view.of(file.read(view.channels)))
        except FoxnasError:
            raise
        except DAMAGED as error:
            raise FoxnasError(
                f"{file.path}: cannot be decoded ({error}); replace it, or write data.corrupt_images: skip"
            ) from error
        array[row] = pixels.reshape(view.shape)
    array.flush()


def _check_block(channels: int, start: int, files: Sequence[ImageFile]) -> dict[int, str]:
    broken = {}
    for row, file in enumerate(files, start):
        try:
            file.read(channels)
        except DAMAGED as error:
            broken[row] = str(error)
    return broken
