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
        """Of one image: height, width, channels."""
        return self.size, self.size, self.channels

    def of(self, image: Image.Image) -> Image.Image:
        """Resize and crop as torchvision's ``Resize`` and ``CenterCrop`` do."""
        width, height = image.size
        shorter = shorter_side(self.size, self.centre_share)
        if width <= height:
            resized = shorter, int(shorter * height / width)
        else:
            resized = int(shorter * width / height), shorter
        left, top = (round((side - self.size) / 2) for side in resized)
        return image.resize(resized, Image.Resampling.BILINEAR).crop((left, top, left + self.size, top + self.size))


def shorter_side(size: int, centre_share: float) -> int:
    """Return what the shorter side is resized to, so that `size` is `centre_share` of it: 224 and 0.875 give 256."""
    return math.ceil(size / centre_share - 1e-6)
