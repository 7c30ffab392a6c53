"""What of a folder is listed: which files are images, which folders classes, and which of them split the data set."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from foxnas.errors import FoxnasError
from foxnas.images.decoding import decode_files, unreadable
from foxnas.images.folders import files_of, list_images
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
