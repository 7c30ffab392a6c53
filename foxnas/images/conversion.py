"""An opened image file as a viewer shows it: 8-bit grey or colour, upright, transparent parts on white.

Python 3.7 and Pillow 9.4 will do: the program beside a deployed model prepares images by this code too.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFile, ImageOps
from PIL.TiffTags import TAGS_V2

#: Formats that are read, whatever a file's name says. Others may start programs (EPS) or have pixels of no known depth.
FORMATS = ["JPEG", "MPO", "PNG", "TIFF", "PPM", "BMP", "DIB", "WEBP", "GIF", "AVIF"]
Image.init()  # Pillow looks up the names among what it has loaded
FORMATS = [name for name in FORMATS if name in Image.OPEN]

#: What Pillow raises for a file that is damaged, truncated or no image.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)

#: What Pillow raises besides, by format, for content that it did not expect.
_FURTHER = (RuntimeError, TypeError, KeyError, AttributeError, ArithmeticError, AssertionError)

_MODES = {1: "L", 3: "RGB"}
_TAGS = {info.name: number for number, info in TAGS_V2.items()}
_WHITE_IS_ZERO = 0


@contextlib.contextmanager
def damage_named() -> Iterator[None]:
    """Turn whatever Pillow raises for a damaged file into one of `DAMAGED`."""
    try:
        yield
    except _FURTHER as error:
        raise OSError(f"it is damaged: {str(error) or type(error).__name__}") from error


@damage_named()
def shown(opened: ImageFile.ImageFile, channels: int) -> Image.Image:
    """Return an opened image in 8-bit grey or colour, turned as its EXIF says, its transparent parts on white.

    Grey of more than 8 bits is scaled so that the whitest value that the file declares becomes 255; Pillow does so for
    colour itself. Colour profiles and gamma are not applied; of several pictures the first is taken.

    Raises ValueError when the file declares no whitest value, and what else of `DAMAGED` Pillow raises.
    """
    stored = opened.tile[0].args if opened.tile else None
    opened.load()
    # Orientation is a remark beside the picture: a damaged one leaves the picture as it is.
    with contextlib.suppress(*DAMAGED, *_FURTHER):
        ImageOps.exif_transpose(opened, in_place=True)
    image: Image.Image = opened
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bits(image)
    if _has_transparency(image):
        _scale_transparent_value(image, stored)
        seen = image.convert("RGBA")
        image = Image.new("RGBA", seen.size, "white")
        image.alpha_composite(seen)
    if image.mode == "LAB":  # which Pillow converts to colour alone
        image = image.convert("RGB")
    return image.convert(_MODES[channels])


def _has_transparency(image: Image.Image) -> bool:
    """Return what Pillow 10.1 and later call has_transparency_data; Python 3.7 has 9.5."""
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return "transparency" in image.info or (palette or image.mode).endswith(("A", "a"))


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    whitest = _whitest(image)
    pixels = ((values * 255 + whitest // 2) // whitest).astype(np.uint8)
    if image.format == "TIFF" and image.tag_v2.get(_TAGS["PhotometricInterpretation"]) == _WHITE_IS_ZERO:  # type: ignore[attr-defined]
        pixels = 255 - pixels
    transparent = image.info.get("transparency")
    if transparent is not None:
        pixels[values == transparent] = 255
    return Image.fromarray(pixels)


def _whitest(image: Image.Image) -> int:
    if image.format == "PPM" and image.mode == "I":
        return 65535  # to which Pillow scales whatever the file declares
    if image.format == "PNG":
        return 65535
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        return int(2 ** image.tag_v2[_TAGS["BitsPerSample"]][0] - 1)  # type: ignore[attr-defined]
    kind = "floating-point" if image.mode == "F" else "signed or 32-bit"
    raise ValueError(f"its pixels are {kind} numbers, for which no value is white; convert it to 8 or 16 bits")


def _scale_transparent_value(image: Image.Image, stored: object) -> None:
    """Bring a PNG's transparent colour to 8 bits, as Pillow has brought its pixels, but not this."""
    factor = {"L;2": 255 // 3, "L;4": 255 // 15}.get(str(stored))
    transparent = image.info.get("transparency")
    if factor and isinstance(transparent, int):
        image.info["transparency"] = transparent * factor
    elif stored == "RGB;16B" and isinstance(transparent, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
