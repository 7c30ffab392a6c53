"""The workflow as a user runs it: a real tiny run, the same command again, goals, rounds and what goes wrong."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from foxnas.files.tables import read_json, read_table
from foxnas.int8.reading import read_metadata
from foxnas.int8.serving import Int8Model
from tests.support.configs import written_out
from tests.support.tiny_run import ROOT, TINY, snakemake


def planned(folder: Path, config: Path) -> set[str]:
    """The rules that a dry run would run."""
    text = snakemake(folder, "--dry-run", config=config)
    return set(re.findall(r"^([a-z_]+)\s+\d+\s*$", text, re.MULTILINE)) - {"all", "total"}


def test_a_run_ends_with_a_summary_that_its_files_bear_out(run: Path) -> None:
    """Counted again from tables and from what each job said of itself."""
    terminal = (run / "terminal.txt").read_text()
    said = " ".join(terminal[terminal.index("foxnas: done in") :].split())
    steps = int(re.findall(r"(\d+) of \1 steps \(100%\) done", terminal)[0])
    assert f"{steps - 1} jobs run, 0 reused" in said  # all but the rule that only names the targets
    results = run / "results" / "mini"
    for stage, what in (("accuracy", "subnets evaluated"), ("latency-local", "probes timed on local")):
        rows = sum(len(read_table(path)) for path in results.glob(f"[0-9]*/shards/{stage}/*.csv"))
        assert f" {what} {rows} 0 " in said
    exported = sum(len(read_table(path)) for path in results.glob("search/local/*/*/exported.csv"))
    assert exported
    assert f" candidates exported for local {exported} 0 " in said
    of_stage = (
        r"(?:evaluate_subnets mini/\d+/shards|gather_shards mini/\d+)/accuracy\S*: start-up ([\d.]+) s, work ([\d.]+) s"
    )
    spoken_s = [float(start) + float(work) for start, work in re.findall(of_stage, terminal)]
    assert len(spoken_s) == 4
    told = re.findall(r" accuracy 4 0 (?:(\d+) min )?([\d.]+) s \d+% evaluate_subnets mini ", said)
    assert 60 * int(told[0][0] or 0) + float(told[0][1]) > sum(spoken_s) - 1
    verdict = read_json(results / "deploy" / "local" / "p90" / "validation.json")
    assert f" p90 on local {verdict['budget_ms']:.4g} ms {verdict['latency_median_ms']:.4g} " in said
    assert f" {verdict['int8_top1_percent']:.2f}% " in said
    assert (
        " results/mini/deploy/local/p90/model.tflite page results/report.html summary results/logs/summary.txt" in said
    )


def test_every_line_on_a_shared_terminal_says_its_job(run: Path) -> None:
    """A job's name is of one log alone."""
    names: dict[str, set[Path]] = {}
    for log in (run / "results" / "logs").rglob("*.log"):
        for name in re.findall(r"^\d\d:\d\d:\d\d (\w+ \S+): ", log.read_text(), re.MULTILINE):
            names.setdefault(name, set()).add(log)
    assert len(names) >= 30
    assert {name: logs for name, logs in names.items() if len(logs) > 1} == {}


