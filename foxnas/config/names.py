"""Names that become parts of paths: none may be another file's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from foxnas.errors import FoxnasError

#: What stands beside the space's folder, under results/.
RESERVED = ("benchmarks", "data", "devices", "edgetpu-cache", "ethos-u-compiler", "logs")


def check_names(space: str, devices: Sequence[str], targets: Sequence[str]) -> None:
    """Raise FoxnasError when the files of two of these would be one; targets are further ones, by name."""
    if space in RESERVED or re.search(r"\.(html|log|tsv|txt|yaml)$", space):
        raise FoxnasError(f"space.name: {space!r} is another file's in results/; give the space another name")
    fits = {"accuracy.json": "the accuracy", "accuracy-fits.json": "the accuracy"}
    named = [(f"devices.{i}.name", f"device {d!r}", f"latency-{d}{end}.json") for i, d in enumerate(devices)
             for end in ("", "-fits")]  # fmt: skip
    named += [(f"predictors.further_targets.{i}.name", f"target {t!r} on {d!r}", f"{t}-{d}-fits.json")
              for i, t in enumerate(targets) for d in devices]  # fmt: skip
    for key, what, file in named:
        if (other := fits.setdefault(file, what)) != what:
            raise FoxnasError(f"{key}: {what} and {other} would both write predictors/{file}; give one another name")
