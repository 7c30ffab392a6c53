"""What a run says when it ends: counted again from the files, and right where nothing is known."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from foxnas.accuracy.outcomes import EVALUATED
from foxnas.files.journal import as_text
from foxnas.files.tables import write_json, write_table
from foxnas.flow.snakemake_private import Job
from foxnas.flow.summary import command_line, failure, last_words, measured, summary, time_by_stage
from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[2]
VERDICT = {
    "budget_ms": 2.0, "latency_median_ms": 1.8, "latency_upper_ms": 1.95, "int8_top1_percent": 71.25,
    "latency_kept": True, "accuracy_kept": True, "latency_verdict": "kept", "accuracy_verdict": "kept",
    "latency_reason": "", "tried": [{}, {}], "verified_candidates": 2,
    "budget": "p25", "drop_percent": 0.9, "drop_upper_percent": 1.5, "mean_class_percent": 68.5,
    "worst_class": {"label": "shirt", "images": 80, "recall_percent": 40.0},
}  # fmt: skip


def shard(folder: Path, number: int, made: bool, seconds: float | None = 10.0) -> list[Job]:
    """One shard of subnets, evaluated and timed on a Pi."""
    session = folder / f"{number}.json"
    sessions = [
        {"started": "2026-01-01T10:00:00+00:00", "timings": 61, "probes": 20},
        {"started": "2026-01-02T10:00:00+00:00", "timings": 150, "probes": 80},
    ]
    write_json(session, {"flagged": 3, "sessions": sessions})
    place = {"space": "mini", "size": "16", "shard": str(number)}
    return [
        Job("evaluate_subnets", "accuracy", made, place, {}, None, seconds),
        Job("time_subnets", "latency", made, {**place, "device": "pi4"}, {"session": str(session)}, None, seconds),
    ]


def deployed(folder: Path, device: str, budget: str, **differing: object) -> list[Job]:
    verdict = folder / "mini" / "deploy" / device / budget / "validation.json"
    write_json(verdict, VERDICT | differing)
    place = {"device": device, "budget": budget}
    return [
        Job("deploy_winner", "export", True, place, {"model": f"deploy/{device}/{budget}/model.tflite"}, None, 1.0),
        Job("judge_model", "validation", True, place, {"validation": str(verdict)}, None, 1.0),
    ]


def lines_with(text: str, word: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if word in line]


def test_shards_count_by_device_and_what_an_interruption_left_is_named(tmp_path: Path) -> None:
    jobs = [*shard(tmp_path, 0, made=False), *shard(tmp_path, 1, made=True), *shard(tmp_path, 2, made=True)]
    accuracy, latency = measured(jobs, began="2026-01-02T09:00:00+00:00")
    assert (accuracy.what, accuracy.made, accuracy.reused, accuracy.note) == ("subnets evaluated", 200, 100, "")
    assert (latency.what, latency.made, latency.reused) == ("probes timed on pi4", 160, 140)
    assert latency.note == "6 flagged, 122 timings kept from before an interruption"


def test_subnets_that_an_interrupted_job_evaluated_count_as_reused(tmp_path: Path) -> None:
    """By the log that the script itself writes, of three sessions, the last two in this run: a job that is retried."""
    log = tmp_path / "0.log"
    evaluated = (12, "2026-01-01T10:00:00+00:00"), (40, "2026-01-02T09:00:00+00:00"), (48, "2026-01-02T10:00:00+00:00")
    log.write_text("".join(f"10:00:00 evaluate_subnets 0: {EVALUATED % one}\n" for one in evaluated))
    jobs = [Job("evaluate_subnets", "accuracy", made, {}, {}, str(log)) for made in (True, False)]
    (counted,) = measured(jobs, began="2026-01-02T09:00:00+00:00")
    assert (counted.made, counted.reused) == (88, 112)
    log.unlink()
    (counted,) = measured(jobs, began="2026-01-02T09:00:00+00:00")
    assert (counted.made, counted.reused) == (100, 100)


def test_a_run_that_begins_in_the_second_of_an_interrupted_session_counts_that_as_reused(tmp_path: Path) -> None:
    began = datetime(2026, 1, 2, 9, 0, 0, 884_815, tzinfo=UTC)
    log = tmp_path / "0.log"
    job = Job("evaluate_subnets", "accuracy", True, {}, {}, str(log))
    for session, before in ((began - timedelta(seconds=0.5), 8), (began, 0), (began + timedelta(seconds=0.1), 0)):
        log.write_text(EVALUATED % (8, as_text(session)))
        (counted,) = measured([job], as_text(began))
        assert (counted.made, counted.reused) == (100 - before, before)
    # Journals of older versions have whole seconds.
    log.write_text(EVALUATED % (8, "2026-01-02T09:00:00+00:00"))
    (counted,) = measured([job], as_text(began))
    assert counted.reused == 8


def test_candidates_count_by_the_rows_of_their_tables(tmp_path: Path) -> None:
    table = tmp_path / "exported.csv"
    write_table(table, pd.DataFrame({"id": ["a", "b", "c"]}), {})
    where = {"device": "pi4", "budget": "p50"}
    jobs = [
        Job("export_candidates", "export", True, where, {"table": str(table)}),
        Job("export_candidates", "export", False, where, {"table": str(table)}),
        Job("export_candidates", "export", True, where, {"table": str(tmp_path / "went into a storage.csv")}),
    ]
    (counted,) = measured(jobs)
    assert (counted.what, counted.made, counted.reused) == ("candidates exported for pi4", 3, 3)
    log = tmp_path / "acquired.log"
    log.write_text(f"10:00:00 evaluate_subnets 0: {EVALUATED % (2, '2026-01-01T10:00:00+00:00')}\n")
    acquired = Job("evaluate_acquired", "acquisition", True, {"device": "pi4"}, {"table": str(table)}, str(log))
    (counted,) = measured([acquired], began="2026-01-02T09:00:00+00:00")
    assert (counted.what, counted.made, counted.reused) == ("subnets acquired for pi4", 1, 2)


def test_time_adds_up_by_stage_and_names_the_longest_job(tmp_path: Path) -> None:
    jobs = [*shard(tmp_path, 0, made=True, seconds=30.0), *shard(tmp_path, 1, made=True, seconds=90.0)]
    jobs += [
        Job("write_report", "report", made=True, output={"page": "report.html"}),
        Job("fit", "predictors", made=False),
    ]
    accuracy, latency, report, predictors = time_by_stage(jobs)
    assert (accuracy.seconds, accuracy.made, accuracy.reused) == (latency.seconds, 2, 0) == (120.0, 2, 0)
    assert str(accuracy.longest) == "evaluate_subnets mini 16 1"
    assert (report.longest, report.seconds, predictors.reused) == (None, 0.0, 1)
    text = summary(jobs, 125.0)
    assert lines_with(text, "evaluate_subnets") == ["accuracy 2 0 2 min 0 s 50% evaluate_subnets mini 16 1, 1 min 30 s"]
    assert lines_with(text, "report ") == ["report 1 0 - -"]
    assert lines_with(text, "all ") == ["all 5 1 4 min 0 s"]


def test_models_stand_with_promise_measurement_and_verdict(tmp_path: Path) -> None:
    kept, broken = (
        deployed(tmp_path, "pi4", "2ms"),
        (deployed(tmp_path, "pi4", "p25", latency_kept=False, latency_verdict="not kept")),
    )
    text = summary([*kept, *broken, Job("write_report", "report", True, {}, {"page": "results/report.html"})], 60.0)
    assert lines_with(text, "2ms on pi4") == [
        "2ms on pi4 2 ms 1.8 (1.95) ms 71.25% 68.50% 40.00% shirt kept deploy/pi4/2ms/model.tflite"
    ]
    assert "latency not kept" in lines_with(text, "p25 on pi4")[0]
    assert text.index("p25 on pi4") < text.index("2ms on pi4")
    page, last = text.split("\n\n")[-2:]
    assert page.endswith("page     results/report.html")
    assert last.startswith(
        "NOT KEPT: budget p25 on pi4: no model keeps it (2 ms): the closest of 2 tried takes up to 1.95 ms"
    )
    assert f"--forcerun {tmp_path}/mini/deploy/pi4/p25/latency.json" in last
    few = summary([*kept, *broken], 60.0, at_most=1)
    assert "2ms on pi4" not in few
    assert "... and 1 more" in few


def test_each_broken_promise_has_a_sentence_of_its_own(tmp_path: Path) -> None:
    undecided = deployed(
        tmp_path, "pi4", "a", latency_kept=False, latency_verdict="undecided", latency_reason="the clock wandered",
        accuracy_kept=False, accuracy_verdict="not kept",
    )  # fmt: skip
    text = summary([*undecided, *deployed(tmp_path, "pi4", "b")], 60.0)
    assert "latency undecided, accuracy not kept" in lines_with(text, "a on pi4")[0]
    latency, accuracy = text.split("\n\n")[-2:]
    assert "budget p25 on pi4: undecided whether a model keeps it" in latency
    assert "; the clock wandered: the same command with `--forcerun " in latency
    assert "on the test split its model loses 0.90 points of top-1 in int8, up to 1.50 with 95% confidence" in accuracy


def test_the_file_that_the_device_runs_is_the_one_that_is_named(tmp_path: Path) -> None:
    compiled = Job(
        "deploy_compiled", "edgetpu", True, {"device": "coral", "budget": "p50"}, {"model": "model_edgetpu.tflite"}
    )
    text = summary([*deployed(tmp_path, "coral", "p50"), compiled], 60.0)
    assert lines_with(text, "p50 on coral")[0].endswith("kept model_edgetpu.tflite")


def test_what_is_not_known_is_a_dash() -> None:
    place = {"device": "pi4", "budget": "p50"}
    jobs = [
        Job("deploy_winner", "export", True, place, {"model": "s3://bucket/model.tflite"}),
        Job("judge_model", "validation", True, place, {"validation": "went into a storage"}),
        Job("time_subnets", "latency", True, {"device": "pi4"}, {"session": "went into a storage"}),
    ]
    text = summary(jobs, 1.0)
    assert lines_with(text, "p50 on pi4") == ["p50 on pi4 - - - - - - s3://bucket/model.tflite"]
    assert lines_with(text, "probes timed") == ["probes timed on pi4 100 0"]
    assert summary([], 0.0) == "foxnas: done in 0.0 s; 0 jobs run, 0 reused"
    assert "jobs of stage" not in summary([Job("fit", "predictors", made=False)], 0.0)


def test_columns_are_aligned(tmp_path: Path) -> None:
    blocks = summary([*shard(tmp_path, 0, made=True, seconds=5000.0), *shard(tmp_path, 1, made=False)], 9.0).split(
        "\n\n"
    )
    for block in blocks[1:]:
        header, *rows = block.splitlines()
        ends = [match.end() for match in re.finditer(r"reused", header)]
        assert all(row[ends[0] - 1].isdigit() and row[ends[0] : ends[0] + 1] in (" ", "") for row in rows)


def test_a_failed_job_is_shown_with_its_error_its_log_and_the_way_on(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text("10:00:00 fit_accuracy: 1/2 fits\nerror: accuracy.csv: was truncated\n\n")
    job = Job("fit_accuracy", "predictors", False, {"space": "mini", "size": "16"}, {}, str(log))
    text = failure([job], 21, 43, 12.0, "snakemake --cores 2")
    assert text.splitlines()[0] == "foxnas: stopped after 12 s: 1 job failed; 21 of 43 jobs done, and kept"
    assert ["fit_accuracy mini 16", "error: accuracy.csv: was truncated", str(log)] == [
        line.strip() for line in text.splitlines()[2:5]
    ]
    assert text.endswith("to go on, mend that and type the same again: snakemake --cores 2")
    assert "... and 2 more" in failure([job] * 7, 0, 7, 1.0, "snakemake")
    interrupted = failure([], 0, 1, 1.0, "snakemake")
    assert "it was interrupted; 0 of 1 job done" in interrupted
    assert interrupted.endswith("to go on, type the same again: snakemake")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one\nerror: bad\nTerminated\n", "error: bad"),
        ("Traceback (most recent call last):\n  File\nValueError: 3\n", "ValueError: 3"),
        ("", "it left no message; it was killed, or never began"),
        ("x" * 400, "x" * 300 + "..."),
    ],
)
def test_last_words(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "log").write_text(text)
    assert last_words(str(tmp_path / "log")) == words
    assert last_words(str(tmp_path / "none")) == last_words(None)


def test_the_command_to_repeat_is_the_one_that_was_typed() -> None:
    assert command_line(["/venv/bin/snakemake", "--cores", "2"]) == "snakemake --cores 2"
    assert command_line(["/x/snakemake/__main__.py", "--config", "a={b: 1}"]) == (
        "python -m snakemake --config 'a={b: 1}'"
    )


def test_the_summary_needs_no_torch() -> None:
    probe = "import foxnas.flow.summary, sys; print({'torch', 'tensorflow', 'scipy', 'statsmodels'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"


TOY = """
import sys
sys.path.insert(0, "ROOT")

