"""What is chosen, judged and compared: winner, verdict, baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.files.arrays import ArraysBySize
from foxnas.files.tables import write_json, write_table
from foxnas.search.goal import MOST_ACCURATE, NO_CAPS, Caps, Goal
from foxnas.search.refinement import moved
from foxnas.space.costs import costs_of
from foxnas.space.pooling import accuracy_and_latency, pool
from foxnas.space.space import SearchSpace
from foxnas.verdict.baselines import compare, paired_difference, random_search
from foxnas.verdict.decision import Decision
from foxnas.verdict.ranking import best_measured, best_under, with_costs
from foxnas.verdict.verification import EXPORTED_COLUMNS, NoneKeeps, choose, judge, measured_costs, measurements


def measured(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["arch", "int8_top1_percent", "latency_ms", "latency_upper_ms"])


def test_the_winner_is_the_best_that_keeps_the_margin() -> None:
    table = measured(("fast", 80, 0.5, 0.6), ("good", 85, 0.9, 0.97), ("tied", 85, 0.8, 0.9), ("late", 90, 0.9, 0.995))
    assert choose(table, 1.0, 1.0)["arch"] == "tied"
    assert choose(table, 1.0, 0.0)["arch"] == "late"
    with pytest.raises(NoneKeeps, match=r"none of the 4 candidates.*the closest, fast, takes up to 0.6 ms") as caught:
        choose(table, 0.5, 1.0)
    assert caught.value.closest["arch"] == "fast"


def test_the_winner_follows_goal_and_caps() -> None:
    table = measured(("fast", 80, 0.5, 0.6), ("good", 85, 0.9, 0.97), ("late", 90, 0.9, 0.995)).assign(
        int8_bytes=[50, 90, 60], parameters=[5, 9, 6]
    )
    assert choose(table, 1.0, 0.0, Goal.fastest(84.0))["arch"] == "good"
    assert choose(table, 1.0, 0.0, Goal.fastest(70.0))["arch"] == "fast"
    assert choose(table, 1.0, 0.0, Goal.weighted(30.0, 1.0))["arch"] == "fast"
    assert choose(table, 1.0, 1.0, caps=Caps(max_int8_bytes=60))["arch"] == "fast"
    assert choose(table, 1.0, 0.0, Goal("python", lambda figures: figures["parameters"]))["arch"] == "good"
    with pytest.raises(NoneKeeps, match=r"of the 2 candidates within the budget none keeps an int8 top-1 of 86%"):
        choose(table, 1.0, 1.0, Goal.fastest(86.0))
    with pytest.raises(NoneKeeps, match=r"none keeps int8_bytes 40"):
        choose(table, 1.0, 1.0, caps=Caps(max_int8_bytes=40))


def test_the_winner_can_be_the_surest_and_a_floor_stays_one_of_top1() -> None:
    table = measured(("fast", 80, 0.5, 0.6), ("lucky", 85, 0.9, 0.97), ("sure", 84, 0.8, 0.9)).assign(
        int8_probability_percent=[82.0, 75.0, 78.0]
    )
    assert choose(table, 1.0, 1.0)["arch"] == "lucky"
    assert choose(table, 1.0, 1.0, by="probability")["arch"] == "fast"
    assert (
        choose(table, 1.0, 1.0, Goal("accuracy-under-latency", MOST_ACCURATE.score, 84.0), by="probability")["arch"]
        == "sure"
    )


def test_the_file_counts_as_it_was_measured() -> None:
    rows = measured(("one", 80, 0.5, 0.6)).assign(id="a", model_bytes=70)
    predicted = pd.DataFrame({"id": ["a"], "parameters": [5], "macs": [6], "activation_bytes": [7], "int8_bytes": [90]})
    (row,) = measured_costs(rows, predicted).to_dict("records")
    assert (row["int8_bytes"], row["parameters"], row["macs"], row["activation_bytes"]) == (70, 5, 6, 7)


def test_the_best_measured_are_ranked_by_the_goal(mini: SearchSpace) -> None:
    archs = [mini.smallest(16), mini.largest(16), mini.smallest(40)]
    table = pd.DataFrame({"arch": [a.text for a in archs], "top1": [60.0, 80.0, 70.0], "latency_ms": [1.0, 3.0, 2.0]})
    table = with_costs(table, mini)
    assert table["parameters"].tolist() == [costs_of(mini, arch).parameters for arch in archs]
    assert best_measured(table, "top1", 3.0, MOST_ACCURATE, NO_CAPS) == archs[1].text
    assert best_measured(table, "top1", 3.0, Goal.fastest(65.0), NO_CAPS) == archs[2].text
    cap = Caps(max_parameters=int(table["parameters"].min()))
    assert best_under(table, "top1", 3.0, 5, caps=cap)["arch"].tolist() == [archs[2].text, archs[0].text]
    with pytest.raises(FoxnasError, match=r"of the 3 measured subnets none is within 0\.5 ms"):
        best_measured(table, "top1", 0.5, MOST_ACCURATE, NO_CAPS)


def test_batches_of_candidates_are_joined_and_an_empty_one_adds_nothing(tmp_path: Path) -> None:
    columns = EXPORTED_COLUMNS
    contents = {"round-1": [("a", "r16_x", "annealing", 80.0, 79.0, 71.5, 100)], "twist": []}
    for batch, rows in contents.items():
        write_table(tmp_path / batch / "exported.csv", pd.DataFrame(rows, columns=columns), {})
        models = {row[0]: {"median_ms": 0.5, "upper_ms": 0.6} for row in rows}
        write_json(tmp_path / batch / "timed.json", {"models": models})
    exported = [tmp_path / batch / "exported.csv" for batch in contents]
    timed = [tmp_path / batch / "timed.json" for batch in contents]
    (row,) = measurements(exported, timed).to_dict("records")
    assert (row["batch"], row["id"], row["latency_ms"], row["latency_upper_ms"]) == ("round-1", "a", 0.5, 0.6)
    write_json(timed[0], {"models": {}})
    with pytest.raises(FoxnasError, match=r"no candidate was timed; delete the files"):
        measurements(exported, timed)


def test_a_frontier_moves_by_its_largest_change_near_the_budget() -> None:
    before = pd.DataFrame({"latency_ms": [0.5, 0.85, 0.95, 2.0], "accuracy": [60.0, 70.0, 75.0, 90.0]})
    assert moved(before, before, 1.0) == 0.0
    # Half way down and beyond the budget nobody looks; a point at 0.95 ms counts from there on.
    assert moved(before, before.assign(accuracy=[1.0, 70.0, 75.0, 99.0]), 1.0) == pytest.approx(59.0)
    assert moved(before, before.assign(accuracy=[60.0, 70.0, 75.3, 99.0]), 1.0) == pytest.approx(0.3)
    assert moved(before, before.assign(latency_ms=[0.5, 0.9, 0.95, 2.0]), 1.0) == pytest.approx(10.0)
    assert moved(before, before.assign(latency_ms=[0.9, 0.9, 0.95, 2.0]), 1.0) == np.inf


def test_the_verdict_says_what_was_decided() -> None:
    latency, accuracy = Decision("kept", 0.9, 1.0), Decision("undecided", 0.5, 1.5, "few images")
    assert judge(1.0, latency, accuracy, 80.0, 79.0) == {
        "latency_kept": True,
        "accuracy_kept": False,
        "slack_percent": 0.0,
        "drop_percent": 1.0,
        "latency_verdict": "kept",
        "latency_lower_ms": 0.9,
        "latency_upper_ms": 1.0,
        "latency_reason": "",
        "accuracy_verdict": "undecided",
        "drop_lower_percent": 0.5,
        "drop_upper_percent": 1.5,
        "accuracy_reason": "few images",
    }
    for state in ("not kept", "undecided"):
        assert not judge(1.0, Decision(state, 0.9, 1.1), accuracy, 80.0, 80.0)["latency_kept"]  # type: ignore[arg-type]


def test_paired_intervals_cover_what_they_say() -> None:
    """Simulation: a 95% interval of a known lead covers it in about 95% of 400 data sets."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        hard = rng.random(2000)
        rivals = np.stack([hard < 0.80 + rng.normal(0, 0.005) for _ in range(10)])
        ours = (hard + rng.normal(0, 0.05, 2000)) < 0.80
        truth = -0.0  # both are right where hard < 0.80, ours with symmetric noise
        found = paired_difference(ours, rivals)
        covered += found.lower / 100 <= truth <= found.upper / 100
    assert 0.92 <= covered / 400 <= 0.98


