"""Folders of image files: what is listed, how they are split and decoded, and every way they can be broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, RandomResizedCrop, Resize

from foxnas.errors import FoxnasError
from foxnas.files.tables import write_table
from foxnas.images.config import DataConfig
from foxnas.images.decoding import decode_files, first_readable
from foxnas.images.folders import files_of, list_images, read_files
from foxnas.images.prepared import prepare_images
from foxnas.images.split_files import split_files
from foxnas.images.training_files import RATIO, TrainingFiles, random_box
from foxnas.images.views import View
from foxnas.space.space import SearchSpace
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.training import train_supernet
from tests.support.photographs import data_config, make_tree


def split(data: DataConfig, target: Path, classes: int = 3) -> dict[str, Any]:
    assert data.folder
    listed = list_images(Path(data.folder))
    write_table(target / "images.csv", listed.images, {"classes": listed.classes})
    return split_files(data, 3, classes, target / "images.csv", target, 1)


def test_the_list_is_image_folders(tmp_path: Path) -> None:
    make_tree(tmp_path, {"train": 5, "val": 2})
    (tmp_path / "train" / "n000" / "notes.txt").write_text("no image")
    listed = list_images(tmp_path)
    for part, listed_as in (("train", "train"), ("val", "test")):
        reference = ImageFolder(str(tmp_path / part))
        own = listed.images[listed.images["part"] == listed_as]
        assert [(str(tmp_path / p), y) for p, y in zip(own["path"], own["label"], strict=True)] == reference.samples
        assert listed.classes == reference.classes


def test_a_tree_without_parts_gives_all_splits(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree", {"": 7})
    split(data_config(tmp_path / "tree"), tmp_path / "out")
    names = [read_files(tmp_path / "out" / f"{s}-images.csv", tmp_path) for s in ("train", "fit", "verify", "test")]
    paths = [file.path for files in names for file in files]
    assert [len(files) for files in names] == [6, 4, 3, 5]
    assert len(set(paths)) == 18


def test_splits_are_lists_of_files_with_their_labels(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree", {"train": 5, "val": 3})
    recorded = split(data_config(tmp_path / "tree"), tmp_path / "out")
    assert {name: part["published"] for name, part in recorded.items()} == {
        "train": "train", "fit": "train", "verify": "train", "test": "test",
    }  # fmt: skip
    for name in recorded:
        table = pd.read_csv(tmp_path / "out" / f"{name}-images.csv", comment="#")
        labels = np.load(tmp_path / "out" / f"{name}-labels.npy")
        assert (labels == [int(path.split("/")[1][1:]) for path in table["path"]]).all()
        assert labels.dtype == np.int64
    again = split(data_config(tmp_path / "tree"), tmp_path / "again")
    assert again == recorded
    held_out = data_config(
        tmp_path / "tree", evaluate_on="held-out", splits={"train": 9, "fit": 3, "verify": 3, "test": 3}
    )
    assert {part["published"] for name, part in split(held_out, tmp_path / "third").items() if name != "train"} == {
        "test"
    }


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_decoding_is_torchvisions_bit_for_bit(tmp_path: Path, processes: int, channels: int) -> None:
    make_tree(tmp_path, {"": 24 if processes == 2 else 6}, mode="RGB" if channels == 3 else "L", shorter=31)
    files = files_of(list_images(tmp_path).images, tmp_path)
    for size, shorter in ((32, 37), (28, 32), (21, 24)):
        decode_files(files, View(size, channels, 0.875), tmp_path / "x.npy", processes)
        reference = Compose([Resize(shorter), CenterCrop(size)])
        expected = [
            np.asarray(reference(Image.open(file.path).convert("RGB" if channels == 3 else "L"))).reshape(
                size, size, -1
            )
            for file in files
        ]
        assert (np.load(tmp_path / "x.npy") == np.stack(expected)).all()


def corrupt(path: Path) -> None:
    """Cut the file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_corrupt_image_is_named_or_replaced_and_counted(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"train": 10, "val": 4})
    whole = data_config(tree)
    split(whole, tmp_path / "whole")
    victims = {s: read_files(tmp_path / "whole" / f"{s}-images.csv", tree)[1] for s in ("train", "fit", "test")}
    for victim in victims.values():
        corrupt(Path(victim.path))
    (victims["fit"].path and Path(victims["fit"].path)).write_bytes(b"no image")
    split(whole, tmp_path / "fail")
    with pytest.raises(FoxnasError, match=rf"{victims['fit'].path}: cannot be decoded .*data.corrupt_images: skip"):
        prepare_images(tmp_path / "fail" / "fit-images.csv", tree, View(16, 3, 0.875), tmp_path / "fit.npy", 1)
    assert not list(tmp_path.glob("*.npy"))

    recorded = split(data_config(tree, corrupt_images="skip"), tmp_path / "skip")
    assert set(recorded["skipped"]) == {str(Path(victims[s].path).relative_to(tree)) for s in ("fit", "test")}
    for name in ("fit", "verify", "test"):
        prepare_images(tmp_path / "skip" / f"{name}-images.csv", tree, View(16, 3, 0.875), tmp_path / f"{name}.npy", 1)
        assert len(np.load(tmp_path / f"{name}.npy")) == getattr(whole.splits, name)
    before, after = (read_files(tmp_path / kind / "fit-images.csv", tree) for kind in ("fail", "skip"))
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]
    dealt = [
        f.path
        for s in ("train", "fit", "verify", "test")
        for f in read_files(tmp_path / "skip" / f"{s}-images.csv", tree)
    ]
    assert len(set(dealt)) == 18

    train = read_files(tmp_path / "skip" / "train-images.csv", tree)
    good, bad = first_readable(train, 4, 3, 1)
    assert good == [train[0], *train[2:5]]
    assert list(bad) == [train[1].path]
    with pytest.raises(FoxnasError, match=r"only 5 of 6 images can be read, 6 are asked for"):
        first_readable(train, 6, 3, 1)
    prepare_images(
        tmp_path / "skip" / "train-images.csv", tree, View(16, 3, 0.875), tmp_path / "c.npy", 1, first=4, skip=True
    )
    assert len(np.load(tmp_path / "c.npy")) == 4


