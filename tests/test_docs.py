"""README, docs/ and config/README.md: every link leads somewhere, and every snippet and command works as it stands."""

from __future__ import annotations

import copy
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
import yaml

from benchmarks.__main__ import BY_ITSELF, NAMES
from foxnas.config.whole import Config, read_config
from foxnas.predictor.fit import fit
from foxnas.space.config import read_space
from foxnas.supernet.checkpoint import load_supernet
from foxnas.supernet.model import Supernet
from tests.support.forked_python import python
from tests.support.pages import INDEX, PAGES, ROOT, Command, Snippet, anchors, code, commands, links, name, snippets
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY, PUBLISHED_LATENCY

COMMANDS = {command.text: command for page in PAGES for command in commands(page)}

#: Commands that are not run here, by a pattern that has to match from the beginning, and why.
NOT_RUN = {
    r"(make (test|quick|test-portable)|\.ci/run)$": "run these very tests",
    r"pip |snakedeploy |curl |sudo |echo \"deb|export |cd ": "install, download, or set up a shell; the examples of "
    "docs/how-to/ecosystem.md are run by tests/workflow/test_ecosystem.py and test_remote_storage.py",
    r"docker |apptainer |snakemake .* apptainer$": "no container engine; tests/workflow/test_pins.py checks the files",
    r"ssh-copy-id |ssh |rm -r |vcgencmd ": "another machine",
    r"scancel |squeue ": "a Slurm; tests/workflow/test_slurm.py runs one",
    r"snakemake --report |snakemake .*(--logger|--default-storage|TARGET)": "a finished run or a store: "
    "tests/workflow/test_ecosystem.py and test_remote_storage.py",
    r"snakemake --lint$": "part of `make lint`",
    r"python -m tests\.support\.invalidation_page$": "writes a page that tests/workflow/test_invalidation.py compares",
}


#: A path of this repository, unless a pattern or placeholder follows.
PATH = (
    r"(?:^|[ (])((?:benchmarks|comparisons|config|docs|envs|examples|foxnas|profiles|rules|tests|workflow)/[\w./-]*)"
    r"(?![\w./*<-])"
)


def reason(command: str) -> str | None:
    """Why a command is not run here."""
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, command)), None)


def test_every_page_is_reached_from_the_index() -> None:
    reached, waiting = set(), [INDEX]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [target for target, _ in links(page)]
    assert sorted(name(page) for page in set(PAGES) - reached) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), f"{target} has no #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_named_exists(page: Path) -> None:
    for text in code(page):
        for path in re.findall(PATH, text):
            assert (ROOT / path).exists(), path
        for module in re.findall(r"\b((?:foxnas|comparisons|benchmarks|tests)\.[a-z_0-9.]+[a-z_0-9])", text):
            whole = module.replace(".", "/")
            parts = (whole, whole.rpartition("/")[0], whole.rpartition("/")[0].rpartition("/")[0])
            assert any((ROOT / part).is_dir() or (ROOT / f"{part}.py").is_file() for part in parts if part), module


def test_blocks_say_what_they_are_in() -> None:
    """So that nothing stands in a block that is neither tried nor output."""
    for page in PAGES:
        assert {one.language for one in snippets(page)} <= {"sh", "python", "yaml", "text"}, name(page)
        assert not re.search(r"\n\n    \S", re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.M | re.S)), (
            name(page)
        )


def test_readme_is_short_and_evidence_stands_once() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130
    tables = [re.findall(r"^\|.*\|$(?!\n\|-)", page.read_text(), re.MULTILINE) for page in PAGES]
    rows = [row for rows in tables for row in rows if re.search(r"\d\.\d", row)]
    assert len(rows) > 150
    assert sorted(row for row in set(rows) if rows.count(row) > 1) == []


def test_the_glossary_is_sorted_and_has_the_words_of_the_pages() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert [word.lower() for word in words] == sorted(word.lower() for word in words)
    needed = "subnet unit probe shard budget promise reserve incumbent twist frontier certificate session reference"
    assert {*needed.split(), "noise ceiling"} <= set(words)


# Configuration: what a snippet says is checked against the schema; what it leaves out is the defaults' affair.


def partial(schema: Any) -> Any:
    """The schema without its required keys."""
    if isinstance(schema, Mapping):
        return {key: partial(value) for key, value in schema.items() if key != "required"}
    return [partial(value) for value in schema] if isinstance(schema, list) else schema


