"""What of a folder is listed: which files are images, which folders classes, and which of them split the data set."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.images.decoding import decode_files, unreadable
from foxnas.images.folders import files_of, list_images
from foxnas.images.parts import find_parts, part_of
from foxnas.images.splits import deal
from foxnas.images.views import View
from tests.support.photographs import make_tree


def test_what_programs_leave_behind_is_neither_class_nor_image(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"train": 3, "val": 2})
    before = list_images(tree)
    for place in (tree, tree / "train", tree / "val", tree / "train" / "n001"):
        for name in (".ipynb_checkpoints", "__MACOSX", ".git", "@eaDir"):
            (place / name / "n000").mkdir(parents=True)
            shutil.copy(tree / "train" / "n000" / "train0_0.png", place / name / "n000" / "copy.png")
            shutil.copy(tree / "train" / "n000" / "train0_0.png", place / name / "copy.png")
    (tree / "train" / "n000" / "._train0_0.png").write_bytes(b"resource fork")
    after = list_images(tree)
    assert after.classes == before.classes
    assert after.images.equals(before.images)


@pytest.mark.parametrize("kind", ["pipe", "socket", "link to a device", "link to a pipe", "link to a folder"])
def test_a_name_of_an_image_that_is_no_file_is_said_or_skipped_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    tree = make_tree(tmp_path / "tree", {"": 2})
    odd = tree / "n001" / "odd.png"
    match kind:
        case "pipe":
            os.mkfifo(odd)
        case "socket":
            # Bound by a relative name: a socket's path may have 107 bytes only.
            here = os.open(odd.parent, os.O_RDONLY)
            socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{here}/{odd.name}")
            os.close(here)
        case "link to a device":
            odd.symlink_to("/dev/zero")
        case "link to a pipe":
            os.mkfifo(tmp_path / "pipe")
            odd.symlink_to(tmp_path / "pipe")
        case "link to a folder":
            (tmp_path / "elsewhere").mkdir()
            odd.symlink_to(tmp_path / "elsewhere")
    files = files_of(list_images(tree).images, tree)
    places = [place for place, file in enumerate(files) if file.path == str(odd)]
    assert len(places) == (kind != "link to a folder"), "a folder may have any name"
    assert list(unreadable(files, 3, 1)) == places
    if places:
        with pytest.raises(FoxnasError, match=rf"{odd}: cannot be decoded \(it is a pipe, a device or a folder"):
            decode_files(files, View(16, 3, 1), tmp_path / "x.npy", 1)


def test_links_that_lead_in_circles_list_every_image_once(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"": 3})
    before = list_images(tree).images
    for i in range(30):  # which 2 to the power of 30 paths lead through
        (tree / "n001" / f"loop{i}").symlink_to(tree / "n001")
    (tree / "n002" / "a").mkdir()
    for name in ("b", "c"):
        (tree / "n002" / "a" / name).symlink_to("..")
    assert list_images(tree).images.equals(before)


@pytest.mark.parametrize("target", ["", "train", "train/n001", "val/n000"])
def test_a_folder_that_is_of_two_classes_or_splits_is_refused(tmp_path: Path, target: str) -> None:
    tree = make_tree(tmp_path / "tree", {"train": 3, "val": 2})
    (tree / "train" / "n000" / "more").symlink_to(tree / target)
    with pytest.raises(FoxnasError, match=r"is the same folder as .*, so that its images have two places; remove one"):
        list_images(tree)


def test_links_to_folders_elsewhere_are_followed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"": 3})
    before = list_images(tree).images
    (tree / "n001").rename(tmp_path / "elsewhere")
    (tree / "n001").symlink_to(tmp_path / "elsewhere")
    assert list_images(tree).images.equals(before)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("train val", "train test"),
        ("Training Testing", "train test"),
        ("Train Valid", "train test"),
        ("TRAIN VAL_IMAGES", "train test"),
        ("training_set test_set", "train test"),
        ("train2017 val2017", "train test"),
        ("images-train images-dev", "train test"),
        ("trainset held-out", "train test"),
        ("train validation test", "train validation test"),
        ("train valid Test", "train validation test"),
    ],
)
def test_folders_with_the_usual_names_are_parts(
    tmp_path: Path, names: str, parts: str, caplog: pytest.LogCaptureFixture
) -> None:
    folders = names.split()
    tree = make_tree(tmp_path, dict.fromkeys(folders, 3))
    with caplog.at_level(logging.INFO):
        listed = list_images(tree)
    assert listed.classes == ["n000", "n001", "n002"]
    for folder, part in zip(folders, parts.split(), strict=True):
        assert set(listed.images["path"][listed.images["part"] == part].str.split("/").str[0]) == {folder}
        assert f"{part} images: 9 in 3 classes of {tree / folder}" in caplog.text
    assert list(dict.fromkeys(listed.images["part"])) == parts.split()


@pytest.mark.parametrize(
    "name", ["training", "x_train", "trainer", "contest", "latest", "value", "invalid", "set", "07"]
)
def test_a_name_that_only_contains_a_parts_name_is_no_part(name: str) -> None:
    assert part_of(name) == ("train" if name == "training" else None)


def test_classes_may_have_the_names_of_parts(tmp_path: Path) -> None:
    """Vehicles, tickets that are valid, a patient's test: folders of images, not of classes."""
    for name in ("car", "train", "valid", "invalid"):
        if name != "valid":
            (tmp_path / "vehicles" / name).mkdir(parents=True)
        if name != "train":
            (tmp_path / "tickets" / name).mkdir(parents=True)
    assert find_parts(tmp_path / "vehicles") == {"train": tmp_path / "vehicles"}
    assert find_parts(tmp_path / "tickets") == {"train": tmp_path / "tickets"}


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ("A/cat A/dog B/cat B/dog", r"A and B both hold cat and dog, .* rename them train, val and test, or write"),
        ("fold1/a fold1/b fold2/b fold2/c fold2/a", r"fold1 and fold2 both hold a and b"),
        ("train/a train/b extra/a extra/b", r"extra: looks like a part .* beside train, .* rename it, or move it out"),
        ("train/a train/b train_aug/c", r"train_aug: looks like a part of the data set"),
        ("seg_train/seg_train/a seg_test/seg_test/a", r"seg_test and seg_train look like parts of a data set"),
        ("train/a train/b training/a training/b", r"train and training are both names of train images"),
        ("train/a train/b val/a val/b valid/a valid/b", r"val and valid are both names of validation images"),
        ("val/a val/b test/a test/b", r"val: has class folders, but .* has no folder train with such"),
        ("learn/a learn/b test/a test/b", r"test: has class folders, but .* has no folder train with such"),
        ("train test", r"train: has no class folders, nor has test; sort the images of both"),
        ("Training/ Testing/ ", r"Training: has no class folders, nor has Testing"),
        ("photos/a photos/b", r"has the one folder photos, which has several; write data.folder: .*photos"),
        ("train/a train/b val/images test/unknown", r"val: has no class folders; sort its images"),
    ],
)
def test_what_looks_like_a_part_but_cannot_be_one_is_refused(tmp_path: Path, folders: str, message: str) -> None:
    for name in folders.split():
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(FoxnasError, match=message):
        list_images(tmp_path)


