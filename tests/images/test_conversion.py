"""Image files as they are shown: every depth, mode, orientation and transparency, against what the file declares."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foxnas.errors import FoxnasError
from foxnas.images.conversion import DAMAGED
from foxnas.images.decoding import ImageFile, decode_files
from foxnas.images.views import View

RAMP = np.linspace(0, 1, 48).reshape(6, 8)


def read(path: Path, channels: int = 1) -> np.ndarray:
    return np.asarray(ImageFile(str(path), path.stat().st_size).read(channels)).astype(int)


def png(path: Path, values: np.ndarray, bits: int, colour: int, *chunks: tuple[bytes, bytes]) -> Path:
    """Write a PNG by its specification; values (height, width[, channels]) are whole numbers of so many bits."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = values.shape[:2]
    rows = values.reshape(height, -1)
    if bits == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    else:
        lines = [np.packbits((row[:, None] >> np.arange(bits)[::-1]) & 1).tobytes() for row in rows]
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", data), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


def tiff(path: Path, values: np.ndarray, bits: int, white_is_zero: bool = False, kind: int = 1) -> Path:
    """Write a little-endian grey TIFF by its specification, with its pixels packed; kind is SampleFormat."""
    height, width = values.shape
    if bits == 12:
        flat = values.reshape(-1, 2).astype(int)
        data = np.stack([flat[:, 0] >> 4, (flat[:, 0] & 15) << 4 | flat[:, 1] >> 8, flat[:, 1] & 255], 1)
        content = data.astype(np.uint8).tobytes()
    else:
        content = values.astype(f"<{'?uif'[kind]}{bits // 8}").tobytes()
    entries = {
        256: width, 257: height, 258: bits, 259: 1, 262: 0 if white_is_zero else 1, 273: 0, 277: 1, 278: height,
        279: len(content), 339: kind,
    }  # fmt: skip
    entries[273] = 8 + 2 + 12 * len(entries) + 4
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + content)
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth_is_scaled_to_white(tmp_path: Path, bits: int) -> None:
    values = np.round(RAMP * (2**bits - 1)).astype(int)
    for channels in (1, 3):
        seen = read(png(tmp_path / "x.png", values, bits, 0), channels).reshape(6, 8, -1)
        assert np.abs(seen - 255 * values[..., None] / (2**bits - 1)).max() <= 0.5


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_16_bit_png_in_colour_or_with_transparency_is_scaled_to_white(
    tmp_path: Path, colour: int, channels: int
) -> None:
    values = np.round(RAMP[..., None] * [65535, 30000, 10000, 0][:channels]).astype(int)
    if colour != 2:
        values[..., -1] = 65535
    seen = read(png(tmp_path / "x.png", values, 16, colour), 3)
    shades = values[..., :3] if colour != 4 else values[..., :1]
    assert np.abs(seen - shades / 257).max() <= 1


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("whitest", [1, 100, 255, 1023, 4095, 10_000, 65535])
def test_pgm_and_ppm_are_scaled_by_the_whitest_value_they_declare(tmp_path: Path, whitest: int, plain: bool) -> None:
    values = np.round(RAMP * whitest).astype(int)
    for kind, channels in ((5, 1), (6, 3)):
        pixels = np.repeat(values[..., None], channels, 2)
        if plain:
            content = " ".join(map(str, pixels.ravel())).encode() + b"\n"
        else:
            content = pixels.astype(">u2" if whitest > 255 else "u1").tobytes()
        (tmp_path / "x.pgm").write_bytes(f"P{kind - 3 * plain} 8 6 {whitest}\n".encode() + content)
        assert np.abs(read(tmp_path / "x.pgm", channels).reshape(pixels.shape) - 255 * pixels / whitest).max() <= 0.51


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_grey_tiff_is_scaled_by_its_bits(tmp_path: Path, bits: int, white_is_zero: bool) -> None:
    values = np.round(RAMP * (2**bits - 1)).astype(int)
    path = tiff(tmp_path / "x.tif", values, bits, white_is_zero)
    if bits == 12 and white_is_zero:
        with pytest.raises(FoxnasError, match=r"x.tif: cannot be decoded"):  # Pillow knows no such thing
            decode_files([ImageFile(str(path), path.stat().st_size)], View(6, 1, 1), tmp_path / "x.npy", 1)
        return
    expected = 255 * values / (2**bits - 1)
    assert np.abs(read(path) - (255 - expected if white_is_zero else expected)).max() <= 0.5


@pytest.mark.parametrize(
    ("bits", "kind", "said"), [(16, 2, "signed or 32-bit"), (32, 1, "signed"), (32, 2, "signed"), (32, 3, "floating")]
)
def test_pixels_without_a_white_are_refused_by_name(tmp_path: Path, bits: int, kind: int, said: str) -> None:
    path = tiff(tmp_path / "x.tif", np.round(RAMP * 1000), bits, kind=kind)
    with pytest.raises(
        FoxnasError, match=rf"{path}: cannot be decoded \(its pixels are {said}.* convert it to 8 or 16"
    ):
        decode_files([ImageFile(str(path), path.stat().st_size)], View(6, 1, 1), tmp_path / "x.npy", 1)


