"""The training images of a folder: read as they are needed, each time with another random crop.

Nothing is decoded beforehand: ImageNet's training set would take hundreds of gigabytes. A batch's images are decoded by
threads, since Pillow releases the interpreter while it decodes and resizes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from foxnas.errors import FoxnasError
from foxnas.images.decoding import DAMAGED, ImageFile

log = logging.getLogger(__name__)

#: A crop's width over its height: torchvision's RandomResizedCrop.
RATIO = (3 / 4, 4 / 3)
_ATTEMPTS = 10


def random_box(width: int, height: int, rng: np.random.Generator, smallest: float) -> tuple[int, int, int, int]:
    """Draw a crop (left, top, right, bottom) as torchvision's ``RandomResizedCrop`` does.

    It covers between `smallest` and all of the image's area.
    """
    for _ in range(_ATTEMPTS):
        area = width * height * rng.uniform(smallest, 1.0)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * RATIO[1]))
    h = min(height, round(width / RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


class TrainingFiles:
    """Image files with their labels, (n,).

    With `skip`, a file that cannot be decoded is replaced by the next of its class, and named once; else it ends the
    training.
    """

    def __init__(
        self,
        files: Sequence[ImageFile],
        labels: np.ndarray,
        channels: int,
        threads: int = 1,
        skip: bool = False,
        smallest_crop: float = 0.08,
    ) -> None:
        self._smallest_crop = smallest_crop
        self._files = files
        self._channels = channels
        self._skip = skip
        self._named: set[str] = set()
        self._pool = ThreadPoolExecutor(max(1, threads))
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
        self._next = np.empty(len(labels), np.int64)
        for members in np.split(order, starts[1:]):
            self._next[members] = np.roll(members, -1)

    @property
    def shape(self) -> tuple[int]:
        """How many images there are."""
        return (len(self._files),)

    def crops(self, rows: np.ndarray, size: int, seeds: Sequence[int]) -> np.ndarray:
        """Return random crops of these rows' images, uint8 (n, size, size, channels).

        An image's crop depends on `seeds` and its row alone, so that training continues alike wherever it was cut.

        Raises FoxnasError that names a file that cannot be decoded.
        """
        crops = self._pool.map(lambda row: self._crop(int(row), size, np.random.default_rng([*seeds, int(row)])), rows)
        return np.stack(list(crops))

    def _crop(self, row: int, size: int, rng: np.random.Generator) -> np.ndarray:
        image = self._read(row)
        cropped = image.crop(random_box(*image.size, rng, self._smallest_crop))
        return np.asarray(cropped.resize((size, size), Image.Resampling.BILINEAR)).reshape(size, size, self._channels)

    def _read(self, row: int) -> Image.Image:
        tried = row
        while True:
            file = self._files[tried]
            try:
                return file.read(self._channels)
            except DAMAGED as error:
                if not self._skip:
                    raise FoxnasError(
                        f"{file.path}: cannot be decoded ({error}); replace it, or write data.corrupt_images: skip"
                    ) from error
                if file.path not in self._named:
                    self._named.add(file.path)
                    log.warning("skipped %s (%d so far): %s", file.path, len(self._named), error)
                tried = int(self._next[tried])
                if tried == row:
                    raise FoxnasError(f"{file.path}: no image of its class can be decoded; replace some") from error
