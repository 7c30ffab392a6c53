"""Folds: every image of the pool is evaluated by one supernet at most, which has not trained with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from foxnas.errors import FoxnasError
from foxnas.files.arrays import load_array
from foxnas.files.tables import read_table, write_table
from foxnas.images.config import ViewConfig
from foxnas.images.folds import fold_places, swap_fold
from foxnas.images.labelled import write_rows

TRAIN, FIT = 23, 6


def view(folder: Path | None = None, corrupt: str = "fail") -> ViewConfig:
    return ViewConfig.model_validate(
        {"folder": folder and str(folder), "channels": 3, "centre_share": 1.0, "corrupt_images": corrupt}
    )


def swapped(folder: Path, fold: int, form: str, seen: ViewConfig) -> tuple[tuple[Path, Path], tuple[Path, Path]]:
    """Images and labels of train and of fit, of a fold; of fold 0 as they were dealt."""
    given = [(folder / f"{part}-images.{form}", folder / f"{part}-labels.npy") for part in ("train", "fit")]
    made = [(folder / f"{fold}-{one.name}", folder / f"{fold}-{truth.name}") for one, truth in given]
    swap_fold(fold, seen, *given, *made, processes=1)
    return made[0], made[1]


@pytest.mark.parametrize("form", ["npy", "csv"])
def test_an_image_is_evaluated_once_and_never_trained_with_there(tmp_path: Path, form: str) -> None:
    """Each image has its number for pixels, or for a name, and a label by which it is known."""
    numbers = {"train": np.arange(TRAIN), "fit": TRAIN + np.arange(FIT)}
    for part, chosen in numbers.items():
        write_rows(chosen % 5, np.arange(len(chosen)), tmp_path / f"{part}-labels.npy")
        if form == "npy":
            write_rows(
                chosen[:, None, None, None].astype(np.uint8), np.arange(len(chosen)), tmp_path / f"{part}-images.npy"
            )
        else:
            rows = {"path": [f"{n}.png" for n in chosen], "label": chosen % 5, "bytes": chosen}
            write_table(tmp_path / f"{part}-images.csv", pd.DataFrame(rows), {"split": part})

    def read(images: Path, labels: Path) -> list[int]:
        found = load_array(images)[:, 0, 0, 0].tolist() if form == "npy" else read_table(images)["bytes"].tolist()
        assert (load_array(labels) == np.array(found) % 5).all()
        assert form == "npy" or read_table(images)["path"].tolist() == [f"{n}.png" for n in found]
        return [int(n) for n in found]

    evaluated = [set(numbers["fit"].tolist())]
    for fold in (1, 2, 3):
        train, fit = (read(*part) for part in swapped(tmp_path, fold, form, view()))
        assert sorted(train + fit) == list(range(TRAIN + FIT))
        assert len(fit) == FIT
        # Those that calibrate come first, and stay where they are as long as they may.
        assert train[:5] == list(range(5))
        evaluated.append(set(fit))
    assert sum(map(len, evaluated)) == len(set.union(*evaluated)) == 4 * FIT
    with pytest.raises(
        FoxnasError, match=r"fold 4 needs 24 images of the train split .*, and there are 23; lower supernet"
    ):
        swapped(tmp_path, 4, form, view())


def test_images_that_cannot_be_read_are_not_evaluated(tmp_path: Path) -> None:
    for number in range(8):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{number}.png")
    (tmp_path / "5.png").write_bytes(b"no image")
    for part, chosen in (("train", range(6)), ("fit", range(6, 8))):
        names = [f"{n}.png" for n in chosen]
        rows = {"path": names, "label": 0, "bytes": [(tmp_path / name).stat().st_size for name in names]}
        write_table(tmp_path / f"{part}-images.csv", pd.DataFrame(rows), {})
        write_rows(np.zeros(len(names), int), np.arange(len(names)), tmp_path / f"{part}-labels.npy")
    train, fit = swapped(tmp_path, 1, "csv", view(tmp_path, "skip"))
    assert list(read_table(fit[0])["path"]) == ["3.png", "4.png"]
    assert list(read_table(train[0])["path"]) == ["0.png", "1.png", "2.png", "6.png", "7.png", "5.png"]


def test_places_are_the_last_that_can_be_read() -> None:
    assert fold_places(np.array([0, 2, 3, 5, 7]), 2, 1).tolist() == [5, 7]
    assert fold_places(np.array([0, 2, 3, 5, 7]), 2, 2).tolist() == [2, 3]
