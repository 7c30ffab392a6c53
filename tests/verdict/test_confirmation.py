"""Candidates tried in their order until new sessions confirm one; the closest where none is; a sentence per promise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, write_json
from foxnas.verdict.confirmation import Trial, confirm, handed_over
from foxnas.verdict.promises import broken, complete
from tests.support.scripts import script


def tried(row: Mapping[str, Any]) -> Trial:
    """What a row says of itself."""
    return {**row, "decision": {"state": row["state"], "upper": row["upper"], "reason": "as it was made up"}}


def rows(*states: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"arch": f"arch {i}", "state": state, "upper": upper} for i, (state, upper) in enumerate(states)]


def test_the_first_that_new_sessions_confirm_is_deployed_and_no_later_one_is_timed() -> None:
    ranked = rows(("not kept", 1.2), ("undecided", 1.1), ("kept", 0.9), ("kept", 0.5))
    trials = confirm(ranked, tried)
    assert [trial["arch"] for trial in trials] == ["arch 0", "arch 1", "arch 2"]
    assert handed_over(trials)["arch"] == "arch 2"
    assert [trial["arch"] for trial in confirm(ranked[2:], tried)] == ["arch 2"]


def test_without_any_the_closest_is_handed_over_and_one_that_is_open_comes_first() -> None:
    late = rows(("not kept", 1.3), ("not kept", 1.1), ("not kept", 1.2))
    assert handed_over(confirm(late, tried))["arch"] == "arch 1"
    assert handed_over(confirm([*late, *rows(("undecided", 1.4))], tried))["decision"]["state"] == "undecided"


def test_no_more_are_tried_than_allowed() -> None:
    trials = confirm(rows(("not kept", 1.3), ("not kept", 1.1), ("kept", 0.9)), tried, most=2)
    assert [trial["decision"]["state"] for trial in trials] == ["not kept"] * 2


VERDICT = {
    "budget": "p50", "budget_ms": 0.25, "latency_kept": True, "accuracy_kept": True, "latency_verdict": "kept",
    "accuracy_verdict": "kept", "latency_reason": "", "latency_upper_ms": 0.2725, "drop_percent": 0.8,
    "drop_upper_percent": 1.25, "tried": [{}] * 16, "verified_candidates": 16,
}  # fmt: skip
PLACE = Path("results/mini/deploy/pi/p50/validation.json")
#: What 0.1.0 wrote of it.
OLD = {
    "budget": "p50", "budget_ms": 0.25, "arch": "r16_a", "source": "sa-reserve-3", "latency_median_ms": 0.26,
    "latency_upper_ms": 0.2725, "drop_percent": 0.8, "latency_kept": True, "accuracy_kept": True,
}  # fmt: skip


def test_a_promise_that_no_model_keeps_is_said_with_the_way_out() -> None:
    assert broken("pi", VERDICT, PLACE) == []
    (late,) = broken("pi", VERDICT | {"latency_kept": False, "latency_verdict": "not kept"}, PLACE)
    assert late.startswith(
        "budget p50 on pi: no model keeps it (0.25 ms): the closest of 16 tried takes up to 0.2725 ms"
    )
    assert "`--forcerun results/mini/deploy/pi/p50/latency.json`" in late
    assert late.endswith("else raise the budget, or add a larger value to search.reserves_percent")
    (open_,) = broken(
        "pi",
        VERDICT | {"latency_kept": False, "latency_verdict": "undecided", "latency_reason": "it was busy"},
        PLACE,
    )
    assert "undecided whether a model keeps it (0.25 ms)" in open_
    assert "; it was busy: the same command with `--forcerun " in open_
    assert "raise the budget" not in open_
    (none,) = broken(
        "pi",
        VERDICT | {
            "latency_kept": False, "latency_verdict": "not kept", "verified_candidates": 0, "tried": [{}],
            "latency_reason": "none of the 7 candidates keeps the budget",
        },
        PLACE,
    )  # fmt: skip
    assert none.startswith("budget p50 on pi: no model keeps it: none of the 7 candidates keeps the budget. ")
    assert none.endswith("`--forcerun results/mini/search/pi/p50/*/timed.json`")
    (of_0_1_0,) = broken("pi", OLD | {"latency_kept": False}, PLACE)
    assert of_0_1_0.startswith(
        "budget p50 on pi: no model keeps it (0.25 ms): the only one tried takes up to 0.2725 ms"
    )
    (lossy,) = broken("pi", VERDICT | {"accuracy_kept": False, "accuracy_verdict": "undecided"}, PLACE)
    assert "loses 0.80 points of top-1 in int8, up to 1.25 with 95% confidence, which may be more" in lossy


def test_a_verdict_of_0_1_0_reads_as_one_of_today() -> None:
    read = complete(OLD | {"latency_kept": False})
    assert (read["latency_verdict"], read["accuracy_verdict"], read["latency_reason"]) == ("not kept", "kept", "")
    (tried,) = read["tried"]
    assert (tried["arch"], tried["source"], tried["verdict"]) == ("r16_a", "sa-reserve-3", "not kept")
    assert (tried["median_ms"], tried["upper_ms"]) == (0.26, 0.2725)
    assert complete(OLD | VERDICT) == OLD | VERDICT


def test_a_broken_promise_fails_the_run_unless_the_config_lets_it_pass(tmp_path: Path) -> None:
    verdicts = [tmp_path / device / "p50" / "validation.json" for device in ("pi", "local")]
    write_json(verdicts[0], VERDICT)
    write_json(verdicts[1], VERDICT | {"latency_kept": False, "latency_verdict": "not kept"})
    check, promises = script("check_promises"), tmp_path / "promises.json"
    with pytest.raises(FoxnasError, match=r"^budget p50 on local: no model keeps it"):
        check(unkept="fail", verdicts=verdicts, promises=promises)
    assert not promises.exists()
    check(unkept="report", verdicts=verdicts, promises=promises)
    said = read_json(promises)
    assert not said["kept"]
    assert len(said["broken"]) == 1
    check(unkept="fail", verdicts=verdicts[:1], promises=promises)
    assert read_json(promises)["kept"]
