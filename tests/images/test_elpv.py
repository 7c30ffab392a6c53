"""The photographs of `elpv-dataset`, laid out as a folder of classes: with a package of the same form."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from foxnas.errors import FoxnasError
from foxnas.images.elpv import lay_out
from foxnas.images.folders import list_images

#: As in the package: four probabilities, columns filled up with blanks.
LABELS = """images/cell0001.png  1.0                 mono
images/cell0002.png  0.0                 poly
images/cell0003.png  0.3333333333333333  mono
images/cell0004.png  0.6666666666666666  poly
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package's folder with four photographs."""
    folder = tmp_path / "package"
    (folder / "images").mkdir(parents=True)
    (folder / "labels.csv").write_text(LABELS)
    for number in range(1, 5):
        Image.new("L", (8, 8), number).save(folder / f"images/cell000{number}.png")
    return folder


def test_photographs_are_sorted_by_their_probability(package: Path, tmp_path: Path) -> None:
    target = tmp_path / "photographs"
    assert lay_out(package, target) == {"defective": 2, "functional": 2}
    assert "Attribution-NonCommercial-ShareAlike 4.0" in (target / "LICENSE").read_text()
    (target / "LICENSE").write_text("mine")
    assert lay_out(package, target) == {"defective": 2, "functional": 2}
    assert (target / "LICENSE").read_text() == "mine", "what a user wrote there stays"
    listed = list_images(target)
    assert listed.classes == ["defective", "functional"]
    assert list(zip(listed.images["path"], listed.images["label"], strict=True)) == [
        ("defective/cell0001.png", 0),
        ("defective/cell0004.png", 0),
        ("functional/cell0002.png", 1),
        ("functional/cell0003.png", 1),
    ]


def test_links_of_an_environment_that_is_gone_are_made_anew(package: Path, tmp_path: Path) -> None:
    target = tmp_path / "photographs"
    lay_out(package, target)
    moved = package.rename(tmp_path / "elsewhere")
    lay_out(moved, target)
    assert Image.open(target / "defective/cell0001.png").size == (8, 8)


@pytest.mark.parametrize(
    "line", ["images/cell0009.png 1.0 mono", "images/cell0001.png often mono", "images/cell0001.png"]
)
def test_a_damaged_table_is_named_with_its_line(package: Path, tmp_path: Path, line: str) -> None:
    (package / "labels.csv").write_text(LABELS + line + "\n")
    with pytest.raises(FoxnasError, match=r"labels\.csv, line 5: .*; install elpv-dataset==.* again"):
        lay_out(package, tmp_path / "photographs")