def test_a_run_ends_with_models_verdicts_and_the_page(run: Path) -> None:
    deployed = run / "results" / "mini" / "deploy" / "local" / "p90"
    verdict = read_json(deployed / "validation.json")
    assert verdict["latency_upper_ms"] >= verdict["latency_median_ms"] > 0
    assert verdict["test_images"] == 1000
    for promise in ("latency", "accuracy"):
        assert verdict[f"{promise}_verdict"] in ("kept", "not kept", "undecided")
        assert verdict[f"{promise}_kept"] == (verdict[f"{promise}_verdict"] == "kept")
        assert bool(verdict[f"{promise}_reason"]) == (verdict[f"{promise}_verdict"] == "undecided")
    assert verdict["reference_baseline_ms"] > 0
    assert len(verdict["reference_medians_ms"]) == len(verdict["session_medians_ms"]) >= 3
    lost, won = verdict["lost_images"], verdict["won_images"]
    assert verdict["drop_percent"] == pytest.approx(100 * (lost - won) / 1000)
    assert verdict["drop_lower_percent"] < verdict["drop_percent"] < verdict["drop_upper_percent"]
    content = (deployed / "model.tflite").read_bytes()
    model = Int8Model(content)
    assert read_metadata(content)["arch"] == verdict["arch"]
    assert model.image_shape[0] == int(verdict["arch"][1:3])
    card = read_json(deployed / "card.json")
    assert card["model"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["accuracy"]["int8_top1_percent"] == verdict["int8_top1_percent"]
    assert "T-shirt/top" in (deployed / "labels.txt").read_text()
    assert compile((deployed / "classify.py").read_text(), "classify.py", "exec")
    page = (run / "results" / "report.html").read_text()
    assert verdict["arch"].split("_")[0][1:] in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_the_tables_are_whole_and_agree(run: Path) -> None:
    results = run / "results" / "mini"
    for size in (16, 24):
        subnets = read_table(results / str(size) / "shards" / "subnets" / "0.csv")
        accuracy = read_table(results / str(size) / "accuracy.csv")
        latency = read_table(results / str(size) / "latency-local.csv")
        assert len(subnets) == 100
        assert list(subnets["id"]) == list(accuracy["id"]) == list(latency["id"])
        assert accuracy["top1_percent"].between(0, 100).all()
        assert (latency["latency_ms"] > 0).all()
        assert (latency["runs"] >= 25).all()
        assert (latency.query("usable")["runs"] >= 50).all()


def test_the_splits_are_disjoint_and_recorded(run: Path) -> None:
    splits = read_json(run / "results" / "data" / "splits.json")["splits"]
    training = [row for name in ("train", "fit", "verify") for row in splits[name]["rows"]]
    assert len(training) == len(set(training)) == 5300
    assert splits["test"]["published"] == "test"


def test_the_same_command_again_has_nothing_to_do(run: Path) -> None:
    assert "Nothing to be done" in snakemake(run)


def test_a_goal_of_ones_own_and_caps_reach_the_winner(run: Path, tmp_path: Path) -> None:
    """Its file is an input: editing it searches again. A missing one is said before anything runs."""
    raw = written_out("tiny")
    raw["search"]["objective"] |= {"kind": "python", "function": "mine:score"}
    raw["search"]["caps"]["max_int8_bytes"] = 10**6
    config = tmp_path / "goal.yaml"
    config.write_text(yaml.safe_dump(raw))
    assert "there is no module 'mine'; looked for mine.py, config/mine.py" in snakemake(
        run, "--dry-run", config=config, check=False
    )
    module = run / "mine.py"
    module.write_text("def score(subnets):\n    return subnets['accuracy'] - 1e-4 * subnets['parameters']\n")
    assert {"search_architectures", "deploy_winner"} <= planned(run, config)
    winner = "results/mini/search/local/p90/winner.json"
    again = " ".join(snakemake(run, winner, config=config).split())
    assert " subnets evaluated 0 200 probes timed on local 0 200 " in again
    decided = read_json(run / winner)
    assert decided["goal"]["function"] == "score"
    keeping = [c for c in decided["candidates"] if c["latency_upper_ms"] <= decided["budget_ms"]]
    best = max(keeping, key=lambda c: c["int8_top1_percent"] - 1e-4 * c["parameters"])
    assert decided["winner"]["parameters"] == best["parameters"]
    certificate = read_json(run / winner.replace("winner", "round-1/certificate"))["certificates"][0]
    assert certificate["gap"] is None
    assert "search_architectures" not in planned(run, config)
    module.write_text("def score(subnets):\n    return -subnets['macs']\n")
    assert {"search_architectures", "deploy_winner"} <= planned(run, config)
    module.unlink()


def test_further_rounds_propose_what_is_new_and_stop_when_the_frontier_settles(run: Path, tmp_path: Path) -> None:
    """A second round fits again and searches again; a third finds the frontier settled and measures nothing."""
    raw = written_out("tiny")
    search = run / "results" / "mini" / "search" / "local" / "p90"
    snakemake(run, "results/mini/search/local/p90/round-1/candidates.csv")  # other tests search for other goals
    first = (search / "round-1" / "candidates.csv").read_bytes()
    for rounds, settled in ((2, 0.0), (3, 1e9)):
        raw["refinement"] = {"rounds": rounds, "settled_points": settled, "twists": 0}
        config = tmp_path / f"{rounds}.yaml"
        config.write_text(yaml.safe_dump(raw))
        snakemake(run, f"results/mini/search/local/p90/round-{rounds}/exported.csv", config=config)
        if rounds == 2:
            second = read_table(search / "round-2" / "candidates.csv")
            assert len(second) > 0
    assert (search / "round-1" / "candidates.csv").read_bytes() == first
    proposed = [read_table(search / f"round-{number}" / "candidates.csv")["id"] for number in (1, 2, 3)]
    assert not set(proposed[0]) & set(second["id"])
    assert len(proposed[2]) == 0
    refit = read_json(search / "round-3" / "refit.json")
    assert refit["settled"]
    assert refit["candidates"] == len(proposed[0]) + len(proposed[1])
    predictor = read_json(search / "round-2" / "predictors" / "16" / "accuracy.json")
    added = sum(text.startswith("r16_") for text in read_table(search / "round-1" / "candidates.csv")["arch"])
    known = read_json(run / "results" / "mini" / "16" / "predictors" / "accuracy.json")
    assert predictor["quality"]["rows"] <= known["quality"]["rows"] + added


def test_a_budget_that_nothing_meets_says_the_fastest(run: Path, tmp_path: Path) -> None:
    raw = written_out("tiny")
    raw["budgets"] = [0.0001]
    config = tmp_path / "impossible.yaml"
    config.write_text(yaml.safe_dump(raw))
    target = "results/mini/search/local/0.0001ms/budget.json"
    text = snakemake(run, target, config=config, check=False)
    fastest = min(
        read_table(run / "results" / "mini" / str(size) / "latency-local.csv").query("usable")["latency_ms"].min()
        for size in (16, 24)
    )
    assert f"is met by no subnet: the fastest measured one takes {fastest:.4g} ms; raise the budget" in text
    assert not (run / target).exists()
    assert "1 job failed; 0 of 1 job done resolve_budget mini local 0.0001ms error: " in " ".join(text.split())


def test_a_damaged_table_is_named_by_its_next_reader(run: Path) -> None:
    path = run / "results" / "mini" / "16" / "accuracy.csv"
    whole = path.read_text()
    path.write_text(whole[:-200])
    predictor = "results/mini/16/predictors/accuracy.json"
    try:
        text = snakemake(run, predictor, "--forcerun", "fit_accuracy", check=False)
    finally:
        path.write_text(whole)
        snakemake(run, predictor)  # a failed job leaves no output, and others ask for it
    assert "results/mini/16/accuracy.csv: was truncated or edited since it was written" in text


def test_snakemakes_own_report_works(run: Path, tmp_path: Path) -> None:
    snakemake(run, "--report", str(tmp_path / "report.html"))
    assert "report.html" in (tmp_path / "report.html").read_text()


def test_a_wrong_key_stops_the_run_with_the_fix(tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text(TINY.read_text().replace("subnets: 100", "subnet: 100"))
    text = snakemake(tmp_path, "--dry-run", config=config, check=False)
    assert "sampling.subnet: unknown key; did you mean subnets?" in text
    assert "is missing" not in text, "what is left out has the library's default"


def test_parsing_imports_nothing_heavy() -> None:
    probe = "import foxnas.flow.params, sys; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", f"import json; {probe}"], capture_output=True, text=True, cwd=ROOT)
    assert not set(json.loads(loaded.stdout)) & {"torch", "tensorflow", "pandas", "statsmodels", "scipy", "matplotlib"}