def test_an_image_that_changed_since_it_was_listed_is_named(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"": 2})
    files = files_of(list_images(tree).images, tree)
    Path(files[3].path).write_bytes(Path(files[0].path).read_bytes() + b"\0")
    with pytest.raises(FoxnasError, match=rf"^{files[3].path}: has \d+ bytes, and had \d+ when the folder was listed"):
        decode_files(files, View(16, 3, 1), tmp_path / "x.npy", 1)


def test_folders_that_cannot_be_used_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FoxnasError, match=r"data.folder .*nowhere does not exist"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FoxnasError, match=r"empty: has no class folders; a classifier needs two classes"):
        list_images(tmp_path / "empty")
    with pytest.raises(FoxnasError, match=r"one: has the one class folder n000; a classifier needs two"):
        list_images(make_tree(tmp_path / "one", {"": 2}, classes=1))
    tree = make_tree(tmp_path / "tree", {"train": 3, "val": 2})
    (tree / "val" / "n001").rename(tree / "val" / "n999")
    with pytest.raises(FoxnasError, match=r"val: has no class folder n001 \(1 of .*train are missing\)"):
        list_images(tree)
    (tree / "val" / "n001").mkdir()
    with pytest.raises(FoxnasError, match=r"val/n999: is no class of .*train \(1 are not\)"):
        list_images(tree)
    for file in (tree / "val" / "n999").iterdir():
        file.unlink()
    (tree / "val" / "n999").rmdir()
    with pytest.raises(FoxnasError, match=r"val/n001: has no images .*remove the class folder or fill it"):
        list_images(tree)
    flat = make_tree(tmp_path / "flat", {"train": 2})
    (flat / "val").mkdir()
    with pytest.raises(FoxnasError, match=r"val: has no class folders; sort its images into one folder a class"):
        list_images(flat)


def test_links_that_lead_nowhere_and_names_that_are_no_text_are_named(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"": 7})
    split(data_config(tree), tmp_path / "whole")
    lost = Path(read_files(tmp_path / "whole" / "fit-images.csv", tree)[1].path)
    lost.unlink()
    lost.symlink_to(tmp_path / "nowhere")
    files = files_of(list_images(tree).images, tree)
    with pytest.raises(FoxnasError, match=rf"{lost}: cannot be decoded .*No such file"):
        decode_files(files, View(16, 3, 1), tmp_path / "x.npy", 1)
    recorded = split(data_config(tree, corrupt_images="skip"), tmp_path / "out")
    assert list(recorded["skipped"]) == [str(lost.relative_to(tree))]
    Path(os.fsdecode(os.fsencode(tree / "n002") + b"/\xff.png")).touch()
    with pytest.raises(FoxnasError, match=r"n002: the name of '\\udcff.png' is not UTF-8; rename it"):
        list_images(tree)


def test_too_few_images_and_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"train": 4, "val": 2})
    with pytest.raises(
        FoxnasError, match=r"train 6 \+ fit 4 \+ verify 3 = 13 images, the data set has 12 for training; lower one"
    ):
        split(data_config(tree), tmp_path / "out")
    with pytest.raises(FoxnasError, match=r"has 3 classes, space.classes is 1000; write space: .*classes: 3"):
        split(data_config(tree), tmp_path / "out", classes=1000)
    with pytest.raises(ValueError, match=r"folder is null, but the data set is 'folder'"):
        DataConfig.model_validate({**data_config(tree).model_dump(), "folder": None})


