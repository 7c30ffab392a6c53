"""Images: where they come from, their four splits, and arrays at every image size.

The splits are fixed, disjoint and recorded: *train* (whose first images also recalibrate batch norms
and calibrate int8), *fit* (accuracies for the regression), *verify* (candidates are compared here),
*test* (opened for the final report, never for a choice).
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms

from foxnas.errors import FoxnasError
from foxnas.tables import replacing

log = logging.getLogger(__name__)

#: Fashion-MNIST's four files and the number of images in each pair.
FASHION_MNIST_FILES = {
    "train-images-idx3-ubyte.gz": 60000,
    "train-labels-idx1-ubyte.gz": 60000,
    "t10k-images-idx3-ubyte.gz": 10000,
    "t10k-labels-idx1-ubyte.gz": 10000,
}
DEBIAN_PACKAGE = "dataset-fashion-mnist"


@dataclass(frozen=True)
class LabelledImages:
    """uint8 images (n, H, W, channels) and int64 labels (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, rows: np.ndarray | slice) -> LabelledImages:
        """Return the named rows."""
        return LabelledImages(self.images[rows], self.labels[rows])


def fetch_fashion_mnist(folder: Path | None, target: Path) -> None:
    """Put Fashion-MNIST's four files into `target`.

    From `folder` if one is given, else by torchvision's downloader, else from Debian's package
    ``dataset-fashion-mnist``, which needs apt and dpkg but no root.

    Raises
    ------
    FoxnasError
        No source worked, or a file is missing, truncated or not what its name says.
    """
    if folder is not None:
        _copy_files(folder, target)
        return
    reasons = []
    with tempfile.TemporaryDirectory() as scratch:
        for source in (_from_torchvision, _from_debian):
            try:
                found = source(Path(scratch))
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                reason = getattr(error, "stderr", None) or error
                reasons.append(f"{source.__name__.removeprefix('_from_')}: {str(reason).strip().splitlines()[-1]}")
                log.info("%s", reasons[-1])
                continue
            _copy_files(found, target)
            return
    raise FoxnasError(
        "Fashion-MNIST could not be obtained; set data.folder to a folder with its four .gz files. "
        + "; ".join(reasons)
    )


def _from_torchvision(scratch: Path) -> Path:
    from torchvision.datasets import FashionMNIST

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)
    try:
        FashionMNIST(str(scratch), download=True)
    finally:
        socket.setdefaulttimeout(before)
    return scratch / "FashionMNIST" / "raw"


def _from_debian(scratch: Path) -> Path:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise OSError(f"{tool} is not installed here")
    download = ["apt-get", "download", DEBIAN_PACKAGE]
    try:
        _run(download, scratch)
    except subprocess.CalledProcessError:
        # The machine's package lists may never have been fetched: fetch our own, which needs no root.
        lists = scratch / "apt" / "lists" / "partial"
        lists.mkdir(parents=True)
        private = ["-o", f"Dir::State::lists={lists.parent}", "-o", f"Dir::Cache={scratch / 'apt'}"]
        _run(["apt-get", *private, "update"], scratch)
        _run([*download[:1], *private, *download[1:]], scratch)
    package = next(scratch.glob(f"{DEBIAN_PACKAGE}_*.deb"))
    _run(["dpkg-deb", "-x", package.name, "unpacked"], scratch)
    return scratch / "unpacked" / "usr" / "share" / "datasets" / "fashion-mnist"


def _run(words: list[str], folder: Path) -> None:
    subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True, timeout=600)