def test_measurements_run_alone(run: Path) -> None:
    """While this machine is the device, no other job overlaps a measurement: read off the run's own log."""
    log = max((run / ".snakemake" / "log").glob("*.log"), key=lambda p: p.stat().st_size).read_text()
    stamps = re.findall(r"\[(\w{3} \w{3}\s+\d+ [\d:]+ \d{4})\]\n(?:Job (\d+): (Timing)?|Finished jobid: (\d+))", log)
    open_jobs: dict[str, bool] = {}
    for _, started, timing, finished in stamps:
        if started:
            assert not any(open_jobs.values()), "a job started beside a measurement"
            assert not (timing and open_jobs), "a measurement started beside a job"
            open_jobs[started] = bool(timing)
        else:
            open_jobs.pop(finished, None)
    assert pd.Series([t[2] for t in stamps]).eq("Timing").sum() >= 2


def test_a_model_at_work_without_a_pause_is_on_its_card(run: Path, tmp_path: Path) -> None:
    raw = written_out("tiny")
    raw["validation"]["sustained_s"] = 0.3
    config = tmp_path / "sustained.yaml"
    config.write_text(yaml.safe_dump(raw))
    place = "results/mini/deploy/local/p90"
    snakemake(run, f"{place}/card.md", config=config)
    found = read_json(run / place / "sustained.json")
    assert found["summary"]["runs"] > 0
    assert found["windows"][-1]["after_s"] == found["summary"]["seconds"]
    assert read_json(run / place / "card.json")["latency"]["sustained"] == found["summary"]
    assert "| one inference | the first " in (run / place / "card.md").read_text()
