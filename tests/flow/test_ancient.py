"""Snakemake and inputs that are ancient: what it overlooks by itself, but not with `foxnas.flow.ancient`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: b takes a's file as ancient; a, b and c have a param each.
SNAKEFILE = """
import sys
if config["look"]:
    sys.path.insert(0, config["root"])
    from foxnas.flow.ancient import look_past_ancient_inputs
    look_past_ancient_inputs()
rule c:
    input: "b"
    output: "c"
    params: value=config["of_c"]
    shell: "echo {params.value} > {output}"
rule b:
    input: ancient("a")
    output: "b"
    params: value=config["of_b"]
    shell: "echo {params.value} > {output}"
rule a:
    output: "a"
    params: value=config["of_a"]
    shell: "echo {params.value} > {output}"
"""


def snakemake(folder: Path, *words: str, changed: str = "", look: bool = True) -> str:
    values = [f"of_{name}={'new' if name in changed else 'old'}" for name in "abc"]
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *words, "--config", f"look={look}", f"root={ROOT}"]
    done = subprocess.run([*command, *values], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ancient")
    (folder / "Snakefile").write_text(SNAKEFILE)
    snakemake(folder)
    return folder


@pytest.mark.parametrize(
    ("changed", "look", "expected"),
    [
        ("a", True, "a"),
        ("ab", True, "abc"),
        ("ac", True, "ac"),
        ("ab", False, "a"),  # if this fails, Snakemake has learnt it, and `foxnas.flow.ancient` can go
    ],
)
def test_a_change_downstream_of_an_ancient_input_that_is_made_again(
    finished: Path, changed: str, look: bool, expected: str
) -> None:
    """With a alone changed, b is spared; with b or c changed too, they run as well. Snakemake by itself stops at a."""
    text = snakemake(finished, "--dry-run", changed=changed, look=look)
    assert set(re.findall(r"^rule (\w):", text, re.MULTILINE)) == set(expected)
