"""Is everything below a results folder whole? Every kind of artefact, by its own reader."""

from __future__ import annotations

import ast
import contextlib
import json
import zipfile
from pathlib import Path

from foxnas.accuracy.outcomes import read_outcomes
from foxnas.app.card import written
from foxnas.config.whole import read_config
from foxnas.files.arrays import load_array
from foxnas.files.journal import Journal
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, read_provenance, read_table
from foxnas.supernet.tensors import read_tensors


def files_of(results: Path) -> set[str]:
    """Return the files, relative; those of exported candidates, which timings choose, without their names."""
    paths = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return {str(path.with_stem("any") if path.parent.name == "exported" else path) for path in paths}


def untimed(path: Path) -> object:
    """Return what a file says, but for when its rows were made and how many seconds they took."""
    content = path.read_bytes()
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in content.splitlines()]
        return [{n: value for n, value in line.items() if n not in ("seconds", "started", "crc32")} for line in lines]
    if path.suffix == ".csv" and "seconds" in (table := read_table(path)):
        return read_provenance(path), table.drop(columns="seconds").to_csv()
    return content


def check_all(results: Path) -> None:
    """Read every artefact, and see that nothing half-written lies about."""
    hidden = [path for path in results.rglob(".*") if path.name != ".snakemake_timestamp"]
    assert not hidden, hidden
    for path in sorted(results.rglob("*")):
        if path.is_file():
            check(path)


def check(path: Path, lines: int | None = None) -> None:
    """Read one artefact; `lines` is how many a journal should have. Raises FoxnasError when it is damaged."""
    if "logs" in path.parts or "benchmarks" in path.parts:
        return
    match path.suffix:
        case ".csv":
            read_table(path)
        case ".json":
            read_json(path)
        case ".npy":
            load_array(path)
        case ".npz":
            read_outcomes([path], list(read_table(path.with_suffix(".csv"))["id"]))
        case ".pt":
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
        case ".safetensors":
            read_tensors(path)
        case ".tflite":
            read_model(path)
        case ".jsonl":
            if not (content := path.read_bytes().splitlines()):
                return  # cut between the making of the file and its first line
            with Journal(path, _key(content)) as journal:
                found = len(journal.records)
            wanted = len(content) if lines is None else lines
            assert found == wanted, f"{path.name}: {wanted - found} damaged lines"
        case ".yaml":
            read_config(path)
        case ".html":
            assert path.read_text().rstrip().endswith("</html>")
        case ".py":
            ast.parse(path.read_text())
        case ".txt":
            assert path.read_text().count("\n") == len(read_json(path.with_name("card.json"))["accuracy"]["by_class"])
        case ".md":
            assert path.read_text() == written(read_json(path.with_name("card.json")))
        case "":
            assert path.name == ".snakemake_timestamp", path
        case _:
            raise AssertionError(f"{path}: who reads this?")


def _key(lines: list[bytes]) -> dict[str, str]:
    """Return the key of a journal: that of its first line that can be read, which may be none."""
    for line in lines:
        with contextlib.suppress(ValueError):
            return dict(json.loads(line)["key"])
    return {}
