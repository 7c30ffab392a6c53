"""Which configuration a run uses: defaults, files, the command line, a module's; and the one it writes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.settings.types import ConfigSettings
from snakemake.utils import update_config

from foxnas.config.whole import Config, load_config, read_config
from foxnas.errors import FoxnasError
from foxnas.flow.configuration import configured, keep
from tests.support.configs import FOLDER, written_out

MINE: dict[str, Any] = {
    "space": {"base": "mini", "image_sizes": [16]},
    "data": {"dataset": "fashion-mnist", "splits": {"train": 2000, "fit": 200, "verify": 200, "test": 200}},
    "supernet": {"checkpoint": "models/mini-fashion-mnist.safetensors"},
    "devices": [{"name": "local", "kind": "tflite"}],
    "budgets": ["p50"],
}


def used(
    files: tuple[Path, ...] = (), words: tuple[str, ...] = (), declared: tuple[Path, ...] = (), given: Any = None
) -> Config:
    """What a run uses with these `--configfile`, `--config` and `configfile:`, or as a module that is given a config.

    The first three are laid over one another as Snakemake does it.
    """
    settings = ConfigSettings(config=parse_config(words), configfiles=files)
    config = copy.deepcopy(settings.overwrite_config)
    for file in declared:
        update_config(config, load_configfile(file))
        update_config(config, settings.overwrite_config)
    workflow = SimpleNamespace(
        config_settings=settings,
        overwrite_configfiles=settings.configfiles,
        configfiles=[*settings.configfiles, *declared],
    )
    return configured(workflow, given(config) if given else config)


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return write(tmp_path / "mine.yaml", MINE)


def test_a_file_is_laid_over_the_defaults_and_not_over_the_demo(mine: Path) -> None:
    config = used((mine,))
    assert config == load_config(MINE, "mine")
    demo = read_config(FOLDER / "config.yaml")
    assert (demo.data.scene, demo.accuracy.batch_size) != (config.data.scene, config.accuracy.batch_size)


def test_without_a_file_it_is_the_one_of_configfile() -> None:
    assert used(declared=(FOLDER / "config.yaml",)) == read_config(FOLDER / "config.yaml")


def test_the_command_line_is_laid_over_any_file_with_numbers_as_in_yaml(mine: Path) -> None:
    words = (
        "search={seed: 3, objective: {kind: weighted, points_per_budget: 0.5}, alike_layers: true}",
        "budgets=[p25, 2.5, 3]",
        "data={folder: null}",
    )
    for config, file in (
        (used((mine,), words), mine),
        (used(declared=(FOLDER / "config.yaml",), words=words), FOLDER / "config.yaml"),
    ):
        expected = yaml.safe_load(file.read_text())
        update_config(expected, {"search": yaml.safe_load(words[0].partition("=")[2]), "budgets": ["p25", 2.5, 3]})
        assert config == load_config(expected, "expected")
        assert config.search.objective.points_per_budget == 0.5
        assert config.search.candidates == 4


def test_a_job_sees_what_its_run_sees(mine: Path) -> None:
    """Snakemake passes the command line on, in Python's notation."""
    words = ("search={seed: 3, alike_layers: true}", "data={folder: null}")
    again = ConfigSettings(config=parse_config(words), configfiles=(mine,)).config_args
    assert used((mine,), tuple(again)) == used((mine,), words)


