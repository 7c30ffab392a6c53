"""One session of whole models: their timings with the reference model's between, and what disturbed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from foxnas.device.acceptance import verdict
from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.errors import FoxnasError

_Row = dict[str, Any]


@dataclass(frozen=True)
class ModelSession:
    """What one runner process timed.

    Parameters
    ----------
    timings
        Of each model, those to believe; all of them where too few were calm.
    problems
        What is wrong with a model's timings, of those models where something is.
    references
        The reference model's timings, before, between and after.
    """

    timings: Mapping[str, Sequence[_Row]]
    problems: Mapping[str, str]
    references: Sequence[_Row]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> ModelSession:
        """Return the session that `to_json` told of."""
        return cls(told["timings"], told["problems"], told["references"])

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict."""
        return {"timings": self.timings, "problems": self.problems, "references": self.references}

    @property
    def reference_ms(self) -> float:
        """The median of the references."""
        return _median(self.references, "latency_ms")

    @property
    def board(self) -> str:
        """The board of a rack that made the session; empty elsewhere."""
        return str(self.references[0].get("board", ""))

    def disturbance(self, name: str, protocol: MeasurementProtocol, baseline_ms: float) -> str:
        """Return what disturbed a model's timings, empty if nothing did; see `acceptance.verdict` for the limits.

        The references are judged by their medians, so that one of them may have met a disturbance of its own. A step
        of the clock between the earlier and the later half of them is held to the limit for timings that disagree.
        """
        half = len(self.references) // 2
        parts = [_median(part, "latency_ms") for part in (self.references[:half], self.references[half:])]
        usual = {name: _median(self.references, name) for name in ("latency_ms", "mad_ms", "preempted_percent")}
        told = next((row["throttled"] for row in self.references if row.get("throttled")), None)
        row = {**usual, "runs": min(row["runs"] for row in self.references), "throttled": told}
        problems = [verdict(row, self.reference_ms / baseline_ms - 1, protocol)[0]]
        if abs(step := parts[1] / parts[0] - 1) > protocol.max_disagreement:
            limit = 100 * protocol.max_disagreement
            problems.append(f"the clock stepped: references changed by {100 * step:+.1f}% (limit {limit:g}%)")
        problems.append(self.problems.get(name, ""))
        return "; ".join(filter(None, problems))


def _median(rows: Sequence[_Row], name: str) -> float:
    return median(row[name] for row in rows)


def time_session(
    runner: Runner,
    models: Mapping[str, bytes],
    names: Sequence[str],
    reference: bytes,
    rounds: int,
    rng: np.random.Generator,
    heard: Callable[[int, _Row], None],
) -> ModelSession:
    """Time the models of these names `rounds` times, every round in a new random order, the reference around each.

    Timings whose runs spread too much or were preempted are made again in further rounds, up to
    `protocol.max_attempts`. `heard` learns of each timing, with how many calm ones there were before. Raises
    FoxnasError, naming the model, when one cannot be run.
    """
    calm: dict[str, list[_Row]] = {name: [] for name in names}
    every: dict[str, list[_Row]] = {name: [] for name in names}
    problems: dict[str, str] = {}

    def timed(name: str, content: bytes) -> _Row:
        row = runner.measure(name, content)
        if "error" in row:
            raise FoxnasError(f"{runner.device}: model {name} cannot be run: {row['error']}")
        return row

    references = [timed("reference", reference)]
    for _ in range(max(rounds, runner.protocol.max_attempts)):
        todo = [name for name in names if len(calm[name]) < rounds]
        for name in (todo[i] for i in rng.permutation(len(todo))):
            row = timed(name, models[name])
            heard(sum(map(len, calm.values())), row)
            every[name].append(row)
            if problem := verdict(row, 0.0, runner.protocol)[0]:
                problems[name] = problem
            else:
                calm[name].append(row)
        if todo:
            references.append(timed("reference", reference))
    lacking = [name for name in names if len(calm[name]) < rounds]
    return ModelSession(
        {name: every[name] if name in lacking else calm[name] for name in names},
        {name: problems[name] for name in lacking},
        references,
    )
