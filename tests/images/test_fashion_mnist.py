"""Fashion-MNIST: from a folder or fetched, and every way its files can be broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.images import fashion_mnist
from foxnas.images.fashion_mnist import FASHION_MNIST_FILES, fetch_fashion_mnist, load_fashion_mnist, read_idx
from tests.support.idx_files import write_idx


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
    monkeypatch.setattr(fashion_mnist, "_from_torchvision", fails)
    monkeypatch.setattr(fashion_mnist, "_from_debian", lambda scratch: folder)
    fetch_fashion_mnist(None, tmp_path / "second")
    assert len(list((tmp_path / "second").iterdir())) == 4
    monkeypatch.setattr(fashion_mnist, "_from_debian", fails)
    with pytest.raises(FoxnasError, match=r"set data.folder .*torchvision: no route to the mirror"):
        fetch_fashion_mnist(None, tmp_path / "third")
