"""Under which terms a model's images and weights stand, as far as somebody says so. Nothing is guessed.

Nothing heavy is imported: the DAG asks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from foxnas.images.config import DescribedDataConfig
from foxnas.supernet.config import SupernetConfig
from foxnas.supernet.donors import PACKAGES

#: Names of files that hold a licence, in any case of letters, whatever follows a dot.
_FILES = ("licence", "license", "copying")

#: Of a longer file the rest is not read.
_READ_BYTES = 1 << 16

#: A licence's name is looked for in so many letters of its text.
_HEAD = 1000

#: Letters of a line that stands for a text that is not recognised, and of whom it names.
_LONGEST_LINE = 300

#: What a text is recognised by, and what the licence is called: the more special first. Spaces count as one.
_KNOWN = (
    (r"attribution[- ]noncommercial[- ]sharealike (\d\.\d)|\bcc[- ]by[- ]nc[- ]sa[- ](\d\.\d)", "CC BY-NC-SA"),
    (r"attribution[- ]noncommercial[- ]noderivatives (\d\.\d)|\bcc[- ]by[- ]nc[- ]nd[- ](\d\.\d)", "CC BY-NC-ND"),
    (r"attribution[- ]noncommercial (\d\.\d)|\bcc[- ]by[- ]nc[- ](\d\.\d)", "CC BY-NC"),
    (r"attribution[- ]sharealike (\d\.\d)|\bcc[- ]by[- ]sa[- ](\d\.\d)", "CC BY-SA"),
    (r"attribution[- ]noderivatives (\d\.\d)|\bcc[- ]by[- ]nd[- ](\d\.\d)", "CC BY-ND"),
    (r"\battribution (\d\.\d)|\bcc[- ]by[- ](\d\.\d)", "CC BY"),
    (r"cc0 (\d\.\d)", "CC0"),
    (r"apache license,? version (\d\.\d)|apache software license (\d\.\d)", "Apache"),
    (r"gnu (?:lesser |affero )?general public license,? version (\d)", "GNU GPL or one of its family,"),
    (r"\bmit license\b", "MIT"),
)

#: Sets whose authors publish their terms: what their file LICENSE says.
_PUBLISHED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("fashion-mnist", "FashionMNIST"), "MIT, Copyright 2017 Zalando SE")
)

_NON_COMMERCIAL = re.compile(r"\bnon[- ]?commercial\b|\bby[- ]nc\b|\bno commercial use\b", re.IGNORECASE)

#: Who is to be named, in a licence's file; not where a name is still to be filled in.
_CREDIT = re.compile(r"(?:copyright|\u00a9|attribution:)(?!.*[\[<{])", re.IGNORECASE)

Terms = dict[str, Any]
"""What is known: the `licence`, whom it names (`credit`), where that `stands`, and whether it is `non_commercial`."""


def of_images(data: DescribedDataConfig) -> Terms:
    """Return the terms of a data set: what the config says, else a file in its folder, else its authors."""
    if data.licence is not None:
        return _terms(data.licence, "data.licence")
    if data.folder is not None and (file := licence_file(Path(data.folder))):
        return _of_file(file, f"{file.name} in the images' folder")
    if (published := _PUBLISHED.get(data.dataset)) is not None:
        return _terms(published, "the file LICENSE of its authors")
    return unknown()


def of_weights(supernet: SupernetConfig) -> Terms | None:
    """Return the terms of the weights that a supernet was made of; None where they began at random."""
    if supernet.licence is not None:
        return _terms(supernet.licence, "supernet.licence")
    if supernet.source == "train":
        return None
    package = PACKAGES.get(supernet.donor or "") if supernet.source == "pretrained" else None
    return of_package(package.partition("==")[0]) if package else unknown()


def of_package(package: str) -> Terms:
    """Return the terms of an installed package: of its metadata, else of the licence's text that comes with it."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return unknown()
    said = [found.metadata[name] for name in ("License-Expression", "License") if name in found.metadata]
    named = next((one for one in said if one and one.strip().upper() != "UNKNOWN" and "\n" not in one.strip()), None)
    stands = f"the package {package} {found.version}"
    if named is not None:
        return _terms(_one_line(named), stands)
    for file in found.files or ():
        path = Path(str(file.locate()))
        if path.parent.name.endswith((".dist-info", "licenses")) and _is_licence(path.name) and path.is_file():
            return _of_file(path, f"{path.name} of {stands}")
    return unknown()


def unknown() -> Terms:
    """Return the terms that nobody says."""
    return {"licence": None, "credit": None, "stands": None, "non_commercial": False}


def _terms(licence: str, stands: str, text: str = "", credit: str | None = None) -> Terms:
    found = bool(_NON_COMMERCIAL.search(f"{licence} {text}"))
    return {"licence": licence, "credit": credit, "stands": stands, "non_commercial": found}


def licence_file(folder: Path) -> Path | None:
    """Return the file in a folder that holds its licence, the first by name; None where there is none."""
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if _is_licence(entry.name) and entry.is_file())
    except OSError:
        return None
    return folder / found[0] if found else None


def _is_licence(name: str) -> bool:
    return name.partition(".")[0].lower() in _FILES


def _of_file(path: Path, stands: str) -> Terms:
    """Return the terms of a licence's file: it is called by its name, or, where that is not known, by its first line.

    In a text whose name is known, what it says of others' commerce further down is no term of its own (the GPL's is
    not).
    """
    try:
        with path.open("rb") as file:
            text = file.read(_READ_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return unknown()
    lines = [line for line in map(_one_line, text.splitlines()) if line.strip("#=*- ")]
    if not lines:
        return unknown()
    credit = next((line for line in lines if _CREDIT.match(line)), None)
    name = _name_of(text[:_HEAD])
    head = text[:_HEAD] if name else text
    return _terms(name or lines[0][:_LONGEST_LINE], stands, head, credit and credit[:_LONGEST_LINE])


def _name_of(text: str) -> str | None:
    plain = _one_line(text).lower()
    for pattern, name in _KNOWN:
        if found := re.search(pattern, plain):
            return " ".join([name, *filter(None, found.groups())])
    return None


def _one_line(text: str) -> str:
    """Return a text on one line, without what cannot be printed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
