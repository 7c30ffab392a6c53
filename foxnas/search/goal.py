"""What is best, and what is allowed: one definition for predicted subnets and for measured ones.

A search maximises a goal over predictions, and the winner is the best *measured* candidate under the same goal, so both
ask the same object. Figures are columns by name (`FIGURES`), one entry per subnet.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foxnas.errors import FoxnasError
from foxnas.settings.limits import Count, Settings
from foxnas.space.costs import COSTS
from foxnas.space.terms import FloatArray

#: What a goal may look at: the accuracy that the predictors are for, the latency, and the costs.
FIGURES = ("accuracy", "latency_ms", *COSTS)

Figures = Mapping[str, FloatArray]
"""One array for each of `FIGURES`, all of one length."""


@dataclass(frozen=True)
class Caps(Settings):
    """What a subnet may cost besides time; null: any. `foxnas.space.costs` says how it is counted."""

    max_parameters: Count | None = None
    """Weights and biases, batch norms folded."""
    max_macs: Count | None = None
    """Multiply-accumulates of one inference."""
    max_int8_bytes: Count | None = None
    """Size of the .tflite file. Where a device has `max_model_bytes`, the smaller of the two counts."""
    max_activation_bytes: Count | None = None
    """The most int8 activations alive at once; an interpreter's arena is at least so large."""

    @property
    def limits(self) -> dict[str, int]:
        """The caps that there are, by cost."""
        return {name.removeprefix("max_"): limit for name, limit in asdict(self).items() if limit is not None}


#: No caps at all.
NO_CAPS = Caps()


@dataclass(frozen=True)
class Linear:
    """A score of `accuracy` points of accuracy and `latency_ms` points a millisecond (negative: less is better)."""

    accuracy: float
    latency_ms: float

    def __call__(self, figures: Figures) -> FloatArray:
        score: FloatArray = self.accuracy * figures["accuracy"] + self.latency_ms * figures["latency_ms"]
        return score


@dataclass(frozen=True)
class Goal:
    """What to maximise among the subnets that keep the budget and the caps.

    Attributes
    ----------
    kind
        Its name in a config.
    score
        More is better.
    accuracy_floor
        The least accuracy allowed; None: any.
    function
        Name of the user's own function, where that is the score.
    """

    kind: str
    score: Callable[[Figures], FloatArray]
    accuracy_floor: float | None = None
    function: str | None = None

    @classmethod
    def most_accurate(cls) -> Goal:
        """The paper's: the most accurate subnet within the budget."""
        return cls("accuracy-under-latency", Linear(1.0, 0.0))

    @classmethod
    def fastest(cls, accuracy_floor: float) -> Goal:
        """The fastest subnet of at least an accuracy."""
        return cls("latency-under-accuracy", Linear(0.0, -1.0), accuracy_floor)

    @classmethod
    def weighted(cls, points_per_budget: float, budget_ms: float) -> Goal:
        """Accuracy less a price of latency: `points_per_budget` for one that fills the budget."""
        return cls("weighted", Linear(1.0, -points_per_budget / budget_ms))

    @classmethod
    def knee(cls, accuracy: tuple[float, float], latency_ms: tuple[float, float]) -> Goal:
        """Where the frontier bends: farthest above the line between its two ends.

        The ends are the fastest and the most accurate subnet within budget and caps (of equals the faster one). Being
        farthest above a line is a weighted sum, with the line's slope as the price of a millisecond. With one end
        only, that is the knee.
        """
        rise, run = accuracy[1] - accuracy[0], latency_ms[1] - latency_ms[0]
        return cls("knee", Linear(1.0, -rise / run if run > 0 else 0.0))

    @property
    def needs_costs(self) -> bool:
        """Whether the score looks at more than accuracy and latency."""
        return not isinstance(self.score, Linear)

    def with_reserve(self, percent: float) -> Goal:
        """Return the goal with its accuracy floor raised by a share of itself: predictors err."""
        if self.accuracy_floor is None:
            return self
        return replace(self, accuracy_floor=self.accuracy_floor * (1 + percent / 100))

    def scores(self, figures: Figures) -> FloatArray:
        """Return the score of each subnet. Raises FoxnasError when a user's function gives something else."""
        wanted = np.shape(figures["accuracy"])
        try:
            score = np.asarray(self.score(figures), dtype=float)
        except FoxnasError:
            raise
        except (Exception, SystemExit) as error:
            raise FoxnasError(f"search.objective.function: failed with {type(error).__name__}: {error}") from error
        if score.shape != wanted or np.isnan(score).any():
            what = "not numbers" if score.shape == wanted else f"of shape {score.shape}"
            raise FoxnasError(f"search.objective.function: gave scores that are {what}; expected {wanted} numbers")
        return score

    def to_json(self) -> dict[str, Any]:
        """Return what says which goal it was."""
        weights = asdict(self.score) if isinstance(self.score, Linear) else None
        return {
            "kind": self.kind,
            "weights": weights,
            "accuracy_floor": self.accuracy_floor,
            "function": self.function,
        }

    def admits(self, figures: Figures, caps: Caps) -> NDArray[np.bool_]:
        """Return which subnets have the accuracy asked for and keep every cap."""
        kept = np.ones(np.shape(figures["accuracy"]), dtype=bool)
        if self.accuracy_floor is not None:
            kept &= figures["accuracy"] >= self.accuracy_floor
        for name, limit in caps.limits.items():
            kept &= figures[name] <= limit
        return kept


#: The paper's goal.
MOST_ACCURATE = Goal.most_accurate()


def load_goal(path: Path, name: str) -> Goal:
    """Return the goal of a user's own function, `name` in the Python file `path`.

    It is called with `Figures` and returns one score a subnet, more being better; it may be any function of them.
    Modules beside the file can be imported by it. Raises FoxnasError when there is no such file or function.
    """
    key = "search.objective.function"
    if not path.is_file():
        raise FoxnasError(f"{key}: {path} does not exist; give it as module:function, the module a file beside")
    spec = importlib.util.spec_from_file_location(f"foxnas_objective_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise FoxnasError(f"{key}: {path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    function = getattr(module, name, None)
    if not callable(function):
        known = sorted(n for n, value in vars(module).items() if callable(value) and not n.startswith("_"))
        raise FoxnasError(f"{key}: {path} has no function {name!r}" + (f"; it has {', '.join(known)}" if known else ""))
    return Goal("python", function, function=name)
