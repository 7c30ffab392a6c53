"""Images: every way to get them, every way they can be broken, splits that never mix."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from torchvision import datasets
from torchvision.transforms.v2 import CenterCrop, Resize
from torchvision.tv_tensors import Image

from foxnas.errors import FoxnasError
from foxnas.files.tables import replacing
from foxnas.images.labelled import check_fits, copy_arrays, create_array, fetch_torchvision, load_arrays
from foxnas.images.pixels import resize
from foxnas.images.prepared import check_disk, prepare_images
from foxnas.images.scenes import set_in_scene
from foxnas.images.splits import deal, split_rows
from foxnas.images.views import View
from tests.support.idx_files import write_idx


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


def test_resizing_gives_the_same_bytes_on_every_processor(tmp_path: Path) -> None:
    """Also without AVX2, where torchvision rounds otherwise (findings/torchvision_resize_by_processor.sh)."""
    images = np.random.default_rng(0).integers(0, 256, (4, 40, 52, 3)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, numpy as np, torch; from foxnas.images.pixels import resize; "
        "assert torch.backends.cpu.get_cpu_capability() == 'DEFAULT'; "
        "np.save(sys.argv[1] + '/resized.npy', resize(np.load(sys.argv[1] + '/images.npy'), 24, 0.875))"
    )
    root = Path(__file__).resolve().parents[2]
    narrow = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=narrow, check=True)
    assert np.array_equal(np.load(tmp_path / "resized.npy"), resize(images, 24, 0.875))


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


def test_an_image_is_set_in_the_same_scene_whichever_others_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5000, 12, 12, 1), dtype=np.uint8)
    rows = np.random.default_rng(1).permutation(5000)[:4500]
    every, some = (set_in_scene(images, 16, 0.5, 30.0, np.random.default_rng(2), which) for which in (None, rows))
    assert np.array_equal(some, every[rows])


def test_a_scene_of_full_scale_and_no_angle_is_the_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    placed = set_in_scene(images, 28, 1.0, 0.0, np.random.default_rng(0))
    assert np.abs(placed.astype(int) - images).max() <= 1


def write_four(folder: Path, size: int = 12, channels: int = 3) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("test", 20)):
        np.save(folder / f"{part}-images.npy", rng.integers(0, 256, (n, size, size + 4, channels), dtype=np.uint8))
        np.save(folder / f"{part}-labels.npy", np.arange(n, dtype=np.int32) % 4)


def test_plain_arrays_are_taken_and_checked(tmp_path: Path) -> None:
    write_four(tmp_path / "given")
    copy_arrays(tmp_path / "given", tmp_path / "source")
    train, test = load_arrays(tmp_path / "source")
    assert (train.images == np.load(tmp_path / "given" / "train-images.npy")).all()
    assert test.labels.dtype == np.int64
    check_fits([train, test], 3, 4)
    with pytest.raises(FoxnasError, match=r"labels go from 0 to 3, but space.classes is 3"):
        check_fits([train, test], 3, 3)
    with pytest.raises(FoxnasError, match=r"the images have 3 channels, space.image_channels is 1"):
        check_fits([train, test], 1, 4)
    np.save(tmp_path / "given" / "test-labels.npy", np.zeros(19, np.int64))
    with pytest.raises(FoxnasError, match=r"test-labels.npy: holds int64 \(19,\); .* each of the 20 images"):
        copy_arrays(tmp_path / "given", tmp_path / "again")
    np.save(tmp_path / "given" / "train-images.npy", np.zeros((40, 3, 12, 12), np.float32))
    with pytest.raises(FoxnasError, match=r"train-images.npy: holds float32"):
        load_arrays(tmp_path / "given")
    (tmp_path / "given" / "train-images.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(FoxnasError, match=r"train-images.npy: is not a whole .npy file"):
        load_arrays(tmp_path / "given")


def test_arrays_without_a_held_out_part_give_all_splits(tmp_path: Path) -> None:
    write_four(tmp_path / "given")
    for name in ("test-images.npy", "test-labels.npy"):
        (tmp_path / "given" / name).unlink()
    copy_arrays(tmp_path / "given", tmp_path / "source")
    train, test = load_arrays(tmp_path / "source")
    assert (len(train.labels), len(test.labels)) == (40, 0)
    rows, _ = deal({"train": 40, "test": 0}, {"train": 10, "fit": 10, "verify": 10, "test": 10}, "train", 0)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(40))


def test_fit_and_verify_come_from_the_held_out_images_if_asked() -> None:
    sizes = {"train": 30, "fit": 6, "verify": 5, "test": 4}
    rows, spare = deal({"train": 40, "test": 20}, sizes, "held-out", 0)
    assert rows["train"].max() < 40
    assert len(spare["train"]) == 10
    held_out = np.concatenate([rows["fit"], rows["verify"], rows["test"], spare["fit"]])
    assert sorted(held_out) == list(range(40, 60))
    with pytest.raises(
        FoxnasError, match=r"fit 6 \+ verify 5 \+ test 10 = 21 images, the data set has 20 held out; lower one"
    ):
        deal({"train": 40, "test": 20}, {**sizes, "test": 10}, "held-out", 0)


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10"])
def test_torchvisions_sets_are_read_by_torchvision(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    if name == "MNIST":
        raw = tmp_path / "MNIST" / "raw"
        raw.mkdir(parents=True)
        images = rng.integers(0, 256, (30, 28, 28), dtype=np.uint8)
        for part in ("train", "t10k"):
            write_idx(raw / f"{part}-images-idx3-ubyte.gz", images)
            write_idx(raw / f"{part}-labels-idx1-ubyte.gz", np.arange(30, dtype=np.uint8) % 10)
        for file in raw.glob("*.gz"):
            file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        expected = images[..., None]
    else:
        import pickle

        from torchvision.datasets import CIFAR10

        folder = tmp_path / CIFAR10.base_folder
        folder.mkdir()
        flat = rng.integers(0, 256, (30, 3072), dtype=np.uint8)
        content = pickle.dumps({"data": flat, "labels": [i % 10 for i in range(30)]})
        meta = pickle.dumps({"label_names": [str(i) for i in range(10)]})
        (folder / "batch").write_bytes(content)
        (folder / "batches.meta").write_bytes(meta)
        for files in ("train_list", "test_list"):
            monkeypatch.setattr(CIFAR10, files, [["batch", hashlib.md5(content).hexdigest()]])
        monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": hashlib.md5(meta).hexdigest()})
        expected = flat.reshape(30, 3, 32, 32).transpose(0, 2, 3, 1)
    fetch_torchvision(name, tmp_path, tmp_path / "source")
    train, test = load_arrays(tmp_path / "source")
    assert (train.images == expected).all()
    assert (test.labels == np.arange(30) % 10).all()
    with pytest.raises(FoxnasError, match=rf"{name} could not be obtained .* set data.folder"):
        fetch_torchvision(name, tmp_path / "nowhere", tmp_path / "again")


@pytest.mark.parametrize("name", ["SVHN", "STL10"])
def test_torchvisions_sets_by_split_are_what_it_gives_image_by_image(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)

    def written(path: Path) -> str:
        return hashlib.md5(path.read_bytes()).hexdigest()

    parts = {"train": 7, "test": 5}
    if name == "SVHN":
        listed = {}
        for part, n in parts.items():
            images = rng.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
            path = tmp_path / f"{part}.mat"
            scipy.io.savemat(path, {"X": images, "y": np.arange(1, n + 1)[:, None]})
            listed[part] = ["", path.name, written(path)]
        monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    else:
        folder = tmp_path / datasets.STL10.base_folder
        folder.mkdir()
        for part, n in parts.items():
            rng.integers(0, 256, (n, 3, 96, 96), dtype=np.uint8).tofile(folder / f"{part}_X.bin")
            np.arange(1, n + 1, dtype=np.uint8).tofile(folder / f"{part}_y.bin")
            files = [[f"{part}_{kind}.bin", written(folder / f"{part}_{kind}.bin")] for kind in "Xy"]
            monkeypatch.setattr(datasets.STL10, f"{part}_list", files)
    fetch_torchvision(name, tmp_path, tmp_path / "source")
    for part, own in zip(parts, load_arrays(tmp_path / "source"), strict=True):
        reference = getattr(datasets, name)(str(tmp_path), split=part)
        assert len(own.labels) == len(reference)
        for image, label, (expected, truth) in zip(own.images, own.labels, reference, strict=True):
            assert (image == np.asarray(expected)).all()
            assert label == truth


@pytest.mark.parametrize(("size", "share"), [(16, 0.875), (21, 0.875), (40, 0.9), (12, 1.0)])
def test_arrays_are_cropped_as_torchvision_does(size: int, share: float, tmp_path: Path) -> None:
    import torch

    images = np.random.default_rng(0).integers(0, 256, (5, 31, 45, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    prepare_images(tmp_path / "x.npy", None, View(size, 3, share), tmp_path / "y.npy", 1, first=4)
    shorter = {16: 19, 21: 24, 40: 45, 12: 12}[size]
    expected = CenterCrop(size)(Resize(shorter, antialias=True)(Image(torch.from_numpy(images).permute(0, 3, 1, 2))))
    assert (np.load(tmp_path / "y.npy") == expected[:4].permute(0, 2, 3, 1).numpy()).all()


def test_a_disk_that_cannot_hold_all_sizes_is_refused_beforehand(tmp_path: Path) -> None:
    import shutil

    free_mb = shutil.disk_usage(tmp_path).free // 10**6
    check_disk(tmp_path, free_mb // 2)
    with pytest.raises(FoxnasError, match=r"the images at all sizes take .* GB .* are free; lower data.splits.fit"):
        check_disk(tmp_path, 2 * free_mb)


def test_an_array_that_the_disk_cannot_hold_is_refused_with_both_numbers_and_leaves_nothing(tmp_path: Path) -> None:
    import shutil

    free = shutil.disk_usage(tmp_path).free
    rows = 2 * free // 10**6
    said = rf"No space left on device \({rows:,} images take {rows:,} MB, [\d,]+ MB are free\)"
    with pytest.raises(OSError, match=said) as refused, replacing(tmp_path / "x.npy") as temporary:
        create_array(temporary, (rows, 1000, 1000, 1))
    assert refused.value.filename == str(tmp_path / "x.npy"), "of which `cli.run` speaks"
    assert not list(tmp_path.iterdir())


LARGER_THAN_MEMORY = """
import resource, sys, warnings
from pathlib import Path
import torch
from foxnas.files.arrays import ArraysBySize
from foxnas.images.pixels import to_input
warnings.simplefilter("error")
resource.setrlimit(resource.RLIMIT_DATA, (4 * 10**9, 4 * 10**9))
images = ArraysBySize([Path(sys.argv[1])]).at(320)
assert images.shape == (50_000, 320, 320, 3)
print(to_input(images[-2:]).sum().item())
"""


def test_images_larger_than_memory_are_mapped(tmp_path: Path) -> None:
    """50,000 images at 320 px, of which the disk need not hold the zeros, where a process may have 4 GB."""
    path = tmp_path / "320" / "fit-images.npy"
    path.parent.mkdir()
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(50_000, 320, 320, 3))
    array[-1, 0, 0, 0] = 255
    del array
    done = subprocess.run([sys.executable, "-c", LARGER_THAN_MEMORY, str(path)], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("1.0", 0), done.stderr
