"""Fashion-MNIST: from a folder, from torchvision's mirror, or from Debian's package."""

from __future__ import annotations

import gzip
import logging
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.files.tables import replacing
from foxnas.images.labelled import LabelledImages

log = logging.getLogger(__name__)

#: Fashion-MNIST's four files and the number of images in each pair.
FASHION_MNIST_FILES = {
    "train-images-idx3-ubyte.gz": 60000,
    "train-labels-idx1-ubyte.gz": 60000,
    "t10k-images-idx3-ubyte.gz": 10000,
    "t10k-labels-idx1-ubyte.gz": 10000,
}
DEBIAN_PACKAGE = "dataset-fashion-mnist"


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
