"""The standard resize and centre crop of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image


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
        (width, height), (left, top) = resized(image.size, self.size, self.centre_share)
        whole = image.resize((width, height), Image.Resampling.BILINEAR)
        return whole.crop((left, top, left + self.size, top + self.size))


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
