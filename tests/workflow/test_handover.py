"""Real small runs whose promises are not confirmed, whose device changed, and that are to be measured again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, read_table, write_json
from tests.support.configs import written_out
from tests.support.tiny_run import snakemake

SEARCH = Path("results/mini/search/local/p90")
DEPLOY = Path("results/mini/deploy/local/p90")
SHARD = Path("results/mini/16/shards/latency-local")
WAY_OUT = "--forcerun results/mini/search/local/p90/*/timed.json"


@contextmanager
def edited(path: Path, changes: Mapping[str, Any]) -> Iterator[None]:
    """Have other values in a JSON file for a while."""
    before = path.read_bytes()
    write_json(path, read_json(path) | changes)
    try:
        yield
    finally:
        path.write_bytes(before)


def written(folder: Path, name: str, sections: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the tiny config with other values in some of its sections."""
    raw = written_out("tiny")
    for section, values in sections.items():
        raw[section] |= values
    path = folder / name
    path.write_text(yaml.safe_dump(raw))
    return path


def test_where_new_sessions_do_not_confirm_the_best_the_next_is_deployed(run: Path) -> None:
    """The budget is moved between the slowest candidate and the fastest verified one, and the slowest put first."""
    ranking = read_json(run / SEARCH / "ranking.json")
    fast, slow = (
        pick(ranking[rows], key=lambda row: row["latency_ms"]) for pick, rows in ((min, "ranked"), (max, "candidates"))
    )
    assert slow["latency_ms"] > 1.05 * fast["latency_ms"]
    between_ms = (fast["latency_ms"] * slow["latency_ms"]) ** 0.5
    with edited(run / SEARCH / "ranking.json", {"ranked": [slow, fast], "budget_ms": between_ms}):
        text = snakemake(run)
    tried = read_json(run / DEPLOY / "latency.json")["tried"]
    assert [(trial["id"], trial["decision"]["state"]) for trial in tried] == [
        (slow["id"], "not kept"), (fast["id"], "kept"),
    ]  # fmt: skip
    assert f"{slow['arch']}: not kept" in text
    winner, verdict = read_json(run / SEARCH / "winner.json"), read_json(run / DEPLOY / "validation.json")
    assert (winner["winner"]["id"], winner["confirmed"]) == (fast["id"], True)
    assert verdict["arch"] == fast["arch"]
    assert verdict["latency_kept"]
    assert [one["verdict"] for one in verdict["tried"]] == ["not kept", "kept"]
    exported = run / SEARCH / fast["batch"] / "exported" / f"{fast['id']}.tflite"
    assert (run / DEPLOY / "model.tflite").read_bytes() == read_model(exported)
    page = (run / "results" / "report.html").read_text()
    assert "Tried for deployment" in page
    assert slow["arch"] in page[page.index("Tried for deployment") :]


def test_a_verdict_is_measured_again_the_documented_way(run: Path) -> None:
    """What is validated again is no journal's: other sessions, with figures of their own."""
    snakemake(run)
    before = read_json(run / DEPLOY / "latency.json")["tried"]
    snakemake(run, "--forcerun", str(DEPLOY / "latency.json"))
    after = read_json(run / DEPLOY / "latency.json")["tried"]
    assert after[0]["id"] == before[0]["id"]
    assert after[0]["latency"]["session_medians_ms"] != before[0]["latency"]["session_medians_ms"]
    assert "Nothing to be done" in snakemake(run)


def test_one_device_is_measured_again_the_documented_way(run: Path) -> None:
    """The shell's pattern names its shards; what follows from them runs, too."""
    words = sorted(str(path.relative_to(run)) for path in run.glob("results/mini/*/shards/latency-local/*.csv"))
    text = snakemake(run, "--dry-run", "--forcerun", *words)
    for rule in ("time_subnets", "fit_latency", "time_candidates", "confirm_latency", "judge_model", "write_report"):
        assert f"\n{rule} " in text
    assert "\nevaluate_subnets " not in text


