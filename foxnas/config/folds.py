"""Checks of a configuration's folds, across keys."""

from __future__ import annotations

from foxnas.errors import FoxnasError
from foxnas.images.config import DataConfig
from foxnas.search.config import RefinementConfig
from foxnas.supernet.config import SupernetConfig


def check_folds(data: DataConfig, supernet: SupernetConfig, refinement: RefinementConfig) -> None:
    """Raise FoxnasError where the folds contradict what supernets are trained with, or what is evaluated later."""
    folds, train, fit = supernet.folds, data.splits.train, data.splits.fit
    if folds == 1:
        return
    if not supernet.trained:
        raise FoxnasError(
            f"supernet.folds is {folds}, but supernet.source is {supernet.source}: what a checkpoint was trained with "
            "is not known here; write 1"
        )
    if data.evaluate_on == "held-out":
        raise FoxnasError(
            f"supernet.folds is {folds}, but data.evaluate_on is held-out, so that fit images take no part in a "
            "training; write 1, or evaluate_on: train"
        )
    if (folds - 1) * fit > train:
        raise FoxnasError(
            f"supernet.folds is {folds}, so that {folds - 1} x {fit} images of the train split are evaluated in turn, "
            f"but it has {train}; write {1 + train // fit} at most"
        )
    if refinement.rounds > 1:
        raise FoxnasError(
            f"supernet.folds is {folds}, but refinement.rounds is {refinement.rounds}: later rounds evaluate on the "
            "fit split alone, and the two do not mix; write 1 for one of them"
        )