def test_the_mean_lead_is_of_images_that_all_budgets_share() -> None:
    """Against a bootstrap over images: one that is hard is hard at every budget, so that they are not new evidence."""
    rng = np.random.default_rng(4)
    hard, luck = rng.normal(size=3000), rng.normal(size=(2, 3, 3000))
    ours, theirs = hard + luck[0] < 0.9, 0.2 * hard + luck[1] < 0.8
    correct = {f"{who}{i}": row for who, rows in (("a", ours), ("b", theirs)) for i, row in enumerate(rows)}
    _, average = compare(["a0", "a1", "a2"], ["b0", "b1", "b2"], [["b0", "b1", "b2"]], correct)
    lead = average["best_measured"]
    per_image = 100 * (ours.astype(float) - theirs).mean(axis=0)
    resampled = per_image[rng.integers(3000, size=(4000, 3000))].mean(axis=1)
    assert lead["points"] == pytest.approx(per_image.mean())
    assert (lead["upper"] - lead["lower"]) / (2 * 1.96) == pytest.approx(resampled.std(), rel=0.04)
    apart = np.concatenate(100 * (ours.astype(float) - theirs))
    assert resampled.std() > 1.08 * apart.std() / np.sqrt(len(apart))


def test_a_single_rival_gives_mcnemars_interval() -> None:
    rng = np.random.default_rng(1)
    ours, rival = rng.random(5000) < 0.8, rng.random(5000) < 0.78
    only_ours, only_rival = (ours & ~rival).sum(), (~ours & rival).sum()
    n = len(ours)
    lead = (only_ours - only_rival) / n
    error = np.sqrt(only_ours + only_rival - (only_ours - only_rival) ** 2 / n) / n
    found = paired_difference(ours, rival[None])
    assert found.points == pytest.approx(100 * lead)
    assert found.upper == pytest.approx(100 * (lead + 1.96 * error), rel=1e-3)