def test_a_budget_that_no_model_keeps_ends_the_run_last_and_in_words(run: Path, tmp_path: Path) -> None:
    """No candidate is verified by so large a margin; the page and the closest model are there all the same."""
    unkept = written(
        tmp_path, "fail.yaml", {"verification": {"margin_percent": 90.0}, "validation": {"unkept": "fail"}}
    )
    text = snakemake(run, config=unkept, check=False)
    assert "foxnas: failed, because a promise is not kept" in text
    told = text[text.index("NOT KEPT: ") :]
    assert told.startswith("NOT KEPT: budget p90 on local: no model keeps it: none of the ")
    assert WAY_OUT in told
    assert re.search(r"latency not kept.* results/mini/deploy/local/p90/model\.tflite", text)
    assert "Traceback" not in text
    ranking, verdict = read_json(run / SEARCH / "ranking.json"), read_json(run / DEPLOY / "validation.json")
    assert ranking["ranked"] == []
    assert verdict["arch"] == ranking["closest"]["arch"]
    assert not read_json(run / SEARCH / "winner.json")["confirmed"]
    read_model(run / DEPLOY / "model.tflite")
    assert "No model keeps this budget" in (run / "results" / "report.html").read_text()
    again = snakemake(run, config=unkept, check=False)
    assert "NOT KEPT: budget p90 on local" in again
    assert "0 jobs run" in again, "it fails in the same words, and does nothing else"
    allowed = written(tmp_path, "report.yaml", {"verification": {"margin_percent": 90.0}})
    ended = snakemake(run, config=allowed)
    assert "NOT KEPT: budget p90 on local" in ended
    assert "foxnas: failed" not in ended
    assert "Nothing to be done" in snakemake(run, config=allowed)


def test_a_device_other_than_the_sampled_one_is_refused(run: Path) -> None:
    """Candidates, confirmation: by those who measure; what others measured before, by the ranking that reads it."""
    snakemake(run, str(SEARCH / "winner.json"))
    session = run / SHARD / "0.json"
    identity = read_json(session)["identity"]
    assert identity["kernel"], "a machine tells of its kernel"
    said = f'this device is not the one that its sample was measured on: kernel "6.0.0-old" -> "{identity["kernel"]}"'
    with edited(session, {"identity": identity | {"kernel": "6.0.0-old"}}):
        for rule, made in (("time_candidates", "round-1/timed.json"), ("confirm_latency", None)):
            target = str(SEARCH / made if made else DEPLOY / "latency.json")
            text = snakemake(run, target, "--forcerun", rule, check=False)
            assert said in text
            assert "--forcerun time_subnets" in " ".join(text.split())
    timed = run / SEARCH / "round-1" / "timed.json"
    snakemake(run, str(SEARCH / "round-1" / "timed.json"), str(SEARCH / "winner.json"))
    with edited(timed, {"identity": identity | {"cpu": "another"}}):
        text = snakemake(run, str(SEARCH / "ranking.json"), check=False)
        assert f"what measured {timed.relative_to(run)} is not the one" in text
        assert f"-> {json.dumps('another')}" in text
        assert f"--forcerun {timed.relative_to(run)}" in " ".join(text.split())


def test_forced_means_measured_and_the_summary_counts_what_was(run: Path) -> None:
    table = SHARD / "0.csv"
    before, sessions = read_table(run / table), read_json(run / SHARD / "0.json")["sessions"]
    said = " ".join(snakemake(run, str(table), "--forcerun", str(table)).split())
    after, new = read_table(run / table), read_json(run / SHARD / "0.json")["sessions"]
    assert list(after["id"]) == list(before["id"])
    assert (after["latency_ms"] != before["latency_ms"]).mean() > 0.9
    assert min(one["started"] for one in new) >= max(one["started"] for one in sessions)
    assert " probes timed on local 100 0 " in said
    (run / table).unlink()
    snakemake(run, "--until", "time_subnets")  # what follows from other timings is another test's
    assert (read_table(run / table)["latency_ms"] != after["latency_ms"]).mean() > 0.9
