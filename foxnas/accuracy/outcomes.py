"""Results of the accuracy stage: target columns, and every subnet's outcome per image."""

from __future__ import annotations

import base64
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.files.tables import MAKE_ANEW, replacing

#: What an accuracy predictor may be fitted to, and its column in accuracy.csv.
TARGETS = {"top1": "top1_percent", "probability": "correct_probability_percent"}

#: What every accuracy is recorded with: the images it is a mean over, what it took, and what computed it in which
#: precision. Only `seconds` differs between two evaluations of the same subnet.
CIRCUMSTANCES = ["images", "seconds", "device", "precision"]

#: Of accuracy.csv.
COLUMNS = ["id", "arch", *TARGETS.values(), *CIRCUMSTANCES]

#: Near the end of a shard's log, a line per session that evaluated some of it; the summary of a run reads them.
EVALUATED = "%d subnets evaluated in the session of %s"

#: What reading a damaged .npz file raises; every array in it has a checksum.
_DAMAGED = (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Outcome:
    """What one subnet scored.

    Parameters
    ----------
    images, seconds, device, precision
        See `CIRCUMSTANCES`.
    correct
        Which images it got right, as packed bits.
    probability_folds
        float32 (folds,), the mean probability of the correct class on parts of the images.
    """

    top1_percent: float
    correct_probability_percent: float
    images: int
    seconds: float
    device: str
    precision: str
    correct: np.ndarray
    probability_folds: np.ndarray

    def row(self) -> dict[str, float | str]:
        """Return what accuracy.csv says of it."""
        return {name: getattr(self, name) for name in (*TARGETS.values(), *CIRCUMSTANCES)}

    def to_record(self) -> dict[str, Any]:
        """Return plain values for a journal; `from_record` restores the same outcome from them, bit for bit."""
        return {
            **self.row(),
            "correct": base64.b64encode(self.correct.tobytes()).decode(),
            # Bytes too: of fewer images than there are folds, some are no numbers.
            "probability_folds": base64.b64encode(self.probability_folds.tobytes()).decode(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Outcome:
        """Return the outcome that `to_record` described."""
        return cls(
            **{name: record[name] for name in (*TARGETS.values(), *CIRCUMSTANCES)},
            correct=np.frombuffer(base64.b64decode(record["correct"]), np.uint8),
            probability_folds=np.frombuffer(base64.b64decode(record["probability_folds"]), np.float32),
        )


def write_outcomes(path: Path, ids: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    """Write which images each subnet got right, and its folds. There may be no subnet at all."""
    with replacing(path) as temporary:
        np.savez(
            temporary,
            id=np.array(ids, dtype=str),
            correct=np.stack([one.correct for one in outcomes]) if outcomes else np.empty((0, 0), np.uint8),
            probability_folds=np.stack([o.probability_folds for o in outcomes]) if outcomes else np.empty((0, 0)),
        )


def read_outcomes(shards: Sequence[Path], ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Return, by target, what each subnet of `ids` scored on parts of the images.

    "top1" is (subnets, images), right or wrong; "probability" is (subnets, folds), the mean probability
    of the correct class on each fold of the images. Raises FoxnasError when a shard lacks a subnet.
    """
    found: dict[str, dict[str, np.ndarray]] = {target: {} for target in TARGETS}
    for path in shards:
        try:
            with np.load(path) as shard:
                right = np.unpackbits(shard["correct"], axis=1)
                for i, name in enumerate(shard["id"]):
                    found["top1"][str(name)] = right[i]
                    found["probability"][str(name)] = shard["probability_folds"][i]
        except _DAMAGED as error:
            raise FoxnasError(f"{path}: was truncated or edited since it was written ({error}); {MAKE_ANEW}") from error
    if missing := [name for name in ids if name not in found["top1"]]:
        raise FoxnasError(f"{shards[0].parent}: no outcomes of subnet {missing[0]}; delete that folder and run again")
    return {target: np.stack([values[name] for name in ids]) for target, values in found.items()}