SCHEMA = partial(Config.model_json_schema())
YAML = [one for page in PAGES for one in snippets(page) if one.language == "yaml"]
INLINE = [
    Snippet(name(page), "yaml", text)
    for page in PAGES
    for text in code(page)
    if re.match(rf"(?:{'|'.join(Config.model_fields)}): ", text)
]


@pytest.mark.parametrize("snippet", [*YAML, *INLINE], ids=lambda one: f"{one.page}: {one.text[:40]}")
def test_every_config_snippet_is_of_the_schema(snippet: Snippet) -> None:
    value = yaml.safe_load(snippet.text)
    assert value
    jsonschema.validate(value, SCHEMA)


def test_the_snippets_of_readme_are_a_whole_config_together(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("".join(one.text for one in YAML if one.page == "README.md"))
    config = read_config(file)
    assert (config.devices[0].ssh is None, config.supernet.source, config.space.classes) == (False, "train", 100)


def test_the_schema_would_notice() -> None:
    for bad in ({"search": {"sed": 3}}, {"devices": [{"kind": "TFLite"}]}, {"predictors": {"latency_form": 3}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, SCHEMA)


# Python.


def measured_predictor() -> dict[str, Any]:
    """A predictor in the place of a finished run's, and a subnet to predict."""
    space, rng = read_space("mini"), np.random.default_rng(0)
    archs = list(islice(space.sample(24, rng), 80))
    model = fit("latency", space, 24, archs, rng.normal(1, 0.1, 80), target="latency", unit="ms")
    path = Path("results/mini/24/predictors/latency-local.json")
    path.parent.mkdir(parents=True)
    model.save(path, {})
    return {"arch": archs[0]}


def another_network() -> dict[str, Any]:
    """A network with the layers of a user's space under other names."""
    Path("my").mkdir()
    Path("my/space.yaml").write_text("base: mini\nname: mine\n")
    ours = Supernet(read_space("my/space.yaml")).state_dict()
    torch.save({f"features.{i}": tensor for i, tensor in enumerate(ours.values())}, "donor.pth")
    return {"names": {name: f"features.{i}" for i, name in enumerate(ours)}}


def test_the_python_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    columns = {column: np.array([1.0, 2.0, 3.0]) for column in ("accuracy", "latency_ms", "parameters")}

    def a_score_each(scope: dict[str, Any]) -> None:
        assert scope["score"](columns).shape == (3,)

    def within_the_cap(scope: dict[str, Any]) -> None:
        assert all(sum(one.arch.depths) <= 14 and one.latency_ms <= 55 for one in scope["result"].candidates)

    def of_the_other_network(scope: dict[str, Any]) -> None:
        donor = load_supernet(read_space("my/space.yaml"), Path("donor.safetensors")).state_dict()
        theirs = torch.load("donor.pth")
        assert all(torch.equal(donor[ours], theirs[name]) for ours, name in scope["names"].items())

    def ordered(scope: dict[str, Any]) -> None:
        found = scope["found"]
        assert found.lower < found.mean_lower < found.mean < found.mean_upper < found.upper

    given: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], None]]] = {
        "docs/how-to/goals-and-caps.md": (dict, a_score_each),
        "docs/how-to/train-a-supernet.md": (another_network, of_the_other_network),
        "docs/how-to/predictors.md": (measured_predictor, ordered),
        "docs/how-to/search.md": (
            lambda: {"space": CPU_SPACE, "accuracy": PUBLISHED_ACCURACY, "latency": PUBLISHED_LATENCY},
            within_the_cap,
        ),
    }
    # A Snakefile, which tests/workflow/test_ecosystem.py includes in a workflow; and MediaPipe, which is not installed.
    elsewhere = {"docs/how-to/ecosystem.md", "docs/how-to/use-the-model.md"}
    found = [one for page in PAGES for one in snippets(page) if one.language == "python"]
    assert {one.page for one in found} == set(given) | elsewhere
    for snippet in found:
        if snippet.page not in elsewhere:
            before, check = given[snippet.page]
            scope = before()
            exec(compile(snippet.text, snippet.page, "exec"), scope)
            check(scope)


# Commands.


