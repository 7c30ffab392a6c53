"""A script's function becomes its command; bad input ends in one sentence."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import pytest
import torch

from foxnas import cli
from foxnas.accuracy.config import AccuracyConfig
from foxnas.config.whole import read_config
from foxnas.files.provenance import recorded_settings
from foxnas.settings.section import canonical
from foxnas.supernet.tensors import read_tensors

ROOT = Path(__file__).resolve().parents[1]


def example(*, accuracy: AccuracyConfig, folder: str | None, tables: list[Path], size: int, rows: int = 3) -> None:
    """An example."""


SETTINGS = '{"accuracy":{"recalibration_images":8,"batch_size":4},"folder":null}'


def test_settings_files_and_defaults_reach_their_parameters() -> None:
    words = ["--settings", SETTINGS, "--tables", "a.csv", "b c.csv", "--size", "28"]
    assert cli.parse(example, words) == {
        "accuracy": AccuracyConfig(recalibration_images=8, batch_size=4),
        "folder": None,
        "tables": [Path("a.csv"), Path("b c.csv")],
        "size": 28,
        "rows": 3,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--settings", SETTINGS, "--tables", "a"], "--size"),
        (["--settings", SETTINGS.replace("8", '"8"'), "--tables", "a", "--size", "1"], "accuracy"),
        (["--settings", SETTINGS[:-1] + ',"other":1}', "--tables", "a", "--size", "1"], "other"),
    ],
)
def test_a_wrong_command_line_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parse(example, words)
    assert message in capsys.readouterr().err


def chosen(*, sizes: Literal["apart", "together"] = "apart") -> None:
    """An example."""


def test_a_word_of_a_few_is_a_setting_that_may_be_left_out() -> None:
    assert cli.parse(chosen, []) == {"sizes": "apart"}
    assert cli.parse(chosen, ["--settings", '{"sizes": "together"}']) == {"sizes": "together"}


def optional(*, file: Path | None = None) -> None:
    """An example."""


@pytest.mark.parametrize(("words", "file"), [([], None), (["--file"], None), (["--file", "a b"], Path("a b"))])
def test_an_optional_file_may_be_named_without_a_value(words: list[str], file: Path | None) -> None:
    assert cli.parse(optional, words) == {"file": file}


def run_script(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "workflow" / "scripts" / f"{name}.py"), *words],
        capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_bad_input_ends_in_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    space = read_config(ROOT / "config" / "config.yaml").space
    target = tmp_path / "supernet.safetensors"
    done = run_script(
        "take_checkpoint", "--settings", canonical({"space": space}), "--checkpoint", str(tmp_path / "none"),
        "--supernet", str(target),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: checkpoint ")
    assert "Traceback" not in done.stderr
    assert not target.exists()


def test_the_shipped_checkpoint_is_of_the_default_space(tmp_path: Path) -> None:
    config = read_config(ROOT / "config" / "config.yaml")
    target = tmp_path / "out" / "supernet.safetensors"
    done = run_script(
        "take_checkpoint", "--settings", canonical({"space": config.space, "contents": ["0123"]}),
        "--checkpoint", str(ROOT / config.supernet.checkpoint), "--supernet", str(target),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    taken, given = read_tensors(target), read_tensors(ROOT / config.supernet.checkpoint)
    assert taken.tensors.keys() == given.tensors.keys()
    assert all(torch.equal(taken.tensors[name], tensor) for name, tensor in given.tensors.items())
    assert {**taken.metadata, "taken_by": ""} == {**given.metadata, "taken_by": ""}
    settings = {"space": json.loads(canonical(config.space)), "contents": ["0123"]}
    assert recorded_settings(target) == settings


def recording(
    *, made_by: cli.MadeBy, accuracy: AccuracyConfig, folder: str | None, access: dict[str, str], path: Path
) -> None:
    """An example that records how it was called."""


def test_the_tracked_settings_are_recorded_whatever_the_script_does_with_them() -> None:
    words = [SETTINGS, '{"access":{"host":"nowhere"}}', "--path", "x"]
    record = cli.parse(recording, ["--settings", *words])["made_by"]
    assert record["script"] == Path(__file__).name
    assert record["settings"] == {"accuracy": {"recalibration_images": 8, "batch_size": 4}, "folder": None}
    assert record["versions"]["numpy"]
    assert "inputs" not in record
    told = cli.parse(recording, ["--settings", *words, "--inputs", '{"folder":"2 files 0123"}'])["made_by"]
    assert told == record | {"inputs": {"folder": "2 files 0123"}}
    other = cli.parse(recording, ["--settings", words[0].replace("4", "5"), *words[1:]])["made_by"]
    assert other["settings_sha256"] != record["settings_sha256"]


def test_start_up_is_the_time_before_the_command_began(tmp_path: Path) -> None:
    """Against the clock of who started it, which knows no second of the system's start."""
    script = tmp_path / "script.py"
    script.write_text(
        "import time; time.sleep(0.3)\nfrom foxnas import cli\n"
        "def main() -> None:\n    print(time.time())\ncli.run(main)\n"
    )
    before = time.time()
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    (told,) = re.findall(r"start-up ([\d.]+) s", done.stderr)
    assert 0.3 <= float(told) <= float(done.stdout) - before + 0.02
