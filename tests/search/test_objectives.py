"""Goals on predictions and on measurements, against brute force over a whole small space."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.search.capped import solver
from foxnas.search.config import ObjectiveConfig
from foxnas.search.goal import FIGURES, Caps, Goal, Linear, load_goal
from foxnas.search.goals import goal_of, knee_of
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import problem_of, unit_of
from foxnas.search.problem import SearchProblem
from foxnas.search.selection import Selection
from foxnas.search.strategies import annealing, exact
from tests.support.small_problem import everything, figures_of, random_landscape

ARCHS = everything()
FEW = annealing.AnnealingSettings(proposals_per_temperature=25, rounds=2, selection=Selection(3))


def config(kind: str, **given: object) -> ObjectiveConfig:
    return ObjectiveConfig.model_validate(
        {"kind": kind, "accuracy_floor": None, "points_per_budget": None, "function": None, **given}
    )


def brute_force(
    seed: int, quantile: float, costs: dict[str, np.ndarray], caps: Caps
) -> tuple[Landscape, float, dict[str, np.ndarray], np.ndarray]:
    """A landscape, a budget, everybody's figures, and who keeps budget and caps."""
    landscape = random_landscape(seed)
    figures = {**figures_of(ARCHS, landscape), **costs}
    budget_ms = float(np.quantile(figures["latency_ms"], quantile))
    allowed = figures["latency_ms"] <= budget_ms
    for name, limit in caps.limits.items():
        allowed &= costs[name] <= limit
    return landscape, budget_ms, figures, allowed


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [None, 0.4])
def test_every_linear_kind_is_solved_as_brute_force_solves_it(
    costs: dict[str, np.ndarray], seed: int, share: float | None
) -> None:
    caps = Caps(max_parameters=share and int(np.quantile(costs["parameters"], share)))
    landscape, budget_ms, figures, allowed = brute_force(seed, 0.6, costs, caps)
    accuracy, latency_ms = figures["accuracy"], figures["latency_ms"]

    def optimum(settings: ObjectiveConfig) -> tuple[float, SearchProblem]:
        problem = problem_of(landscape, budget_ms, goal_of(settings, landscape, budget_ms, caps, None), caps)
        return solver.best(problem).values[0], problem

    assert optimum(config("accuracy-under-latency"))[0] == pytest.approx(accuracy[allowed].max())
    floor = float(np.quantile(accuracy[allowed], 0.9))
    best, _ = optimum(config("latency-under-accuracy", accuracy_floor=floor))
    assert best == pytest.approx(-latency_ms[allowed & (accuracy >= floor - 1e-12)].min())
    best, _ = optimum(config("weighted", points_per_budget=7.0))
    assert best == pytest.approx((accuracy - 7 * latency_ms / budget_ms)[allowed].max())
    best, problem = optimum(config("knee"))
    # The height above the line between the ends, found without its slope: by the ends themselves.
    first, last = np.flatnonzero(allowed)[[latency_ms[allowed].argmin(), accuracy[allowed].argmax()]]
    line = accuracy[first] + (accuracy[last] - accuracy[first]) * (latency_ms - latency_ms[first]) / (
        latency_ms[last] - latency_ms[first]
    )
    chosen = solver.best(problem).points[0]
    found = np.array(problem.landscape.predict(chosen))
    height = (accuracy - line)[allowed].max()
    at = np.flatnonzero(allowed)[(accuracy - line)[allowed].argmax()]
    assert found == pytest.approx([accuracy[at], latency_ms[at]], abs=1e-6)
    assert height >= 0


def test_without_further_caps_the_frontier_solves_them_too(published: Landscape) -> None:
    for goal in (Goal.most_accurate(), Goal.fastest(72.0), Goal.weighted(4.0, 60.0), knee_of(published, 80.0, Caps())):
        problem = problem_of(published, 80.0, goal, Caps())
        assert problem.monotone
        other = exact.search(problem, Selection(1), np.random.default_rng(0))
        assert other.values[0] == pytest.approx(solver.best(problem).values[0], abs=1e-9)


def test_the_knee_of_the_published_frontier_is_the_point_farthest_above_its_chord(published: Landscape) -> None:
    front = exact.frontier(published)
    span = slice(0, front.index_under(100.0) + 1)
    x, y = front.latency_ms[span], front.accuracy[span]
    height = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
    problem = problem_of(published, 100.0, knee_of(published, 100.0, Caps()), Caps())
    point = solver.best(problem).points[0]
    assert published.predict(point) == pytest.approx((y[height.argmax()], x[height.argmax()]))


