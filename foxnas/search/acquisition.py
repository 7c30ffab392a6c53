"""Which subnets to measure next: those by which the best subnet known is expected to rise most, under all caps at once.

Batch expected improvement by Monte Carlo (Ginsbourger, Le Riche and Carraro, *Kriging is well-suited to parallelize
optimization*, 2010), on draws of the accuracy predictors from their posterior. Each draw is searched exactly, as in
Thompson sampling (1933), so that of 10^22 architectures those compete that some draw holds for the best. A subnet
counts for its prediction and for the variance there alike, and one that tells the same as another before it for little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from foxnas.predictor.model import Predictor
from foxnas.search.capped.solver import Options
from foxnas.search.goal import MOST_ACCURATE, Caps
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import problem_of
from foxnas.search.strategies import exact
from foxnas.space.arch import Arch
from foxnas.space.terms import FloatArray

#: Draws of the predictors. Twice as many change what is expected of a batch by less than a hundredth of a point.
DRAWS = 64


def optima_of(landscape: Landscape, caps_ms: Sequence[float], caps: Caps) -> dict[float, Arch]:
    """Return what is predicted to be best under each latency that a search may be asked for.

    A latency that nothing keeps is left out.
    """
    if caps.limits:
        problem = problem_of(landscape, max(caps_ms), MOST_ACCURATE, caps)
        options = Options(problem)
        proofs = {cap_ms: options.within(cap_ms, -np.inf).best(1) for cap_ms in caps_ms}
        return {cap_ms: problem.landscape.arch(proof.points[0]) for cap_ms, proof in proofs.items() if proof.points}
    front = exact.frontier(landscape)
    places = np.searchsorted(front.latency_ms, caps_ms, side="right") - 1
    return {
        cap_ms: landscape.arch(front.point(place))
        for cap_ms, place in zip(caps_ms, places.tolist(), strict=True)
        if place >= 0
    }


def acquire(
    landscape: Landscape,
    caps_ms: Sequence[float],
    caps: Caps,
    measured: Sequence[Arch],
    count: int,
    rng: np.random.Generator,
) -> list[Arch]:
    """Return at most `count` subnets to measure, none of those `measured`.

    First come the optima of the predictors themselves: what a search would propose is what it promises.
    """
    if caps.limits:  # what they count tells units apart that the predictors do not: once, for all draws
        landscape = replace(landscape, merged=False)
    known = set(measured)
    own = dict.fromkeys(optima_of(landscape, caps_ms, caps).values())
    taken = [arch for arch in own if arch not in known][:count]
    drawn = [drawn_from(landscape.accuracy, rng) for _ in range(DRAWS)]
    found = [arch for one in drawn for arch in optima_of(landscape.with_accuracy(one), caps_ms, caps).values()]
    rivals = [arch for arch in dict.fromkeys(found) if arch not in known and arch not in taken]
    so_far = [*measured, *taken]
    worth = _under_draws(drawn, [*so_far, *rivals])
    latency_ms = predicted(landscape.latency, [*so_far, *rivals])
    keeps = latency_ms <= np.asarray(caps_ms, dtype=float)[:, None]
    lowest = worth.min()
    # By draw, cap and subnet; what does not keep the cap is worth no more than the worst of all.
    values = np.where(keeps, worth[:, None], lowest)
    best, rest = values[..., : len(so_far)].max(axis=2, initial=lowest), values[..., len(so_far) :]
    for _ in range(min(count - len(taken), len(rivals))):
        gain = np.maximum(rest - best[..., None], 0).mean(axis=(0, 1))
        place = int(gain.argmax())
        if gain[place] <= 0:
            break
        taken.append(rivals[place])
        best = np.maximum(best, rest[..., place])
    return taken


def drawn_from(predictors: Mapping[int, Predictor], rng: np.random.Generator) -> dict[int, Predictor]:
    """Return predictors whose coefficients are drawn from the normal posterior of each size's.

    What sizes that were fitted together learned of one another is in each one's covariance; errors are drawn apart.
    """
    return {size: predictor.drawn(rng) for size, predictor in predictors.items()}


def predicted(predictors: Mapping[int, Predictor], archs: Sequence[Arch]) -> FloatArray:
    """Return the prediction of each subnet by its size's predictor."""
    return _under_draws([predictors], archs)[0]


def with_latencies(landscape: Landscape, tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return all that was acquired as one table, with predicted latencies; no table where nothing was."""
    if not sum(map(len, tables)):
        return []
    joined = pd.concat(tables, ignore_index=True)
    archs = [landscape.space.parse(str(text)) for text in joined["arch"]]
    return [joined.assign(latency_ms=predicted(landscape.latency, archs))]


def _under_draws(drawn: Sequence[Mapping[int, Predictor]], archs: Sequence[Arch]) -> FloatArray:
    """Return what each draw of the same predictors says of each subnet: (draws, subnets)."""
    values = np.empty((len(drawn), len(archs)))
    for size, predictor in drawn[0].items():
        rows = [i for i, arch in enumerate(archs) if arch.image_size == size]
        design = predictor.formula.matrix([archs[i] for i in rows])
        for draw, of_draw in zip(values, drawn, strict=True):
            one = of_draw[size]
            draw[rows] = one.link.inverse(one.intercept + design @ np.asarray(one.coefficients))
    return values
