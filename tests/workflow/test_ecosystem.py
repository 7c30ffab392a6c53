"""The workflow in other people's hands: as a module, by snakedeploy, through a shim, with another logger, in a report.

The examples are those of docs/how-to/ecosystem.md. One small run is made, through the rich logger's example.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from foxnas.files.tables import read_json, read_table
from tests.support.examples import ROOT, example, examples, planned, run, smallest, write_project

DRY = "snakemake --cores 1 --dry-run"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run from our own Snakefile to its end, and what the rich logger showed of it."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, smallest())
    command = example("A terminal that shows progress", "--logger rich").strip()
    return folder, run(folder, f"{command} --snakefile {ROOT}/Snakefile")


@pytest.fixture
def project(logged: tuple[Path, str]) -> Path:
    return logged[0]


def test_every_example_of_the_page_is_tried_somewhere() -> None:
    assert len(examples()) == 8
    tried = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for one in examples():
        assert f'"{one.heading}"' in tried, one


def test_the_rich_logger_ends_well(logged: tuple[Path, str]) -> None:
    folder, said = logged
    assert read_json(folder / "results/mini/deploy/local/2ms/validation.json")["test_images"] == 200
    assert re.search(r"\D(\d+)/\1\D|100%|26 of 26|✓", said), said[-2000:]
    assert "Traceback" not in said


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_nothing_reruns_through_the_shim(project: Path, snakefile: str) -> None:
    assert "Nothing to be done" in run(project, f"{DRY} --snakefile {ROOT}/{snakefile}")


def umbrella(folder: Path, prefix: str = "nas") -> None:
    """Write the page's Snakefile, with this prefix, into a project that has this repository in it."""
    text = example("As a module", "module foxnas")
    assert text.count('"nas"') == 1
    text = text.replace('"nas"', f'"{prefix}"').replace("nas/results", f"{prefix}/results")
    if not prefix:
        text, cut = re.subn(r'\s+prefix:\n\s+""', "", text)
        assert cut == 1
        text = text.replace("/results", "results")
    (folder / "workflow").mkdir()
    (folder / "workflow" / "Snakefile").write_text(text)
    (folder / "foxnas").symlink_to(ROOT)


def test_nothing_reruns_as_a_module(project: Path) -> None:
    umbrella(project, prefix="")
    assert planned(run(project, DRY)) == {"flash_board"}
    assert "Nothing to be done" in run(project, f"{DRY} foxnas_all")
    run(project, "snakemake --cores 1")
    assert (project / "flashed.txt").read_text().endswith("results/mini/deploy/local/2ms/model.tflite\n")


def test_another_options_cost_is_the_same_as_a_module(project: Path) -> None:
    """A rule's name, `foxnas_judge_model`, is part of nothing that is compared."""
    changed = smallest()
    changed["validation"]["max_drop_percent"] = 50
    (project / "changed.yaml").write_text(yaml.safe_dump(changed))
    for snakefile, prefix in ((f"{ROOT}/Snakefile", ""), ("workflow/Snakefile", "foxnas_")):
        plan = planned(run(project, f"{DRY} {prefix}all --snakefile {snakefile} --configfile changed.yaml"))
        assert plan == {
            f"{prefix}{rule}" for rule in ("judge_model", "write_card", "write_report", "check_promises", "all")
        }


def test_a_prefix_moves_everything_that_is_made(tmp_path: Path) -> None:
    write_project(tmp_path, smallest())
    umbrella(tmp_path)
    said = run(tmp_path, f"{DRY} --printshellcmds foxnas_all flash_board")
    assert re.findall(r"--journal (nas/results/\S+)", said)
    assert not re.findall(r"\S* (?<!\w)results/\S+", said), "a path in a command does not follow the prefix"
    plan = planned(run(tmp_path, DRY))
    assert {"flash_board", "foxnas_export_candidates", "foxnas_judge_model"} <= plan
    assert "foxnas_write_report" not in plan  # flash_board needs none
    run(tmp_path, "snakemake --cores 1 nas/results/mini/16/shards/latency-local/0.csv")
    assert len(read_table(tmp_path / "nas/results/mini/16/shards/latency-local/0.csv")) == 100
    assert (tmp_path / "nas/results/mini/16/journals/latency-local/0.jsonl").stat().st_size > 0
    assert not (tmp_path / "results").exists()


