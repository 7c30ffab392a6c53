"""Early stop: the epoch of a training that scores best on images held out, and when to wait for no better one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from foxnas.supernet.tensors import read_tensors, write_tensors
from foxnas.supernet.training.state import Network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Score:
    """What a network scored on the verify split, in percent, and what else is to be known of that, in words."""

    percent: float
    more: str = ""


class BestEpoch(Generic[Network]):
    """Keeps the best epoch's weights in a file, with the scores of all epochs, so that a training that was cut goes on.

    Parameters
    ----------
    path
        Of a safetensors file.
    score
        Of a network; more is better. Of equal epochs the first is the best.
    patience
        Epochs in a row that may be no better than the best.
    forecast_s
        Returns the seconds that scoring a network will take.
    """

    def __init__(
        self,
        path: Path,
        score: Callable[[Network], Score],
        patience: int,
        forecast_s: Callable[[Network], float] = lambda network: 0.0,
    ) -> None:
        self._path, self._score, self._patience = path, score, patience
        self.forecast_s = forecast_s

    def stops(self, epochs: int, network: Network) -> bool:
        """Return whether a training is to stop after so many epochs, at whose end the network is as given.

        Epochs may be told of again, by a training that was cut and trains them again.
        """
        scores = self.scores()[: epochs - 1] if self._path.exists() else []
        best = max(scores, default=-1.0)
        score = self._score(network)
        scores.append(score.percent)
        is_best = scores[-1] > best
        weights = network.state_dict() if is_best else read_tensors(self._path).tensors
        write_tensors(self._path, {name: one.cpu() for name, one in weights.items()}, {"scores": json.dumps(scores)})
        waited = len(scores) - 1 - scores.index(max(scores))
        more = f" ({score.more})" if score.more else ""
        log.info("epoch %d: %.2f%% on the verify split%s%s", epochs, scores[-1], more, ", the best so far" * is_best)
        if waited >= self._patience:
            log.info("stopped: %d epochs in a row were no better than epoch %d", waited, epochs - waited)
        return waited >= self._patience

    def scores(self) -> list[float]:
        """Return the score of every epoch."""
        found: list[float] = json.loads(read_tensors(self._path).metadata["scores"])
        return found

    def take(self, network: Network) -> None:
        """Give a network the best epoch's weights."""
        network.load_state_dict(dict(read_tensors(self._path).tensors))