def test_two_files_are_layered_in_order(mine: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.yaml", {"search": {"seed": 5}, "budgets": [2]})
    last = write(tmp_path / "last.yaml", {"search": {"candidates": 7}, "budgets": [3]})
    expected = load_config(MINE | {"search": {"seed": 5, "candidates": 7}, "budgets": [3]}, "expected")
    assert used((mine, other, last)) == expected
    assert used((mine, last, other)).budgets == [2]


def test_a_list_that_is_replaced_leaves_no_lines(mine: Path, tmp_path: Path) -> None:
    """The last list's line is said, also of a key that only an earlier one has, and of one on the command line."""
    other = write(tmp_path / "other.yaml", "search: {}\ndevices:\n  - {name: local, ssh: {}}\n")
    with pytest.raises(FoxnasError) as caught:
        used((mine, other))
    said = str(caught.value).splitlines()[1:]
    assert [line.partition(": is missing; ")[0].strip() for line in said] == ["devices.0.kind", "devices.0.ssh.host"]
    assert [line.rpartition(" (")[2] for line in said] == [f"{other}, line 3)"] * 2
    with pytest.raises(FoxnasError, match=r"devices.0.kind: is missing; .* \(--config\)"):
        used((mine, other), ("devices=[{name: local}]",))


def test_the_config_of_an_including_workflow_is_laid_over_the_defaults(mine: Path, tmp_path: Path) -> None:
    umbrella = write(tmp_path / "umbrella.yaml", {"foxnas": MINE, "others": {"seed": "3"}})
    words = ("foxnas={search: {seed: 3}}",)
    expected = load_config(MINE | {"search": {"seed": 3}}, "expected")
    assert used(declared=(umbrella,), words=words, given=lambda config: config["foxnas"]) == expected
    assert used(declared=(mine,), given=lambda config: {**config, "search": {"seed": 3}}) == expected
    with pytest.raises(FoxnasError, match=r"space: is missing(.|\n)*budgets: is missing"):
        used(given=lambda _: {})


@pytest.mark.parametrize(
    ("more", "words", "message"),
    [
        ("  search: {seed: 1, seed: 2}\n", (), r"foxnas.search.seed: is written twice.*umbrella.yaml, line 9\)"),
        ("  predictors: {seed: 1:30}\n", (), r"foxnas.predictors.seed: 1:30 is read as 90.*umbrella.yaml, line 9\)"),
        ("  search: {seed: -1}\n", (), r"search.seed: -1 is out of range.*\(.*umbrella.yaml, line 9\)"),
        ("", ("foxnas={search: {sead: 1}}",), r"search.sead: unknown key.*\(--config\)"),
        ("", ("foxnas={search: {seed: 1e3}}",), r"search.seed: 1e3 is a text.*\(--config\)"),
    ],
)
def test_a_section_of_an_including_workflow_is_read_as_strictly(
    more: str, words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    """And what else stands in its files is its own affair."""
    mine = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in MINE.items())
    text = f"others: {{seed: 1:30}}\nothers: {{seed: 1:30, alike: '3'}}\nfoxnas:\n{mine}{more}"
    umbrella = write(tmp_path / "umbrella.yaml", text)
    for place in ("files", "declared"):
        with pytest.raises(FoxnasError, match=message) as caught:
            used(words=words, given=lambda config: config["foxnas"], **{place: (umbrella,)})
        assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("search:\n  seed: 1\n  seed: 2\n", (), r"search.seed: is written twice, .*more.yaml, line 3\)"),
        ("budgets: [1:30]\n", (), r"budgets.0: 1:30 is read as 90 .*more.yaml, line 1\)"),
        ("search:\n  seed: -1\n", (), r"search.seed: -1 is out of range.*more.yaml, line 2\)"),
        ("search:\n  seed: -1\n", ("search={seed: 2.5}",), r"search.seed: 2.5 does not fit.*\(--config\)"),
        ("search: {}\n", ("search={annealing: {boltzmann: 1e-3}}",), r"boltzmann: 1e-3 is a text.*1.0e-3.*--config"),
        ("search:\n  annealing: {boltzmann: .nan}\n", (), r"boltzmann: .nan is no finite number.*more.yaml, line 2\)"),
        ("search: {}\n", ("budgets=[.inf]",), r"budgets.0: .inf is no finite number.*--config"),
        ("search: {}\n", ("search={sead: 1}",), r"search.sead: unknown key; did you mean seed\? \(--config\)"),
        ("data: {folder: '3'}\nsearch: {seed: '3'}\n", (), r"search.seed: '3' does not fit.*more.yaml, line 2\)"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    text: str, words: tuple[str, ...], message: str, mine: Path, tmp_path: Path
) -> None:
    for place in ("files", "declared"):
        with pytest.raises(FoxnasError, match=message):
            used(words=words, **{place: (mine, write(tmp_path / "more.yaml", text))})


@pytest.mark.parametrize("name", ["config", "tiny", "imagenet", "coral"])
def test_the_config_that_is_kept_means_the_same(name: str, tmp_path: Path) -> None:
    config = read_config(FOLDER / f"{name}.yaml")
    keep(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == written_out(name)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