def of(*programs: str) -> list[str]:
    """The commands of a program that are run here."""
    return [text for text in COMMANDS if not reason(text) and re.match(rf"(?:\S*/)?(?:{'|'.join(programs)}) ", text)]


def test_every_command_is_run_or_has_a_reason() -> None:
    run_here = {text for text in COMMANDS if reason(text) is None}
    assert run_here == {*of("snakemake", "make", "pytest", "python"), *ASSIGNED}
    for pattern in NOT_RUN:
        assert any(re.match(pattern, text) for text in COMMANDS), pattern


#: Commands that begin with variables.
ASSIGNED = {text for text in COMMANDS if re.match(r"[A-Z_]+=", text)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config of one's own: the smallest run, and a board beside this machine."""
    folder = tmp_path_factory.mktemp("project")
    config = yaml.safe_load((ROOT / "config" / "tiny.yaml").read_text())
    (board,) = yaml.safe_load((ROOT / "config" / "coral.yaml").read_text())["devices"]
    config["devices"].append(copy.deepcopy(config["devices"][0]) | {"name": "pi4", "ssh": board["ssh"]})
    (folder / "config").symlink_to(ROOT / "config")
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    return folder


#: What the commands plan; how many cores, and whether they would run it, makes no difference.
PLANS = sorted({re.sub(r"^\S*snakemake | ?(--cores \w+|-n)(?= |$)", " ", text).strip() for text in of("snakemake")})


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan or "the demo")
def test_snakemake_plans_what_a_command_says(plan: str, project: Path) -> None:
    """With the repository as the working directory, as the commands are, and the results elsewhere."""
    words = [word.replace("mine.yaml", str(project / "mine.yaml")) for word in shlex.split(plan)]
    done = python(
        ["-m", "snakemake", *words, "--dry-run", "--directory", str(project)],
        ROOT, os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-2000:]
    if "--unlock" not in words:
        assert re.search(r"^total +\d+$", said, re.MULTILINE), said[-2000:]
    for word in words:
        if word.startswith("results/"):
            assert word in said


@pytest.mark.parametrize("command", of("make"))
def test_make_knows_the_targets(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if "=" not in word]
    assert words
    done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [*of("pytest", "python"), *ASSIGNED])
def test_python_commands_name_what_there_is(command: str, tmp_path: Path) -> None:
    """Tests and benchmarks take long: their files, options and variables are looked up. A script is run."""
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    variables = re.findall(r"\b([A-Z_]+)=", command)
    if words[0] == "pytest" or words[:3] == ["python", "-m", "pytest"]:
        paths = [word for word in words if word.startswith("tests/")]
        assert paths
        text = "".join((ROOT / path).read_text() for path in paths if (ROOT / path).is_file())
        assert all((ROOT / path).exists() for path in paths)
        if "-k" in words:
            assert re.search(rf"def test_\w*{words[words.index('-k') + 1]}", text)
        assert all(variable in text for variable in variables)
    elif words[:2] == ["python", "-m"]:
        module, *options = words[2:]
        place = ROOT / module.replace("NAME", "caps").replace(".", "/")
        path = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
        text = path.read_text()
        assert "__main__" in text
        assert all(f'"{option}"' in text for option in options if option.startswith("--")), command
    else:
        shutil.copy(ROOT / "tests" / "data" / "tiny_int8.tflite", tmp_path / "model.tflite")
        script = [str(ROOT / word) if word.endswith(".py") else word for word in words[1:]]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, *script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert done.returncode == 1
        assert "dense" in done.stdout, "what would keep this model from the chip"


def test_make_benchmark_runs_every_benchmark_but_those_named() -> None:
    there = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py") if "__main__" in path.read_text()}
    assert sorted(there) == sorted([*NAMES, *BY_ITSELF])
    page = (ROOT / "docs" / "evidence" / "benchmarks.md").read_text()
    assert all(f"`{one}`" in page.partition("|")[0] for one in BY_ITSELF)


def test_the_table_of_commands_would_notice() -> None:
    """A target after --configfile is taken for a second file: what one page once said."""
    said = Command("", "snakemake --cores 1 --configfile mine.yaml results/devices/pi4/ready.json").text
    assert reason(said) is None
    done = python(
        ["-m", "snakemake", *shlex.split(said)[1:], "--dry-run"], ROOT, os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode != 0
