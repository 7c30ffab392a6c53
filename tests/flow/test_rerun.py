"""Commands that messages print, typed in a folder as folders get: with another space, and what a config dropped."""

from __future__ import annotations

import inspect
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.files.identity import require_same
from foxnas.files.rerun import rerun
from foxnas.files.tables import write_json, write_table
from foxnas.verdict.promises import broken
from tests.support.scripts import main_of
from tests.support.tiny_run import snakemake

PLACE = Path("results/mini/deploy/local/p90/validation.json")
LATE = {
    "budget": "p90", "budget_ms": 0.25, "arch": "r16_a", "source": "sa", "latency_median_ms": 0.3,
    "latency_upper_ms": 0.31, "drop_percent": 0.0, "latency_kept": False, "accuracy_kept": True,
}  # fmt: skip
#: Also of another space, of an image size that the config has no more; the verdict's latency was deleted.
FILES = [
    *(f"results/{space}/16/shards/latency-local/0.csv" for space in ("mini", "other")),
    "results/mini/40/shards/latency-local/0.csv",
    "results/other/deploy/local/p90/latency.json",
    *(f"results/{space}/search/local/p90/{batch}/timed.json" for space in ("mini", "other")
      for batch in ("round-1", "twist")),
]  # fmt: skip


def another_device() -> str:
    with pytest.raises(FoxnasError) as refused:
        require_same("local", [{"cpu": "old"}], {"cpu": "new"})
    return str(refused.value)


@pytest.mark.parametrize(
    ("message", "forced"),
    [
        (lambda: broken("local", LATE, PLACE)[0], {"confirm_latency"}),
        (lambda: broken("local", LATE | {"verified_candidates": 0}, PLACE)[0], {"time_candidates"}),
        (another_device, {"time_subnets"}),
    ],
    ids=["late", "none verified", "another device"],
)
def test_a_printed_command_runs_what_it_says(tmp_path: Path, message: Callable[[], str], forced: set[str]) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (words,) = re.findall(r"`(--forcerun .*?)`", message())
    typed = subprocess.run(["bash", "-c", f"printf '%s\\n' {words}"], cwd=tmp_path, capture_output=True, text=True)
    text = snakemake(tmp_path, "--dry-run", *typed.stdout.split())
    assert forced <= set(re.findall(r"^(\w+) +\d+$", text, re.MULTILINE))


def test_files_are_named_as_one_types_them() -> None:
    assert rerun(Path("nas/results/mini/a.json"), "b") == (
        "the same command with `--forcerun nas/results/mini/a.json b`"
    )
    copy = Path(".snakemake/storage/s3/lab/nas/results/mini/a.json")
    assert rerun(copy) == "the same command with `--forcerun results/mini/a.json`"


def test_candidates_that_another_device_timed_are_to_be_timed_again(tmp_path: Path) -> None:
    """The sample was measured again, say, or a kernel was new for a while: the sample is not the odd one out."""
    sampled, timed = tmp_path / "latency-pi.csv", tmp_path / "round-1" / "timed.json"
    write_table(sampled, pd.DataFrame({"id": []}), {"identity": {"kernel": "6.1"}})
    write_json(timed, {"identity": {"kernel": "6.8"}})
    files = dict.fromkeys(("space", "objective", "alike_layers", "verification", "caps", "budget", "table", "ranking"))
    with pytest.raises(FoxnasError) as refused:
        main_of("rank_candidates")(
            **files, made_by={}, device="pi", sampled=[sampled], latencies=[timed],
            candidates=[], exported=[], accuracy=[], latency=[],
        )  # fmt: skip
    assert str(refused.value) == (
        f'device pi: what measured {timed} is not the one that its sample was measured on: kernel "6.1" -> "6.8". '
        f"Time these candidates again on that one: the same command with `--forcerun {timed}`"
    )


@pytest.mark.parametrize("script", ["compare_baselines", "compare_strategies"])
def test_what_is_compared_was_measured_on_one_device(tmp_path: Path, script: str) -> None:
    """Further subnets of the baselines and what the strategies found may be timed much later than the sample."""
    sampled, later = tmp_path / "latency-pi.csv", tmp_path / "later.csv"
    for path, kernel in ((sampled, "6.1"), (later, "6.8")):
        write_table(path, pd.DataFrame({"id": []}), {"identity": {"kernel": kernel}})
    main = main_of(script)
    needed = [name for name, one in inspect.signature(main).parameters.items() if one.default is one.empty]
    given: dict[str, Any] = {
        "compare_baselines": {"latency_tables": [sampled, later], "threads": 1, "comparison": tmp_path / "pi.json"},
        "compare_strategies": {
            "devices": ["pi"], "accuracy": [sampled], "latency": [sampled], "found_latency": [later],
            **{name: [later] for name in ("budgets", "traces", "found", "found_accuracy")},
        },
    }[script]  # fmt: skip
    with pytest.raises(FoxnasError) as refused:
        main(**{**dict.fromkeys(needed), **given})
    assert str(refused.value).startswith(
        f'device pi: what measured {later} is not the one that its sample was measured on: kernel "6.1" -> "6.8". '
    )