def user_file(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(body)
    return path


def test_a_function_of_the_users_own_is_maximised_by_annealing(tmp_path: Path, costs: dict[str, np.ndarray]) -> None:
    # MnasNet's: accuracy times a power of latency over its target, softly capped; and a price on parameters.
    path = user_file(
        tmp_path,
        "def score(subnets):\n"
        "    slow = (subnets['latency_ms'] / 95.0) ** -0.07\n"
        "    return subnets['accuracy'] * slow - 1e-5 * subnets['parameters']\n",
    )
    landscape, budget_ms, figures, allowed = brute_force(5, 0.8, costs, Caps())
    goal = goal_of(config("python", function="mine:score"), landscape, budget_ms, Caps(), path)
    problem = problem_of(landscape, budget_ms, goal, Caps())
    settings = annealing.AnnealingSettings(
        proposals_per_temperature=60, rounds=2, boltzmann=0.01 * unit_of(problem, np.random.default_rng(0))
    )
    result = annealing.search(problem, settings, np.random.default_rng(0))
    values = figures["accuracy"] * (figures["latency_ms"] / 95.0) ** -0.07 - 1e-5 * costs["parameters"]
    assert result.values[0] == pytest.approx(values[allowed].max())
    with pytest.raises(FoxnasError, match="weighted sum"):
        solver.best(problem)


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        ("def score(s): return s['accuracy']\n", "scores", r"no function 'scores'; it has score"),
        ("import nothing_of_the_kind\n", "score", "cannot be imported: ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", "score", "cannot be imported: SystemExit: 3"),
        ("score = 3\n", "score", "no function 'score'"),
    ],
)
def test_an_entry_point_that_is_not_there_is_said(tmp_path: Path, body: str, name: str, message: str) -> None:
    with pytest.raises(FoxnasError, match=message):
        load_goal(user_file(tmp_path, body), name)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FoxnasError, match=r"absent\.py does not exist"):
        load_goal(tmp_path / "absent.py", "score")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda figures: 1.0, "shape"),
        (lambda figures: figures["accuracy"] * np.nan, "not numbers"),
        (lambda figures: figures["top1"], "KeyError: 'top1'"),
        (lambda figures: sys.exit(3), "SystemExit: 3"),
    ],
)
def test_scores_that_are_none_are_refused(
    published: Landscape, function: Callable[[object], object], message: str
) -> None:
    problem = problem_of(published, 80.0, Goal("python", function), Caps())  # type: ignore[arg-type]
    with pytest.raises(FoxnasError, match=message):
        annealing.search(problem, FEW, np.random.default_rng(0))


def test_a_goal_sees_the_same_columns_everywhere(published: Landscape) -> None:
    seen = []

    def score(figures: dict[str, np.ndarray]) -> np.ndarray:
        seen.append(tuple(figures))
        return figures["accuracy"]

    annealing.search(problem_of(published, 80.0, Goal("python", score), Caps()), FEW, np.random.default_rng(0))
    assert set(seen) == {FIGURES}


@pytest.mark.parametrize("kind", ["latency-under-accuracy", "weighted", "knee"])
def test_annealing_serves_every_goal_within_the_proof(published: Landscape, kind: str) -> None:
    goals = {
        "latency-under-accuracy": Goal.fastest(72.0),
        "weighted": Goal.weighted(5.0, 80.0),
        "knee": knee_of(published, 80.0, Caps()),
    }
    problem = problem_of(published, 80.0, goals[kind], Caps(max_parameters=3_000_000))
    unit = unit_of(problem, np.random.default_rng(0))
    result = annealing.search(
        problem, annealing.AnnealingSettings(rounds=2, boltzmann=0.01 * unit), np.random.default_rng(0)
    )
    gap = solver.best(problem).values[0] - result.values[0]
    assert -1e-12 <= gap / unit < 0.2


def test_a_weight_is_in_points_a_budget() -> None:
    assert Goal.weighted(5.0, 20.0).score == Linear(1.0, -0.25)


@pytest.mark.parametrize("alike", [False, True])
def test_a_config_and_the_predictors_files_give_every_job_the_same_goal(tmp_path: Path, alike: bool) -> None:
    seen = random_landscape(3)
    seen = Landscape(seen.space, seen.accuracy, seen.latency, alike=alike)
    files: dict[str, list[Path]] = {"accuracy": [], "latency": []}
    for name, predictors in (("accuracy", seen.accuracy), ("latency", seen.latency)):
        for size, predictor in predictors.items():
            files[name].append(tmp_path / f"{name}-{size}.json")
            predictor.save(files[name][-1], {})
    again = Landscape.load(seen.space, **files, alike=alike)
    budget_ms = float(np.median(figures_of(ARCHS, seen)["latency_ms"]))
    for wanted in (
        config("accuracy-under-latency"), config("latency-under-accuracy", accuracy_floor=75.0), config("knee"),
        config("weighted", points_per_budget=5.0),
    ):  # fmt: skip
        goal = goal_of(wanted, again, budget_ms, Caps(), None)
        assert goal == goal_of(wanted, seen, budget_ms, Caps(), None)
        told = json.loads(json.dumps(goal.to_json()))
        assert told["kind"] == wanted.kind
        assert Linear(**told["weights"]) == goal.score
    file = user_file(tmp_path, "def score(subnets):\n    return subnets['accuracy'] ** 2\n")
    own = goal_of(config("python", function="mine:score"), again, budget_ms, Caps(), file)
    assert own.scores({"accuracy": np.array([3.0])}).tolist() == [9.0]
    assert own.to_json() == {"kind": "python", "weights": None, "accuracy_floor": None, "function": "score"}


def test_a_reserve_raises_the_accuracy_floor() -> None:
    assert Goal.fastest(70.0).with_reserve(10).accuracy_floor == pytest.approx(77.0)
    assert Goal.most_accurate().with_reserve(10) == Goal.most_accurate()


def test_one_point_is_its_own_knee() -> None:
    assert Goal.knee((70.0, 70.0), (5.0, 5.0)).score == Linear(1.0, 0.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "weighted"}, "points_per_budget is null"),
        ({"kind": "latency-under-accuracy"}, "accuracy_floor is null"),
        ({"kind": "python"}, "function is null"),
        ({"kind": "knee", "accuracy_floor": 70.0}, "accuracy_floor is 70"),
        ({"kind": "python", "function": "mine.score"}, "function"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**given)  # type: ignore[arg-type]
