"""Images: every way to get them, every way they can be broken, splits that never mix."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from torchvision.transforms.v2 import Resize
from torchvision.tv_tensors import Image

from foxnas import data
from foxnas.data import (
    FASHION_MNIST_FILES,
    fetch_fashion_mnist,
    load_fashion_mnist,
    read_idx,
    resize,
    set_in_scene,
    split_rows,
)
from foxnas.errors import FoxnasError


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files of the published shape with generated content."""
    target = tmp_path_factory.mktemp("fashion")
    rng = np.random.default_rng(0)
    for name, count in FASHION_MNIST_FILES.items():
        shape = (count, 28, 28) if "images" in name else (count,)
        write_idx(target / name, rng.integers(0, 10, shape, dtype=np.uint8))
    return target


def test_a_given_folder_is_taken(folder: Path, tmp_path: Path) -> None:
    fetch_fashion_mnist(folder, tmp_path / "out")
    train, test = load_fashion_mnist(tmp_path / "out")
    assert train.images.shape == (60000, 28, 28, 1)
    assert test.labels.shape == (10000,)
    assert train.labels.dtype == np.int64


def test_a_missing_folder_file_and_a_truncated_one_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FoxnasError, match=r"data.folder .*nowhere does not exist; it should hold train-images"):
        fetch_fashion_mnist(tmp_path / "nowhere", tmp_path / "out")
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in list(FASHION_MNIST_FILES)[:3]:
        (broken / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(FoxnasError, match=r"t10k-labels-idx1-ubyte.gz is missing"):
        fetch_fashion_mnist(broken, tmp_path / "out")
    last = broken / "t10k-labels-idx1-ubyte.gz"
    last.write_bytes((folder / last.name).read_bytes()[:-100])
    with pytest.raises(FoxnasError, match=r"t10k-labels-idx1-ubyte.gz: is truncated"):
        fetch_fashion_mnist(broken, tmp_path / "out")
    write_idx(last, np.zeros(9000, np.uint8))
    with pytest.raises(FoxnasError, match=r"holds 9000 items instead of 10000"):
        fetch_fashion_mnist(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\0\0\x08\x01\0\0\0\x05abc", b"\0\0\x09\x01\0\0\0\x01a"])
def test_a_file_that_is_not_idx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    with pytest.raises(FoxnasError, match=r"is truncated or not an IDX file"):
        read_idx(tmp_path / "x.gz")


def test_sources_are_tried_in_turn_and_all_failures_are_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(scratch: Path) -> Path:
        raise OSError("no route to the mirror")

    fails.__name__ = "_from_torchvision"
    monkeypatch.setattr(data, "_from_torchvision", fails)
    monkeypatch.setattr(data, "_from_debian", lambda scratch: folder)
    fetch_fashion_mnist(None, tmp_path / "second")
    assert len(list((tmp_path / "second").iterdir())) == 4
    monkeypatch.setattr(data, "_from_debian", fails)
    with pytest.raises(FoxnasError, match=r"set data.folder .*torchvision: no route to the mirror"):
        fetch_fashion_mnist(None, tmp_path / "third")


def test_splits_are_disjoint_reproducible_and_bounded() -> None:
    sizes = {"train": 50, "fit": 30, "verify": 20}
    rows = split_rows(100, sizes, 3)
    assert {k: len(v) for k, v in rows.items()} == sizes
    assert sorted(np.concatenate(list(rows.values()))) == list(range(100))
    assert all((split_rows(100, sizes, 3)[k] == v).all() for k, v in rows.items())
    with pytest.raises(FoxnasError, match=r"train 50 \+ fit 30 \+ verify 20 = 100 images, the data set has 99"):
        split_rows(99, sizes, 3)


@pytest.mark.parametrize("size", [16, 28, 40])
def test_resizing_is_torchvisions_bit_for_bit(size: int) -> None:
    import torch

    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    expected = Resize([size, size], antialias=True)(Image(torch.from_numpy(images).permute(0, 3, 1, 2)))
    assert (resize(images, size) == expected.permute(0, 2, 3, 1).numpy()).all()


def test_scenes_place_the_whole_image_somewhere_on_the_canvas() -> None:
    image = np.full((300, 28, 28, 1), 255, np.uint8)
    placed = set_in_scene(image, 56, 0.5, 0.0, np.random.default_rng(0))
    assert placed.shape == (300, 56, 56, 1)
    bright = placed[..., 0] > 127
    sides = np.sqrt(bright.sum((1, 2)))
    assert 27 <= sides.min() < 31  # half the canvas
    assert 53 < sides.max() <= 56  # all of it
    corners = bright[:, 0, 0].mean(), bright[:, -1, -1].mean()
    assert max(corners) < 0.1
    again = set_in_scene(image, 56, 0.5, 0.0, np.random.default_rng(0))
    assert (placed == again).all()


def test_a_scene_of_full_scale_and_no_angle_is_the_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    placed = set_in_scene(images, 28, 1.0, 0.0, np.random.default_rng(0))
    assert np.abs(placed.astype(int) - images).max() <= 1
