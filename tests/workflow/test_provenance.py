"""What a rule depends on is what its artefacts say of their making."""

from __future__ import annotations

import inspect
import json
import re
from ast import literal_eval
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foxnas.files.provenance import recorded
from foxnas.files.tables import read_json, read_provenance
from foxnas.flow.params import command
from foxnas.int8.reading import read_metadata
from foxnas.settings.section import canonical
from tests.support.scripts import RULES, SCRIPTS, main_of

#: Its files are somebody else's, which have no place for it.
WITHOUT = {"fetch_images"}


def jobs(run: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Rule, output and params of every file that is there, as Snakemake remembers them; temporary ones are gone."""
    memory = run / ".snakemake" / "metadata"
    for path in filter(Path.is_file, memory.rglob("*")):
        name = "".join(part.lstrip("@") for part in path.relative_to(memory).parts)
        record = json.loads(path.read_text())
        params = [str(literal_eval(param)) for param in record["params"]]
        if (output := run / urlsafe_b64decode(name).decode()).exists():
            yield record["rule"], output, params


def records(path: Path) -> Iterator[dict[str, Any]]:
    """What an artefact, or every model in a folder of them, says of its making."""
    if path.suffix == ".csv":
        yield read_provenance(path)
    elif path.suffix == ".json":
        yield read_json(path)["made_by"]
    elif path.is_dir():
        yield from (read_metadata(model.read_bytes()) for model in path.glob("*.tflite"))
    elif (made_by := recorded(path)) is not None:
        yield made_by


def test_every_artefact_records_what_its_rule_was_given(run: Path) -> None:
    said, ran = set(), set()
    for rule, path, params in jobs(run):
        ran.add(rule)
        for made_by in records(path):
            assert canonical(made_by["settings"]) in params, (rule, path)
            assert f"code {made_by['code']}" in params, (rule, path)
            said.add(rule)
    assert len(said) >= 28
    assert ran - said == WITHOUT


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_records_takes_what_it_is_given(script: str) -> None:
    source = SCRIPTS[script].read_text()
    assert "cli.made_by(" not in source
    writes = re.search(
        r"\b(write_table|write_json|save|KeptSupernet|with_metadata|prepare_images|swap_fold|take_checkpoint|write_page|write_strategies|write_predictors|write_fits)\(",
        source,
    )
    assert bool(writes) == ("made_by" in inspect.signature(main_of(script)).parameters)


def test_what_a_rule_depends_on_comes_first() -> None:
    """Of two objects of settings the first is recorded; the other may name hosts, and changes no result."""
    text = "".join(path.read_text() for path in RULES)
    shells = [command(words) for words in re.findall(r"flow\.command\((.*)\)$", text, re.MULTILINE)]
    settings = re.findall(r"--settings (\S+)", "".join([text, *shells]))
    assert len(settings) >= 25
    assert set(settings) == {"{params.settings:q}"}