rule all:
    input: "results/report.html"

rule sample:
    output: table="results/{shard}.txt"
    log: "results/{shard}.log"
    benchmark: "results/{shard}.tsv"
    shell:
        "exec >{log} 2>&1; sleep 1; if [ -e broken-{wildcards.shard} ]; then echo error: no subnets; exit 1; fi"
        "; touch {output}"

rule check_promises:
    input: "results/report.html"
    output: "results/promises.json"
    log: "results/promises.log"
    shell: "echo error: no > {log}; [ ! -e unkept ]; touch {output}"

rule write_report:
    input: expand("results/{shard}.txt", shard=config["shards"].strip(",").split(","))
    output: page="results/report.html"
    shell: "touch {output}"

onsuccess:
    from foxnas.flow import summary
    summary.succeeded(workflow)

onerror:
    from foxnas.flow import summary
    summary.failed(workflow)
""".replace("ROOT", str(ROOT))


def toy(folder: Path, *words: str, shards: str = "0,1") -> str:
    """What Snakemake prints about a workflow of three small rules that ends as ours does."""
    (folder / "Snakefile").write_text(TOY)
    return python(["-m", "snakemake", "--cores", "2", "--config", f"shards={shards},", *words], folder).stderr


def test_snakemake_ends_with_what_ran_what_was_reused_or_what_failed(tmp_path: Path) -> None:
    (tmp_path / "broken-1").touch()
    text = toy(tmp_path)
    assert "1 job failed; 1 of 3 jobs done, and kept" in text
    assert "sample 1\n      error: no subnets\n      results/1.log\n" in text
    assert "type the same again: python -m snakemake --cores 2 --config shards=0,1," in text
    (tmp_path / "broken-1").unlink()
    text = toy(tmp_path)
    assert "2 jobs run, 1 reused" in text
    (spent,) = re.findall(r"Snakefile +2 +1 +([\d.]+) s +100%  sample 1, [\d.]+ s", text)
    assert float(spent) >= 1.0
    kept = tmp_path / "results" / "logs" / "summary.txt"
    assert kept.read_text().strip() in text
    before = kept.read_bytes()
    assert "foxnas:" not in toy(tmp_path, "--forceall", "--dry-run")
    assert "foxnas:" not in toy(tmp_path, "--forceall", "--touch")
    assert "foxnas:" not in toy(tmp_path)  # Snakemake calls no hook when nothing is to be done
    assert kept.read_bytes() == before
    assert "2 jobs run, 2 reused" in toy(tmp_path, shards="0,1,2")


def test_a_summary_that_cannot_be_written_fails_no_run(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "logs").touch()
    text = toy(tmp_path)
    assert "3 jobs run, 0 reused" in text
    assert "no summary of this run: FileExistsError" in text
    assert "3 of 4 steps" in text
    assert "WorkflowError" not in text