def test_a_prefix_may_have_a_space(tmp_path: Path) -> None:
    """Of every command each path is one word, and its last word the log."""
    write_project(tmp_path, smallest())
    umbrella(tmp_path, "our nas")
    said = run(tmp_path, f"{DRY} --printshellcmds foxnas_all")
    commands = re.findall(r"^Shell command: (.+ \| tee .+)$", said, re.MULTILINE)
    assert len(commands) >= 24
    for command in commands:
        words = shlex.split(command)
        assert re.fullmatch(r"our nas/results/logs/\S+\.log", words[-1]), command
        assert words[-2] == "tee", command
        assert not [word for word in words if word == "our" or word.startswith("nas/results")], command
    subnets = "our nas/results/mini/16/shards/subnets/0.csv"
    run(tmp_path, f"snakemake --cores 1 '{subnets}'")
    assert len(read_table(tmp_path / subnets)) == 100
    assert "start-up" in (tmp_path / "our nas/results/logs/mini/16/sample_subnets/0.log").read_text()
    assert not (tmp_path / "our").exists()
    assert not (tmp_path / "nas").exists()


def test_two_modules_side_by_side_keep_apart(tmp_path: Path) -> None:
    """Each has a configuration of its own, one of them through the shim, which is a module itself."""
    write_project(tmp_path, smallest())
    modules = "".join(
        f"module {name}:\n    snakefile: '{ROOT}/{path}'\n    config: {{**config, 'budgets': ['{budget}']}}\n"
        f"    prefix: '{name}'\nuse rule * from {name} as {name}_*\n"
        for name, path, budget in (("one", "Snakefile", "p50"), ("two", "workflow/Snakefile", "p30"))
    )
    (tmp_path / "Snakefile").write_text(f"configfile: 'config/config.yaml'\n{modules}")
    said = run(tmp_path, f"{DRY} one_all two_all")
    assert {"one_time_subnets", "two_time_subnets"} <= planned(said)
    made = set(re.findall(r"(\w+)/results/mini/deploy/local/(p\d+)/model.tflite", said))
    assert made == {("one", "p50"), ("two", "p30")}


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """This tree, tagged, in a repository that git finds where it looks for one at a hosting service."""
    host = tmp_path_factory.mktemp("host")
    copy = host / "owner" / "foxnas"
    git = ["git", "-C", str(ROOT)]
    listed = subprocess.run(
        [*git, "ls-files", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    copy.mkdir(parents=True)
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    subprocess.run(["cp", "--parents", *files, str(copy)], check=True, cwd=ROOT)
    who = ["-c", "user.name=foxnas", "-c", "user.email=foxnas@example.org"]
    for words in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "1"], ["tag", "v1"]):
        subprocess.run(["git", *words], check=True, cwd=copy)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{host}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "XDG_CACHE_HOME": str(host / "cache"),
        "PYTHONPATH": "",
    }


def test_snakedeploy_makes_a_project_that_runs(hosted: dict[str, str], tmp_path: Path) -> None:
    command = example("By snakedeploy", "deploy-workflow")
    target = "results/mini/supernet.safetensors"
    command = command.replace("OWNER", "owner").replace("TAG", "v1", 1).replace("TARGET", target)
    said = run(tmp_path, command, forks=False, **hosted)
    project = tmp_path / "project"
    assert (project / target).is_file()
    assert "specific profile profiles/default" in said
    assert ".snakemake/foxnas/checkout/models/mini-fashion-mnist.safetensors" in said
    assert (project / ".snakemake/foxnas/checkout").resolve() == project / ".snakemake/foxnas/deployed"
    plan = run(project, f"{DRY} --configfile config/tiny.yaml", forks=False, **hosted)
    assert {"time_subnets", "write_report", "all"} <= planned(plan)
    assert "take_checkpoint" not in planned(plan)


def test_the_report_has_a_caption_for_all_that_matters(project: Path) -> None:
    command = example("Snakemake's report", "--report").strip()
    run(project, f"{command} --snakefile {ROOT}/Snakefile")
    assert ".html" in run(project, "python -m zipfile --list report.zip")
    run(project, f"{command.replace('.zip', '.html')} --snakefile {ROOT}/Snakefile")
    html = (project / "report.html").read_text()
    results, categories = (
        json.loads(re.search(rf"^\s*var {name} = (\{{.*\}});?$", html, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("results", "categories")
    )
    for name, what in results.items():
        assert len(what["caption"]) > 100, name
    shown = {heading: {Path(path).name for path in parts["Other"]} for heading, parts in categories.items()}
    assert shown == {
        "Page": {"report.html"},
        "Models": {"validation.json", "candidates.csv", "local.json", "card.md"},
        "Predictors": {"accuracy.json", "latency-local.json"},
        "Measurements": {"accuracy.csv", "latency-local.csv"},
    }
