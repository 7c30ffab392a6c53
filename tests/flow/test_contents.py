"""Digests of the user's files: they follow the bytes, also those of an older file, and nothing else."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from foxnas.flow import contents
from foxnas.flow.contents import digests
from foxnas.images.config import EXTENSIONS, DataConfig, SplitsConfig

LONG_AGO = 1_600_000_000


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contents, "_FRESH_NS", -1)  # so that what was written a moment ago is remembered, too


def written(path: Path, text: str) -> Path:
    """A file of long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def copied(old: Path, new: Path) -> None:
    shutil.copy2(old, new)


def moved(old: Path, new: Path) -> None:
    old.replace(new)


def rewritten(old: Path, new: Path) -> None:
    """In its place, with its own time stamp put back."""
    new.write_bytes(old.read_bytes())
    os.utime(new, (LONG_AGO, LONG_AGO))


@pytest.mark.parametrize("replaced", [copied, moved, rewritten])
def test_a_file_replaced_by_an_older_one_of_its_size_is_another_one(
    replaced: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    used = written(tmp_path / "supernet.safetensors", "new")
    photo = written(tmp_path / "photos" / "cat" / "1.PNG", "new")
    before = digests([used]), digests([tmp_path / "photos"], EXTENSIONS)
    assert (digests([used]), digests([tmp_path / "photos"], EXTENSIONS)) == before  # from what is remembered
    for path in (used, photo):
        replaced(written(tmp_path / "older", "old"), path)
    after = digests([used]), digests([tmp_path / "photos"], EXTENSIONS)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_touched_moved_and_hidden_files_change_nothing(tmp_path: Path) -> None:
    """Nor do files of other kinds, other inodes, and the folder's place; a further image does."""
    photo = written(tmp_path / "photos" / "cat" / "1.jpg", "1")
    before = digests([tmp_path / "photos"], EXTENSIONS)
    os.utime(photo, (time.time(), time.time()))
    written(tmp_path / "photos" / ".DS_Store", "x")
    written(tmp_path / "photos" / "cat" / "README.txt", "x")
    assert digests([tmp_path / "photos"], EXTENSIONS) == before
    shutil.copytree(tmp_path / "photos", tmp_path / "elsewhere")
    assert digests([tmp_path / "elsewhere"], EXTENSIONS) == before
    written(tmp_path / "photos" / "cat" / "2.jpg", "1")
    assert digests([tmp_path / "photos"], EXTENSIONS) != before


def test_loops_of_links_end_and_links_are_followed(tmp_path: Path) -> None:
    written(tmp_path / "store" / "1.jpg", "1")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat").symlink_to(tmp_path / "store")
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "photos")
    before = digests([tmp_path / "photos"], EXTENSIONS)
    written(tmp_path / "store" / "1.jpg", "2")
    assert digests([tmp_path / "photos"], EXTENSIONS) != before


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    of_file = contents._of_file
    monkeypatch.setattr(contents, "_of_file", lambda path: read.append(path) or of_file(path))
    used = written(tmp_path / "table.csv", "1")
    assert len({*digests([used]), *digests([used])}) == 1
    assert read == [used]
    Path(".snakemake/foxnas/contents.json").write_text('{"damaged"')
    digests([used])
    assert len(read) == 2


def test_of_many_files_names_count_and_of_large_ones_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        written(tmp_path / "photos" / f"{number}.jpg", "1")
    monkeypatch.setattr(contents, "_of_file", lambda path: pytest.fail(f"reads {path}"))
    monkeypatch.setattr(contents, "READ_BYTES", 3)
    before = digests([tmp_path / "photos"])
    written(tmp_path / "photos" / "0.jpg", "12")
    sized = digests([tmp_path / "photos"])
    assert sized != before
    monkeypatch.setattr(contents, "SIZED_FILES", 3)
    named = digests([tmp_path / "photos"])
    written(tmp_path / "photos" / "0.jpg", "1")
    assert digests([tmp_path / "photos"]) == named
    written(tmp_path / "photos" / "4.jpg", "1")
    assert digests([tmp_path / "photos"]) != named


def test_what_is_not_there_yet_is_said_in_a_word(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert digests([tmp_path / "nowhere", tmp_path / "empty", "\0"]) == ["missing"] * 3


def test_a_folder_of_arrays_is_its_four_files(tmp_path: Path) -> None:
    splits = SplitsConfig(train=1, fit=1, verify=1, test=1)
    data = DataConfig(dataset="arrays", folder=str(tmp_path), splits=splits)
    for name in data.source_files:
        written(tmp_path / name, name)
    before = contents.of_data(data)
    written(tmp_path / "notes.txt", "x")
    assert contents.of_data(data) == before
    written(tmp_path / "train-labels.npy", "others")
    assert contents.of_data(data) != before
    assert contents.of_data(DataConfig(dataset="fashion-mnist", splits=splits)) == {}