def _copy_files(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise FoxnasError(f"data.folder {source} does not exist; it should hold {', '.join(FASHION_MNIST_FILES)}")
    for name, count in FASHION_MNIST_FILES.items():
        if len(read_idx(source / name)) != count:
            raise FoxnasError(f"{source / name}: holds {len(read_idx(source / name))} items instead of {count}")
    for name in FASHION_MNIST_FILES:
        with replacing(target / name) as temporary:
            shutil.copyfile(source / name, temporary)


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes. Raises FoxnasError when it is missing or truncated."""
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise FoxnasError(f"{path} is missing; the folder should hold {', '.join(FASHION_MNIST_FILES)}") from error
    except (OSError, EOFError) as error:
        raise FoxnasError(f"{path}: is truncated or not gzip ({error}); fetch it again") from error
    axes = content[3] if len(content) > 3 and content[:3] == b"\0\0\x08" else 0
    shape = tuple(np.frombuffer(content, ">i4", axes, 4)) if len(content) >= 4 + 4 * axes else ()
    if not axes or len(content) != 4 + 4 * axes + int(np.prod(shape)):
        raise FoxnasError(f"{path}: is truncated or not an IDX file of bytes; fetch it again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def load_fashion_mnist(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Return the published training and test sets at 28 px."""
    names = list(FASHION_MNIST_FILES)
    train, test = (
        LabelledImages(read_idx(folder / images)[..., None], read_idx(folder / labels).astype(np.int64))
        for images, labels in (names[:2], names[2:])
    )
    return train, test


def split_rows(total: int, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    """Deal `total` rows out to disjoint named splits, in a seeded random order.

    Raises FoxnasError when fewer rows exist than the splits ask for.
    """
    if sum(sizes.values()) > total:
        asked = " + ".join(f"{name} {n}" for name, n in sizes.items())
        raise FoxnasError(
            f"data.splits ask for {asked} = {sum(sizes.values())} images, the data set has {total}; lower one"
        )
    order = np.random.default_rng(seed).permutation(total)
    ends = np.cumsum(list(sizes.values()))
    return {name: order[end - n : end] for (name, n), end in zip(sizes.items(), ends, strict=True)}


def set_in_scene(
    images: np.ndarray, canvas: int, smallest_scale: float, largest_angle: float, rng: np.random.Generator
) -> np.ndarray:
    """Put every image on a black canvas at a random scale, angle and place, wholly inside when not turned.

    A network that is too rich for its task makes all architectures equal; this makes the task harder.

    Parameters
    ----------
    images
        uint8 (n, H, W, channels).
    canvas
        Side of the square canvas, in pixels.
    smallest_scale
        Scales are uniform from this share of the canvas' side to all of it.
    largest_angle
        Angles are uniform between plus and minus so many degrees.

    Returns
    -------
    ndarray
        uint8 (n, canvas, canvas, channels).
    """
    n, _, _, channels = images.shape
    scale = rng.uniform(smallest_scale, 1.0, n)
    angle = np.deg2rad(rng.uniform(-largest_angle, largest_angle, n))
    shift_x, shift_y = ((1 - scale) * rng.uniform(-1, 1, n) for _ in range(2))
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    rows = [[cos, sin, -(cos * shift_x + sin * shift_y)], [-sin, cos, sin * shift_x - cos * shift_y]]
    affine = torch.from_numpy(np.stack([np.stack(row, 1) for row in rows], 1)).float()
    placed = np.empty((n, canvas, canvas, channels), np.uint8)
    for start in range(0, n, 4096):
        part = slice(start, start + 4096)
        pixels = torch.from_numpy(images[part]).permute(0, 3, 1, 2).float()
        grid = F.affine_grid(affine[part], [len(pixels), channels, canvas, canvas], align_corners=False)
        drawn = F.grid_sample(pixels, grid, align_corners=False).round_().clamp_(0, 255)
        placed[part] = drawn.to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return placed


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 (n, H, W, channels) to (n, size, size, channels): torchvision's antialiased bilinear."""
    if images.shape[1:3] == (size, size):
        return images
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    parts = [transforms.resize(part, [size, size], antialias=True) for part in tensor.split(4096)]
    return torch.cat(parts).permute(0, 2, 3, 1).contiguous().numpy()


def save_resized(images: np.ndarray, size: int, path: Path) -> None:
    """Write images at one size as a .npy file, whole or not at all."""
    with replacing(path) as temporary:
        np.save(temporary, resize(images, size))


def to_input(images: np.ndarray) -> Tensor:
    """uint8 (n, H, W, channels) -> float32 (n, channels, H, W) in [0, 1], channels_last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
