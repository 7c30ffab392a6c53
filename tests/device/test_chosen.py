"""Which probes are timed on a device that is likened to others, and when they are enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from foxnas.device.acceptance import COLUMNS
from foxnas.device.chosen import FIRST, MOST, STEP, not_timed, time_chosen
from foxnas.predictor.mix import FEWEST, NOT_NEEDED
from foxnas.space.arch import Arch
from tests.predictor.test_mix import BASIS, POOL, a_device, mixed_ms


class FakeBoard:
    """Answers at once with what a made-up device takes, but for those that cannot be timed well."""

    def __init__(self, takes_ms: np.ndarray, flagged: Sequence[Arch] = ()) -> None:
        self.asked: list[int] = []
        self._takes_ms = {arch.id: ms for arch, ms in zip(POOL, takes_ms, strict=True)}
        self._flagged = {arch.id for arch in flagged}

    def __call__(self, archs: Sequence[Arch]) -> tuple[pd.DataFrame, dict[str, Any]]:
        self.asked.append(len(archs))
        rows = [
            {"id": a.id, "arch": a.text, "latency_ms": self._takes_ms[a.id], "attempts": 2,
             "usable": a.id not in self._flagged, "reason": "flagged" * (a.id in self._flagged)}
            for a in archs
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(COLUMNS)), {"device": "board"}


def noisy(takes_ms: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    return np.asarray(takes_ms * np.random.default_rng(seed).normal(1, share, len(takes_ms)))


def test_few_probes_do_on_a_device_that_is_a_mix_and_the_others_say_why_they_have_no_latency() -> None:
    board = FakeBoard(noisy(mixed_ms(POOL, {"donor-1": 0.5, "donor-2": 0.5}), 0.005))
    rows, info = time_chosen(BASIS, POOL, 5.0, board)
    assert board.asked == [FIRST]
    assert list(rows["id"]) == [arch.id for arch in POOL]
    timed = {POOL[place].id for place in BASIS.most_telling_first(POOL)[:FIRST]}
    assert set(rows["id"][rows["usable"]]) == timed == set(rows["id"][rows["latency_ms"].notna()])
    assert set(rows["reason"][~rows["usable"]]) == {NOT_NEEDED}
    assert info["device"] == "board"
    assert info["like"]["enough"]
    assert info["like"]["judgements"][-1]["error_percent"] <= 5.0


def test_probes_are_added_until_the_expected_error_is_small_enough() -> None:
    takes_ms = noisy(mixed_ms(POOL, {"donor-1": 0.5, "donor-2": 0.5}), 0.02)
    whole = [
        one["error_percent"] for one in time_chosen(BASIS, POOL, 0.01, FakeBoard(takes_ms))[1]["like"]["judgements"]
    ]
    until = min(whole[:4]) + 1e-9
    board = FakeBoard(takes_ms)
    found = time_chosen(BASIS, POOL, until, board)[1]["like"]
    assert found["enough"]
    assert [one["error_percent"] for one in found["judgements"]] == whole[: whole.index(min(whole[:4])) + 1]
    assert board.asked == [FIRST + STEP * number for number in range(len(found["judgements"]))]


def test_on_a_device_unlike_the_others_every_subnet_is_timed() -> None:
    """Its latencies have nothing to do with the knobs."""
    board = FakeBoard(np.random.default_rng(1).uniform(10, 40, len(POOL)))
    rows, info = time_chosen(BASIS, POOL, 10.0, board)
    assert board.asked == [*range(FIRST, MOST + 1, STEP), len(POOL)]
    assert rows["usable"].all()
    assert not info["like"]["enough"]
    assert info["like"]["judgements"][-1]["error_percent"] > 30


def test_a_device_that_differs_by_a_kind_of_layer_only_needs_more_probes() -> None:
    """No mix of four, but not far from one: that it has knobs at rates of its own shows in the error, not in a lie."""
    truth = a_device(9).predict(POOL).mean
    rows, info = time_chosen(BASIS, POOL, 4.0, FakeBoard(noisy(truth, 0.002)))
    assert info["like"]["judgements"][0]["error_percent"] > 4.0
    assert info["like"]["enough"] == (not rows["usable"].all())


def test_flagged_probes_are_no_part_of_a_mix() -> None:
    takes_ms = noisy(mixed_ms(POOL, {"donor-1": 0.5, "donor-2": 0.5}), 0.005)
    lost = [POOL[place] for place in BASIS.most_telling_first(POOL)[:3]]
    for arch in lost:
        takes_ms[POOL.index(arch)] *= 50
    rows, info = time_chosen(BASIS, POOL, 5.0, FakeBoard(takes_ms, lost))
    assert info["like"]["enough"]
    assert info["like"]["judgements"][0]["usable"] == FIRST - 3
    assert set(rows["id"][rows["reason"] == "flagged"]) == {arch.id for arch in lost}
    # Of an exact mix three would be enough, which no fit takes.
    few = FakeBoard(
        mixed_ms(POOL, {"donor-1": 1.0}), [POOL[n] for n in BASIS.most_telling_first(POOL)[FEWEST - 1 : FIRST]]
    )
    found = time_chosen(BASIS, POOL, 5.0, few)[1]["like"]
    assert found["enough"]
    assert [one["usable"] for one in found["judgements"]] == [FEWEST - 1, FEWEST - 1 + STEP]
    none = FakeBoard(takes_ms, POOL)
    found = time_chosen(BASIS, POOL, 5.0, none)[1]["like"]
    assert not found["enough"]
    assert {one["error_percent"] for one in found["judgements"]} == {None}


def test_rows_of_subnets_that_were_not_needed_are_whole() -> None:
    rows = not_timed(POOL[:2])
    assert list(rows.columns) == list(COLUMNS)
    assert not rows["usable"].any()
    assert rows.drop(columns=["id", "arch", "attempts", "usable", "reason"]).isna().all(axis=None)
