"""The shape of the DAG: what grows with the sample, with the budgets, and what a job may read of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.configs import written_out
from tests.support.dag import ASKED_FOR, DryRuns, Job

#: One job per shard of 100 subnets and image size; the Edge TPU's two and the others' one per device.
BY_SHARD = {"sample_subnets", "evaluate_subnets", "time_subnets", "compile_probes", "time_compiled"}

#: What a budget adds: a chain of its own, once more for its twists, and nothing else.
BY_BUDGET = {
    "resolve_budget": 1, "search_architectures": 1, "twist_winner": 1, "export_candidates": 2, "time_candidates": 2,
    "rank_candidates": 1, "confirm_latency": 1, "deploy_winner": 1, "validate_accuracy": 1, "validate_on_device": 1,
    "judge_model": 1, "time_sustained": 1, "write_card": 1, "run_strategies": 1, "evaluate_found": 1, "time_found": 1,
}  # fmt: skip
#: Redone for all budgets together when one is added, once a device or once in all.
TOGETHER = {"confirm_together", "compare_baselines", "write_report", "check_promises", "compare_strategies"}

#: Of all devices together.
PAGES = {"write_report", "check_promises", *ASKED_FOR}


@pytest.fixture(scope="module")
def dry_runs() -> Iterator[DryRuns]:
    with DryRuns() as dry_runs:
        yield dry_runs


def scaled(subnets: int, budgets: int = 2) -> dict[str, Any]:
    """The demo at another scale, on a board and on a Coral."""
    config: dict[str, Any] = written_out("config")
    coral = written_out("coral")["devices"][0]
    config["sampling"]["subnets"] = subnets
    config["devices"] = [config["devices"][0] | {"name": "board", "ssh": coral["ssh"] | {"host": "board"}}, coral]
    config["budgets"] = [f"p{10 + i}" for i in range(budgets)]
    return config


def counted(jobs: Iterable[Job]) -> Counter[str]:
    return Counter(job.rule for job in jobs)


def test_only_shards_grow_with_the_sample(dry_runs: DryRuns, tmp_path: Path) -> None:
    few, many = (counted(dry_runs.plan(tmp_path, scaled(subnets)).runs) for subnets in (300, 3000))
    assert {rule for rule in many if many[rule] != few[rule]} == BY_SHARD
    assert all(many[rule] == 10 * few[rule] for rule in BY_SHARD)
    sizes = 7
    assert few["evaluate_subnets"] == few["time_subnets"] == few["time_compiled"] == 3 * sizes
    assert few["sample_subnets"] == 3 * sizes, "shared by all devices"


def test_a_budget_adds_its_own_chain_and_reads_no_other(dry_runs: DryRuns, tmp_path: Path) -> None:
    """In a finished folder, one more budget runs its chain, and what shows budgets side by side."""
    config = scaled(300)
    config["devices"] = config["devices"][:1]
    dry_runs.pretend(tmp_path, config)
    assert dry_runs.plan(tmp_path, config).runs == {}
    config["budgets"].append("p90")
    jobs = dry_runs.plan(tmp_path, config).runs
    assert counted(jobs) == Counter(BY_BUDGET | dict.fromkeys(TOGETHER, 1))
    assert {dict(job.wildcards)["budget"] for job in jobs if job.rule not in TOGETHER} == {"p90"}


def test_a_device_measures_alone_what_all_devices_share_nothing_of(dry_runs: DryRuns, tmp_path: Path) -> None:
    config = scaled(300)
    config["devices"] = config["devices"][:1]
    dry_runs.pretend(tmp_path, config)
    config["devices"].append(config["devices"][0] | {"name": "second"})
    jobs = dry_runs.plan(tmp_path, config).runs
    assert not {job.rule for job in jobs} & {"sample_subnets", "evaluate_subnets", "fit_accuracy", "take_checkpoint"}
    assert {dict(job.wildcards)["device"] for job in jobs if job.rule not in PAGES} == {"second"}
