"""The standard resize and centre crop of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

#: How much longer than its shorter side an image may be before it is cut: far beyond photographs and panoramas.
LONGEST = 16


@dataclass(frozen=True)
class View:
    """What is seen of an image: `size` pixels a side, `centre_share` of its resized shorter side."""

    size: int
    channels: int
    centre_share: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: height, width, channels."""
        return self.size, self.size, self.channels

    def of(self, image: Image.Image) -> Image.Image:
        """Resize and crop as torchvision's ``Resize`` and ``CenterCrop`` do."""
        box = middle(image.size)
        seen = (box[2] - box[0], box[3] - box[1])
        (width, height), (left, top) = resized(seen, self.size, self.centre_share)
        whole = image.resize((width, height), Image.Resampling.BILINEAR, box)
        return whole.crop((left, top, left + self.size, top + self.size))


def middle(image: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of an image's middle that is at most `LONGEST` times as long as wide.

    No crop reaches beyond it, and what is resized whole is bounded by the crop: 1 x 60,000 pixels at 320 px took 16 GB.
    """
    shorter = min(image)
    # Cut by an even number, so that the middle stays in the middle.
    cut = [max(0, side - LONGEST * shorter) // 2 for side in image]
    return cut[0], cut[1], image[0] - cut[0], image[1] - cut[1]


def resized(image: tuple[int, int], size: int, centre_share: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return width and height of an image resized as torchvision does, and left and top of its centre crop."""
    width, height = image
    shorter = shorter_side(size, centre_share)
    sides = (shorter, int(shorter * height / width)) if width <= height else (int(shorter * width / height), shorter)
    left, top = (round((side - size) / 2) for side in sides)
    return sides, (left, top)


def shorter_side(size: int, centre_share: float) -> int:
    """Return what the shorter side is resized to, so that `size` is `centre_share` of it: 224 and 0.875 give 256."""
    return math.ceil(size / centre_share - 1e-6)
