"""What of a folder is listed: which files are images, which folders classes, and which of them split the data set."""

from __future__ import annotations

import shutil
from pathlib import Path

from foxnas.images.folders import list_images
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