def shards(tmp_path: Path, sizes: tuple[int, ...] = (16, 20), count: int = 30) -> tuple[list[Path], list[Path]]:
    rng = np.random.default_rng(0)
    accuracy, latency = [], []
    for size in sizes:
        ids = [f"{size}-{i}" for i in range(count)]
        base = pd.DataFrame({"id": ids, "arch": [f"r{size}_k3e{i}" for i in range(count)]})
        accuracy.append(tmp_path / f"a{size}.csv")
        latency.append(tmp_path / f"l{size}.csv")
        write_table(accuracy[-1], base.assign(top1_percent=rng.normal(80, 1, count)), {})
        times = {"latency_ms": rng.uniform(0.5, 2, count), "usable": [i > 0 for i in range(count)]}
        write_table(latency[-1], base.assign(**times), {})
    return accuracy, latency


def test_measurements_are_pooled_joined_and_flagged_ones_left_out(tmp_path: Path) -> None:
    accuracy, latency = shards(tmp_path)
    assert pool(latency, ["latency_ms"], rows=10).groupby("image_size").size().to_dict() == {16: 10, 20: 10}
    both = accuracy_and_latency(accuracy, latency, "top1_percent")
    assert len(both) == 58
    best = best_under(both, "top1_percent", 1.0, 2)
    assert (best["latency_ms"] <= 1.0).all()
    assert best["top1_percent"].iloc[0] == both[both["latency_ms"] <= 1.0]["top1_percent"].max()
    with pytest.raises(FoxnasError, match=r"subnet 20-0 is in one of the two"):
        accuracy_and_latency(accuracy[:1], latency, "top1_percent")


def test_random_search_is_seeded_and_bounded(tmp_path: Path) -> None:
    both = accuracy_and_latency(*shards(tmp_path), "top1_percent")
    everything = random_search(both, "top1_percent", [1.0, 2.0], len(both), np.random.default_rng(0))
    assert everything == [best_under(both, "top1_percent", ms, 1)["arch"].iloc[0] for ms in (1.0, 2.0)]
    few = [random_search(both, "top1_percent", [2.0], 5, np.random.default_rng(seed))[0] for seed in (0, 0, 1, 2, 3)]
    assert few[0] == few[1]
    assert len(set(few)) > 1
    with pytest.raises(FoxnasError, match=r"found none below 0.1 ms"):
        random_search(both, "top1_percent", [0.1], 5, np.random.default_rng(0))


def test_arrays_are_found_by_size_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "20" / "test-images.npy"
    path.parent.mkdir()
    np.save(path, np.zeros((3, 20, 20, 1), np.uint8))
    assert ArraysBySize([path]).at(20).shape == (3, 20, 20, 1)
    with pytest.raises(FoxnasError, match=r"no images at 24 px were prepared, only at \[20\] px"):
        ArraysBySize([path]).at(24)
    np.save(path, np.zeros((3, 24, 24, 1), np.uint8))
    with pytest.raises(FoxnasError, match=r"test-images.npy: holds uint8 \(3, 24, 24, 1\)"):
        ArraysBySize([path]).at(20)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(FoxnasError, match=r"is missing or damaged"):
        ArraysBySize([path]).at(20)
