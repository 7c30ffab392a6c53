"""Splits that hold every class in its share."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foxnas.errors import FoxnasError
from foxnas.files.tables import write_table
from foxnas.images.folders import list_images
from foxnas.images.split_arrays import split_arrays
from foxnas.images.split_files import split_files
from foxnas.images.splits import deal, replace_unreadable
from foxnas.images.strata import Classes, check_trained, say_missing
from tests.support.photographs import data_config, make_tree

NAMES = ("train", "fit", "verify", "test")


def classes_of(counts: list[int], seed: int = 0) -> Classes:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    return Classes(labels, [f"class-{number}" for number in range(len(counts))])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 9))
def test_every_split_has_each_class_in_its_share_and_once_at_least(data: st.DataObject, seed: int) -> None:
    counts = data.draw(st.lists(st.integers(4, 60), min_size=2, max_size=6))
    few, total = len(counts), sum(counts)
    spare = data.draw(st.integers(0, total - 4 * few))
    cuts = sorted(data.draw(st.lists(st.integers(0, total - spare - 4 * few), min_size=3, max_size=3)))
    sizes = dict(zip(NAMES, np.diff([0, *cuts, total - spare - 4 * few]) + few, strict=True))
    classes = classes_of(counts)
    rows, left = deal({"train": total}, {n: int(s) for n, s in sizes.items()}, "train", seed, classes)
    assert {name: len(of_it) for name, of_it in rows.items()} == sizes
    assert sorted(np.concatenate([*rows.values(), left["train"]])) == list(range(total))
    for of_it in rows.values():
        assert (np.bincount(classes.labels[of_it], minlength=few) >= 1).all()


def test_shares_are_those_of_the_set_and_of_the_first_images_too() -> None:
    classes = classes_of([600, 300, 100])
    rows, _ = deal({"train": 1000}, {"train": 600, "fit": 150, "verify": 100, "test": 150}, "train", 0, classes)
    for of_it in (*rows.values(), rows["train"][:100], rows["train"][:20], rows["verify"][:10]):
        share = np.bincount(classes.labels[of_it], minlength=3) / len(of_it)
        assert np.abs(share - [0.6, 0.3, 0.1]).max() <= 1.01 / len(of_it)


def test_the_seed_deals_and_the_sizes_alone_do_not_change_who_is_alike() -> None:
    classes, sizes = classes_of([40, 40]), {"train": 40, "fit": 16, "verify": 12, "test": 12}
    one, again, other = (deal({"train": 80}, sizes, "train", seed, classes)[0] for seed in (3, 3, 4))
    assert all((one[name] == again[name]).all() for name in NAMES)
    assert any((one[name] != other[name]).any() for name in NAMES)


def test_each_published_part_is_dealt_by_its_own_classes() -> None:
    labels = np.r_[np.repeat([0, 1], [30, 10]), np.repeat([0, 1], [5, 15])]
    rows, _ = deal(
        {"train": 40, "test": 20}, {"train": 20, "fit": 8, "verify": 8, "test": 20}, "train", 0,
        Classes(labels, ["a", "b"]),
    )  # fmt: skip
    found = {name: np.bincount(labels[of_it]).tolist() for name, of_it in rows.items()}
    assert found == {"train": [15, 5], "fit": [6, 2], "verify": [6, 2], "test": [5, 15]}


@pytest.mark.parametrize(
    ("counts", "sizes", "said"),
    [
        ([40, 3], (20, 5, 5, 5), "class class-1 has 3 images, and one at least goes to each of train, fit, verify and "
         "test; add images of it, remove the class, or write data.stratified: false"),
        ([40, 0], (20, 5, 5, 5), "class class-1 has 0 images"),
        ([40, 40, 40], (20, 2, 5, 5), "data.splits.fit is 2, but there are 3 classes, and data.stratified puts one "
         "image at least of each into every split; raise it to 3 or more, or write data.stratified: false"),
        ([20, 20], (20, 10, 10, 10), "= 50 images, the data set has 40; lower one"),
    ],
)  # fmt: skip
def test_what_cannot_be_stratified_is_said_with_the_way_out(
    counts: list[int], sizes: tuple[int, ...], said: str
) -> None:
    asked = dict(zip(NAMES, sizes, strict=True))
    with pytest.raises(FoxnasError, match=re.escape(said)):
        deal({"train": sum(counts)}, asked, "train", 0, classes_of(counts))


def test_an_unreadable_image_is_replaced_by_one_of_its_class_as_long_as_there_is_one() -> None:
    labels = np.repeat([0, 1], 10)
    rows, spare = {"fit": np.array([0, 10, 11])}, {"fit": np.array([1, 2, 3, 12, 4, 5])}
    taken, met = replace_unreadable(rows, spare, lambda asked: np.isin(asked, [0, 10, 1]), labels)
    assert taken["fit"].tolist() == [2, 12, 11]
    assert met == [0, 10, 1]
    taken, _ = replace_unreadable(rows, spare, lambda asked: np.isin(asked, [10, 11]), labels)
    assert taken["fit"].tolist() == [0, 12, 1]
    with pytest.raises(FoxnasError, match=r"none are left to take their places in fit; lower data.splits.fit"):
        replace_unreadable(rows, spare, lambda asked: asked >= 0, labels)


def test_files_and_arrays_are_stratified_when_the_config_says_so(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree", {"": 9})
    for rare in sorted((tmp_path / "tree" / "n002").iterdir())[4:]:
        rare.unlink()
    data = data_config(
        tmp_path / "tree", stratified=True, splits={"train": 9, "fit": 4, "verify": 4, "test": 4}, corrupt_images="skip"
    )
    listed = list_images(tmp_path / "tree")
    listing = tmp_path / "images.csv"
    write_table(listing, listed.images, {"classes": listed.classes})
    split_files(data, 3, 3, listing, tmp_path / "files", 1)
    arrays = data.model_copy(update={"dataset": "arrays"})
    (tmp_path / "source").mkdir()
    labels = listed.images["label"].to_numpy()
    np.save(tmp_path / "source" / "train-images.npy", np.zeros((len(labels), 4, 4, 3), np.uint8))
    np.save(tmp_path / "source" / "train-labels.npy", labels)
    (tmp_path / "arrays").mkdir()
    split_arrays(arrays, 3, 3, tmp_path / "source", tmp_path / "arrays")
    for name in NAMES:
        of_files = np.load(tmp_path / "files" / f"{name}-labels.npy")
        assert (of_files == np.load(tmp_path / "arrays" / f"{name}-labels.npy")).all()
        assert np.bincount(of_files, minlength=3).min() >= 1
        paths = pd.read_csv(tmp_path / "files" / f"{name}-images.csv", comment="#")["path"]
        assert (of_files == [int(path.split("/")[0][1:]) for path in paths]).all()


def test_a_class_that_a_split_has_not_is_said_and_one_that_would_not_train_ends_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    classes = Classes(np.array([0, 0, 1, 1, 2]), ["a", "b", "c"])
    say_missing(classes, {"train": np.array([0, 2, 4]), "fit": np.array([1]), "test": np.array([3])})
    assert caplog.messages == [
        f"no image of class {name} is in {split} (of 2 classes none is); data.stratified: true puts one there at least"
        for name, split in (("b", "fit"), ("a", "test"))
    ]
    check_trained(classes.labels, 3, Path("labels.npy"))
    said = r"labels.npy: class 1 has no image to train with \(1 of 3 have none\); raise data.splits.train, or write"
    with pytest.raises(FoxnasError, match=said):
        check_trained(classes.labels[[0, 4]], 3, Path("labels.npy"))