def test_formats_that_are_no_pictures_of_pixels_are_refused(tmp_path: Path) -> None:
    """Whatever the name says: Pillow would give an EPS to another program."""
    Image.new("RGB", (8, 6), "red").save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.png")
    with pytest.raises(FoxnasError, match=r"x.png: cannot be decoded \(its content is none of JPEG, "):
        decode_files(
            [ImageFile(str(tmp_path / "x.png"), (tmp_path / "x.png").stat().st_size)],
            View(6, 3, 1),
            tmp_path / "x.npy",
            1,
        )


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_opaque_modes_are_what_pillow_makes_of_them(tmp_path: Path, mode: str, channels: int) -> None:
    shades = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(shades).convert("RGB").convert(mode)
    image.save(tmp_path / "x.tif")
    stored = Image.open(tmp_path / "x.tif")
    assert stored.mode == mode.replace("RGBX", "RGB")
    colour = stored.convert("RGB") if mode == "LAB" else stored
    expected = np.asarray(colour.convert("RGB" if channels == 3 else "L"))
    assert (read(tmp_path / "x.tif", channels) == expected).all()


TURNED = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].T,
    8: np.rot90,
    9: lambda stored: stored,
}


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", list(TURNED))
def test_an_image_is_turned_as_its_exif_says(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, 16, 0), 16, 1)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(stored).save(path, exif=exif, **({"quality": 95} if suffix in ("jpg", "webp") else {}))
    expected = TURNED[orientation](stored)
    assert read(path).shape == expected.shape
    assert np.abs(read(path) - expected)[8:-8:16, 8:-8:16].max() <= 6


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = 6, "a maker"
    whole, rng = exif.tobytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(6, len(whole), 3):
            damaged[place] = rng.integers(256)
        Image.new("L", (8, 6), 77).save(tmp_path / "x.png", exif=bytes(damaged[: rng.integers(7, len(whole) + 1)]))
        assert set(read(tmp_path / "x.png").ravel()) == {77}


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shades, alpha = rng.integers(0, 256, (6, 8, 3)), rng.integers(0, 256, (6, 8, 1))
    alpha[:2], alpha[2:4] = 0, 255
    expected = 255 + (shades - 255) * alpha / 255
    Image.fromarray(np.concatenate([shades, alpha], 2).astype(np.uint8)).save(tmp_path / "rgba.png")
    assert np.abs(read(tmp_path / "rgba.png", 3) - expected).max() <= 1
    assert (read(tmp_path / "rgba.png", 3)[2:4] == shades[2:4]).all()
    Image.fromarray(np.concatenate([shades[..., :1], alpha], 2).astype(np.uint8)).save(tmp_path / "la.png")
    for channels in (1, 3):
        seen = read(tmp_path / "la.png", channels).reshape(6, 8, -1)
        assert np.abs(seen - expected[..., :1]).max() <= 1
    for name in ("pa.tif", "premultiplied.tif", "x.webp"):
        image = Image.fromarray(np.concatenate([shades, alpha], 2).astype(np.uint8))
        image.putalpha(Image.fromarray(np.repeat(np.uint8([[0], [255]]), [8], 1).repeat(3, 0)))
        image.save(tmp_path / name, **({"lossless": True} if name == "x.webp" else {}))
        assert (read(tmp_path / name, 3)[:3] == 255).all()
        assert (read(tmp_path / name, 3)[3:] == shades[3:]).all()


def test_a_palettes_transparent_entries_are_white(tmp_path: Path) -> None:
    colours = b"".join(struct.pack("3B", 10 * i, 20 * i, 255 - 10 * i) for i in range(8))
    values = np.arange(8).reshape(2, 4)
    path = png(tmp_path / "x.png", values, 8, 3, (b"PLTE", colours), (b"tRNS", bytes([255, 0, 128])))
    expected = np.frombuffer(colours, np.uint8).reshape(2, 4, 3).astype(float)
    expected[0, 1], expected[0, 2] = 255, (expected[0, 2] * 128 + 255 * 127) / 255
    assert np.abs(read(path, 3) - expected).max() <= 1
    Image.fromarray(values.astype(np.uint8)).convert("P").save(tmp_path / "x.gif", transparency=3)
    assert (read(tmp_path / "x.gif", 1).ravel() == [0, 1, 2, 255, 4, 5, 6, 7]).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_grey_pngs_transparent_value_is_white(tmp_path: Path, bits: int) -> None:
    values = np.round(RAMP * (2**bits - 1)).astype(int)
    for value in (values[0, 0], values[2, 3]):
        seen = read(png(tmp_path / "x.png", values, bits, 0, (b"tRNS", struct.pack(">H", value))))
        expected = np.where(values == value, 255, 255 * values / (2**bits - 1))
        assert np.abs(seen - expected).max() <= 0.5


@pytest.mark.parametrize("bits", [8, 16])
def test_a_colour_pngs_transparent_value_is_white(tmp_path: Path, bits: int) -> None:
    values = np.round(RAMP[..., None] * [1, 0.7, 0.2] * (2**bits - 1)).astype(int)
    value = values[2, 3]
    seen = read(png(tmp_path / "x.png", values, bits, 2, (b"tRNS", struct.pack(">3H", *value))), 3)
    expected = np.where((values == value).all(2, keepdims=True), 255, 255 * values / (2**bits - 1))
    assert np.abs(seen - expected).max() <= 1


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("suffix", ["avif", "bmp", "gif", "jpg", "png", "ppm", "tif", "webp"])
def test_whatever_is_damaged_is_said_in_one_way(tmp_path: Path, suffix: str) -> None:
    """A hundred files with a few bytes changed, of which AVIF's and TIFF's made Pillow raise further errors."""
    rng = np.random.default_rng(0)
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    whole, refused = path.read_bytes(), 0
    for _ in range(100):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, min(len(whole), 300), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(content.tobytes())
        try:
            assert read(path, 3).ndim == 3
        except DAMAGED:
            refused += 1
    assert refused