@pytest.mark.parametrize("smallest", [0.08, 0.5])
def test_training_crops_are_drawn_as_torchvision_draws_them(smallest: float) -> None:
    rng, image = np.random.default_rng(0), Image.new("RGB", (500, 375))
    torch.manual_seed(0)
    own = np.array([random_box(500, 375, rng, smallest) for _ in range(4000)])
    assert own.min() >= 0
    assert (own[:, 2] <= 500).all()
    assert (own[:, 3] <= 375).all()
    drawn = np.array([RandomResizedCrop.get_params(image, [smallest, 1.0], list(RATIO)) for _ in range(4000)])
    top, left, height, width = drawn.T
    for mine, theirs in (
        (own[:, 0], left),
        (own[:, 1], top),
        (own[:, 2] - own[:, 0], width),
        (own[:, 3] - own[:, 1], height),
    ):
        assert abs(mine.mean() - theirs.mean()) < 5 * np.hypot(mine.std(), theirs.std()) / np.sqrt(4000)
        assert np.allclose(np.quantile(mine, [0.1, 0.5, 0.9]), np.quantile(theirs, [0.1, 0.5, 0.9]), atol=20)


def test_a_training_crop_depends_on_its_epoch_and_its_row_alone(tmp_path: Path) -> None:
    files = files_of(list_images(make_tree(tmp_path, {"": 5})).images, tmp_path)
    labels = np.repeat(np.arange(3), 5)
    one, several = (TrainingFiles(files, labels, 3, threads) for threads in (1, 3))
    rows = np.array([4, 0, 9, 2])
    crops = one.crops(rows, 24, [0, 1])
    assert crops.shape == (4, 24, 24, 3)
    assert (several.crops(rows[::-1], 24, [0, 1])[::-1] == crops).all()
    assert (several.crops(rows, 24, [0, 2]) != crops).any((1, 2, 3)).all()


def test_a_supernet_is_trained_from_files_and_a_corrupt_one_is_named_or_skipped(
    tmp_path: Path, mini: SearchSpace, caplog: pytest.LogCaptureFixture
) -> None:
    tree = make_tree(tmp_path, {"": 8})
    listed = list_images(tree).images
    corrupt(tree / listed["path"][2])
    labels = listed["label"].to_numpy(np.int64)
    files = files_of(list_images(tree).images, tree)
    phase = Phase(epochs=2, learning_rate=1e-3, kernel_sizes=(3, 5, 7), expansion_ratios=(2, 3, 4, 6), depths=(2, 3, 4))
    recipe = Recipe(
        phases=(phase,),
        batch_size=8,
        batch_parts=2,
        weight_decay=0,
        distillation=0,
        average_decay=0.9,
        precision="fp32",
        seed=0,
    )
    with pytest.raises(FoxnasError, match=rf"{files[2].path}: cannot be decoded"):
        train_supernet(mini, TrainingFiles(files, labels, 1), labels, recipe)
    trained, again = (
        train_supernet(mini, TrainingFiles(files, labels, 1, threads, skip=True), labels, recipe) for threads in (1, 2)
    )
    assert all((a == b).all() for a, b in zip(trained.parameters(), again.parameters(), strict=True))
    assert sum(f"skipped {files[2].path}" in line for line in caplog.messages) == 2, "once a training"
    for file in files[:8]:
        Path(file.path).write_bytes(b"x" * file.bytes)
    with pytest.raises(FoxnasError, match=r"no image of its class can be decoded"):
        TrainingFiles(files, labels, 1, skip=True).crops(np.array([1]), 16, [0])


PEAKS_OF_DECODING = """
import resource, sys
from pathlib import Path
from foxnas.images.decoding import ImageFile, decode_files
from foxnas.images.views import View
path = Path(sys.argv[1])
for images in (64, 640):
    files = [ImageFile(str(path), path.stat().st_size)] * images
    decode_files(files, View(320, 3, 0.875), path.with_suffix(".npy"), 1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Ten times the images, 177 MB more of array: the decoding process holds one block of it, 20 MB."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "x.png")
    done = subprocess.run(
        [sys.executable, "-c", PEAKS_OF_DECODING, str(tmp_path / "x.png")], capture_output=True, text=True, check=True
    )
    few_kb, many_kb = map(int, done.stdout.split())
    assert np.load(tmp_path / "x.npy", mmap_mode="r").nbytes > 190e6
    assert many_kb - few_kb < 25_000
