"""Turned training images: against Pillow's exact transposes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from foxnas.images.symmetry import WAYS, Symmetry, turn

MIRROR, UPSIDE_DOWN, HALF = Transpose.FLIP_LEFT_RIGHT, Transpose.FLIP_TOP_BOTTOM, Transpose.ROTATE_180
#: None: the image as it is.
TRANSPOSES: dict[Symmetry, list[Transpose | None]] = {
    "none": [None],
    "mirror": [None, MIRROR],
    "flips": [None, MIRROR, UPSIDE_DOWN, HALF],
    "quarter-turns": [None, *Transpose],
}


@pytest.mark.parametrize("symmetry", TRANSPOSES)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_turned_as_pillow_turns_them_and_each_way_as_often(symmetry: Symmetry, channels: int) -> None:
    one = np.random.default_rng(0).integers(0, 256, (6, 6, channels), dtype=np.uint8)
    picture = Image.fromarray(one.squeeze())
    wanted = [picture if way is None else picture.transpose(way) for way in TRANSPOSES[symmetry]]
    count = 8 * len(WAYS[symmetry])
    images = np.repeat(one[np.newaxis], count, 0)
    turn(images, (np.arange(count) + 0.5) / count, symmetry)
    found = [image.tobytes() for image in images]
    assert {way.tobytes(): 8 for way in wanted} == {image: found.count(image) for image in found}


def test_mirrored_are_those_below_one_half_and_nothing_lies_beyond_the_last_way() -> None:
    images = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1).repeat(3, 0)
    turn(images, np.array([0.0, np.nextafter(0.5, 0), 0.5]), "mirror")
    assert images[:, 0, :, 0].tolist() == [[1, 0], [1, 0], [0, 1]]
    for symmetry in WAYS:
        turn(images[:1], np.array([np.nextafter(1, 0)]), symmetry)
