"""The method of FOX-NAS on one page: sample subnets, measure them, fit, search, prove, twist. Runs in seconds.

    python examples/method.py

The supernet and the device are stand-ins here: a subnet's accuracy and latency are what the predictors that the
paper's authors published (examples/published.yaml) say of it, plus noise. So the truth is known, and every step
can be held against it. The workflow does the same with a real supernet, a real device and seven image sizes.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import kendalltau

from foxnas.predictor.fit import fit
from foxnas.predictor.model import Predictor
from foxnas.search.landscape import Landscape
from foxnas.search.problem import SearchProblem
from foxnas.search.strategies import annealing, exact
from foxnas.search.twists import single_moves, worth_trying
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from foxnas.space.terms import formula

SIZE = 192  # px, the image size that the published predictors are of
SUBNETS, UNSEEN = 300, 1000
BUDGETS_MS = (45.0, 65.0, 90.0)

#: The unit of each target, and the standard deviation of the noise of one measurement.
UNITS = {"accuracy": "%", "latency": "ms"}
NOISE = {"accuracy": 0.2, "latency": 0.5}


def published(target: str, space: SearchSpace) -> Predictor:
    """Return the authors' predictor of "accuracy" or "latency": an intercept and 40 or 35 coefficients."""
    numbers = yaml.safe_load((Path(__file__).parent / "published.yaml").read_text())[target]
    terms = formula(target, space)
    coefficients = [number for kind in terms.kinds for number in numbers[kind]]
    return Predictor.published(target, UNITS[target], SIZE, terms, numbers["intercept"], coefficients)


def fitted(truth: Predictor, space: SearchSpace, subnets: list[Arch], rng: np.random.Generator) -> Predictor:
    """Measure the subnets, fit the paper's regression to the measurements, and print how good it is.

    An accuracy and a latency regression have the same shape: a sum over units, on 40 and 35 terms that a person
    can read, such as a unit's depth D or the mean expansion ratio of its layers.
    """
    name = truth.target
    learned, unseen = subnets[:SUBNETS], subnets[SUBNETS:]
    measured = truth.predict(learned).mean + rng.normal(0, NOISE[name], SUBNETS)
    model = fit(name, space, SIZE, learned, measured, target=name, unit=UNITS[name])
    assert model.quality is not None
    assert model.statistics is not None
    assert model.uncertainty is not None
    half = model.uncertainty.t_95 * np.array(model.statistics.standard_error)
    covered = np.abs(np.subtract(model.coefficients, truth.coefficients)) <= half
    new = truth.predict(unseen).mean
    error = model.predict(unseen).mean - new
    print(
        f"  {name:8}  adjusted R2 {model.quality.adjusted_r2:.3f}; {covered.sum()} of {len(covered)} true coefficients "
        f"in their 95% intervals;\n            on {UNSEEN:,} unseen subnets: R2 {1 - error.var() / new.var():.3f}, "
        f"Kendall's tau {kendalltau(model.predict(unseen).mean, new).statistic:.3f}"
    )
    return model


def main() -> None:
    """Go through the method, one printed paragraph per step."""
    rng = np.random.default_rng(0)
    space = read_space("cpu")
    truth = {target: published(target, space) for target in UNITS}

    print(f"1. Sample. The space has {space.count():.2g} subnets over seven image sizes; take {SUBNETS} at {SIZE} px.")
    subnets = list(islice(space.sample(SIZE, rng), SUBNETS + UNSEEN))
    print("   The first one, unit by unit, each layer with its kernel size (k) and expansion ratio (e):")
    print(f"   {subnets[0].text}\n")

    print(f"2. Measure and fit. Noise: {NOISE['accuracy']} points of top-1 and {NOISE['latency']} ms.")
    accuracy, latency = (fitted(truth[target], space, subnets, rng) for target in UNITS)

    # Every subnet's prediction is a sum over its units, so the table of all units holds all predictions.
    landscape = Landscape(space, {SIZE: accuracy}, {SIZE: latency})
    front = exact.frontier(landscape)
    of_truth = exact.frontier(Landscape(space, {SIZE: truth["accuracy"]}, {SIZE: truth["latency"]}))
    print(f"\n3. Search. The exact frontier has {len(front)} points, from {front.latency_ms[0]:.1f} ms up.")
    print("                    annealing found        proven     it truly has           the best there is")
    print("   budget        top-1    latency   gap, points      top-1    latency           top-1")
    found = {}
    for budget in BUDGETS_MS:
        result = annealing.search(SearchProblem(landscape, budget), annealing.AnnealingSettings(), rng)
        best = found[budget] = result.best
        gap = front.best_under(budget).accuracy - best.accuracy
        really = [truth[target].predict([best.arch]).mean[0] for target in UNITS]
        print(
            f"   {budget:4.0f} ms  {best.accuracy:10.2f}% {best.latency_ms:7.2f} ms {gap:13.4f} "
            f"{really[0]:9.2f}% {really[1]:7.2f} ms {of_truth.best_under(budget).accuracy:14.2f}%"
        )
    print("   The gap is proven for the fitted predictors, not for the truth: a search prefers subnets that a fit")
    print("   flatters. So the workflow searches with a reserve, and measures a candidate before it believes it.")

    budget, slack_ms = 65.0, 5.0
    base = found[budget].arch
    moves = single_moves(space, base, {SIZE: accuracy}, {SIZE: latency})
    print(
        f"\n4. Twist. With {slack_ms:.0f} ms to spare, one change of one knob of the {budget:.0f} ms subnet gains most:"
    )
    for move in worth_trying(moves, slack_ms, 3):
        change = move.accuracy
        print(
            f"   {move.text:36}{change.value:+.2f} points ({change.lower:+.2f} to {change.upper:+.2f}) "
            f"for {move.latency.value:+.2f} ms"
        )


if __name__ == "__main__":
    main()