def test_images_that_nobody_sorted_are_passed_over_beside_others_held_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """ImageNet's test images have no labels: flat, or in one folder for ImageFolder's sake."""
    tree = make_tree(tmp_path, {"train": 3, "val": 2})
    before = list_images(tree).images
    (tree / "Annotations").mkdir()
    for name in ("test", "testing/unknown"):
        (tree / name).mkdir(parents=True)
        shutil.copy(tree / before["path"][0], tree / name / "1.png")
        with caplog.at_level(logging.INFO):
            assert list_images(tree).images.equals(before)
        assert f"passed over {tree / name.split('/')[0]}: it has no class folders" in caplog.text


def test_validation_and_test_images_each_go_where_they_belong(caplog: pytest.LogCaptureFixture) -> None:
    parts, sizes = {"train": 40, "validation": 20, "test": 10}, {"train": 20, "fit": 8, "verify": 6, "test": 5}
    rows, spare = deal(parts, sizes, "held-out", 0)
    assert not caplog.messages
    bounds = {"train": (0, 40), "fit": (40, 60), "verify": (40, 60), "test": (60, 70)}
    for name, (first, end) in bounds.items():
        assert len(rows[name]) == sizes[name]
        assert first <= rows[name].min() <= rows[name].max() < end
        assert first <= spare[name].min() <= spare[name].max() < end
    assert len(set(np.concatenate(list(rows.values())))) == 39
    rows, _ = deal(parts, sizes, "train", 0)
    assert max(rows[name].max() for name in ("train", "fit", "verify")) < 40
    assert rows["test"].min() >= 60
    assert caplog.messages == [
        "the 20 validation images are used by no split; data.evaluate_on: held-out takes fit and verify from them"
    ]
    with pytest.raises(FoxnasError, match=r"fit 18 \+ verify 6 = 24 images, the data set has 20 for validation"):
        deal(parts, {**sizes, "fit": 18}, "held-out", 0)


def test_nothing_held_out_is_no_place_to_evaluate_on() -> None:
    sizes = {"train": 20, "fit": 8, "verify": 6, "test": 5}
    for parts in ({"train": 40}, {"train": 40, "test": 0}):
        with pytest.raises(FoxnasError, match=r"data.evaluate_on is held-out, but .* holds no images out; write train"):
            deal(parts, sizes, "held-out", 0)
