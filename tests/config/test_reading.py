"""Config files read strictly: places of keys, and what YAML 1.1 would silently take for something else."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.common.configfile import load_configfile

from foxnas.config.reading import read_layer, refuse, typed
from foxnas.config.whole import read_config
from foxnas.errors import FoxnasError
from foxnas.space.config import read_space
from tests.support.configs import FOLDER, written_out


def layer(folder: Path, text: str, name: str = "mine.yaml") -> Any:
    (folder / name).write_text(text)
    return read_layer(folder / name)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.name)
def test_values_are_those_that_snakemake_reads(path: Path) -> None:
    read = read_layer(path)
    assert read.value == load_configfile(path)
    assert read.problems == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.name)
def test_each_key_is_in_the_line_that_is_said(path: Path) -> None:
    lines = path.read_text().splitlines()
    places = read_layer(path).places
    assert len(places) > 30
    for key, place in places.items():
        name = key.rpartition(".")[2]
        line = lines[int(place.rpartition(" ")[2]) - 1]
        assert (f"{name}:" in line) or name.isdigit(), (key, line)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1e-3", "1e-3 is a text in YAML 1.1; write 1.0e-3 for the number"),
        ("1e3", "1e3 is a text in YAML 1.1; write 1.0e+3 for the number"),
        ("1.5e3", "write 1.5e+3 for the number"),
        ("-2E-4", "write -2.0e-4 for the number"),
        ("1:30", "1:30 is read as 90 (base 60) in YAML 1.1; write 90"),
        ("1:30.5", "is read as 90.5 (base 60)"),
        ("010", "010 is read as 8 (base 8) in YAML 1.1; write 8 or 10"),
        (".inf", ".inf is no finite number"),
        ("-.Inf", "-.Inf is no finite number"),
        (".NaN", ".NaN is no finite number"),
    ],
)
def test_what_yaml_reads_as_something_else_is_refused_with_place_and_fix(
    written: str, said: str, tmp_path: Path
) -> None:
    (problem,) = layer(tmp_path, f"search:\n  seed: 1\n  other: [2, {written}]\n").problems
    assert problem.startswith("search.other.1: ")
    assert said in problem
    assert problem.endswith(f"({tmp_path}/mine.yaml, line 3)")
    value, _, (alike,) = typed({"search": {"other": ["2", written]}}, "--config")
    assert alike.partition(" (--config")[0] == problem.partition(f" ({tmp_path}")[0]
    if "write " in said:  # the fix is read as the number that was meant
        fix = problem.partition("write ")[2].split()[0].rstrip(";")
        assert isinstance(yaml.safe_load(fix), int | float)
        if "e" in written.lower():
            assert yaml.safe_load(fix) == float(written)
    assert layer(tmp_path, f"a: '{written}'\n").problems == []  # quotes make it a text
    assert value["search"]["other"][0] == 2


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2021-13-45", r"2021-13-45 is no date \(month must be in 1..12\)"),
        (
            "9" * 5_000,
            r"'9{40}'... is no number \(Exceeds the limit \(4300 digits\) for integer string conversion: [^;]*\)",
        ),
    ],
    ids=["date", "digits"],
)
def test_a_date_or_number_that_is_none_is_named(written: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FoxnasError, match=rf"search.other.1: {said}; correct it \(.*mine.yaml, line 3\)$"):
        layer(tmp_path, f"search:\n  seed: 1\n  other: [2, {written}]\n")
    (problem,) = typed({"search": {"other": ["2", written]}}, "--config").problems
    assert re.fullmatch(rf"search.other.1: {said}; correct it \(--config\)", problem)
    assert layer(tmp_path, f"a: '{written}'\n").problems == []  # quotes make it a text
    (tmp_path / "mine.yaml").write_text(f"name: {written}\n")
    with pytest.raises(FoxnasError, match=r"^space .*mine.yaml: has a value that cannot be read: [^;]*$"):
        read_space(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("folder: \xe9t\xe9".encode("latin-1"), "is not UTF-8 text (invalid continuation byte at byte 8); save it as"),
        ("seed: 1".encode("utf-16"), "is not UTF-8 text (invalid start byte at byte 0)"),
        (b"seed: 1\0", "is not YAML: unacceptable character #x0000"),
        (b"[" * 100_000, "is nested deeper than any configuration"),
        (b'{"a": ' * 5_000 + b"1" + b"}" * 5_000, "is nested deeper than any configuration"),
        (b"a: " + b"[" * 5_000 + b"x" + b"]" * 5_000, "is nested deeper than any configuration"),
    ],
    ids=["latin-1", "utf-16", "nul", "brackets", "json", "yaml"],
)
def test_files_that_are_no_text_or_nothing_but_brackets_are_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(FoxnasError, match=re.escape(f"mine.yaml: {said}")):
        read_config(tmp_path / "mine.yaml")
    with pytest.raises(FoxnasError, match=re.escape(f"mine.yaml: {said.replace('any configuration', 'any space')}")):
        read_space(str(tmp_path / "mine.yaml"))


def test_ordinary_values_are_not_refused(tmp_path: Path) -> None:
    text = "a: [0, 10, -3, 0.5, 1.0e-3, 1_000, 0x10, p50, 1e, e5, 1.2.3, 'a:b', null, true, 2021-08-08]\n"
    assert layer(tmp_path, text).problems == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("search:\n  seed: 1\n  seed: 2\n", "search.seed: is written twice, first in line 2; remove one ({}, line 3)"),
        ("search: {}\nseed: 1\nsearch: {}\n", "search: is written twice, first in line 1; remove one ({}, line 3)"),
        ("devices:\n- a: 1\n  a: 2\n", "devices.0.a: is written twice, first in line 2; remove one ({}, line 3)"),
        ('{"search": {"seed": 1,\n"seed": 1e-3}}', "seed: is written twice in one section; remove one ({})"),
    ],
)
def test_a_key_that_is_written_twice_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    assert layer(tmp_path, text).problems == [expected.format(tmp_path / "mine.yaml")]


@pytest.mark.parametrize("key", ["no", "3", "null", "1.5", "2021-08-08"])
def test_a_key_that_is_no_text_is_refused(key: str, tmp_path: Path) -> None:
    for text in (f"search: {{}}\n? {key}\n: 3\n", f"search: {{}}\nsearch-more:\n  ? {key}\n  : 3\n"):
        with pytest.raises(FoxnasError, match=r"is no text; write '.*' in quotes \(.*mine.yaml, line [23]\)$"):
            refuse(layer(tmp_path, text).problems, "mine.yaml")
    with pytest.raises(FoxnasError, match=r"mine.yaml: is not YAML: (.|\n)*unhashable key\n.*line 1, column 3"):
        layer(tmp_path, f"? [{key}]\n: 3\n")


def test_anchors_and_merges_are_no_repetition(tmp_path: Path) -> None:
    read = layer(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: &c [*c]\nd: *a\n")
    assert read.problems == []
    assert read.value["b"] == {"x": 3, "y": 2}


def nested_aliases(first: str, line: str, times: int, depth: int) -> str:
    """Lines of which each names the one before so many times."""
    names = "abcdefghijklm"[: depth + 1]
    later = [f"{name}: &{name} {line % ', '.join([f'*{above}'] * times)}" for above, name in pairwise(names)]
    return "\n".join([f"a: &a {first}", *later, ""])


@pytest.mark.parametrize(
    ("first", "line"),
    [("[x]", "[%s]"), ("{x: 1}", "{<<: [%s]}"), ("{x: 1}", "{y: [%s]}")],
    ids=["lists", "merges", "mappings"],
)
def test_aliases_of_aliases_are_bounded(first: str, line: str, tmp_path: Path) -> None:
    """Each line is ten times the one before: of thirteen no machine holds what they say."""
    few, many = (nested_aliases(first, line, 10, depth) for depth in (3, 12))
    assert list(layer(tmp_path, few).value) == ["a", "b", "c", "d"]
    with pytest.raises(FoxnasError, match=r"mine.yaml, line [4-6]: comes to more than 100,000 values here, with every"):
        layer(tmp_path, many)
    with pytest.raises(FoxnasError, match=r"^space .*mine.yaml, line [4-6]: comes to more than 100,000 values here"):
        read_space(str(tmp_path / "mine.yaml"))


def test_circles_of_aliases_are_bounded(tmp_path: Path) -> None:
    """Twenty lists, one inside the other, each naming all that it is in: from outside, each doubles what there is."""
    names = "abcdefghijklmnopqrst"
    text = "a: " + "".join(f"&{name} [{''.join(f'*{above}, ' for above in names[:n])}" for n, name in enumerate(names))
    text += "x" + "]" * len(names) + "\nz: *t\n"
    with pytest.raises(FoxnasError, match=r"mine.yaml, line 2: comes to more than 100,000 values here"):
        layer(tmp_path, text)


def test_json_is_read_as_json(tmp_path: Path) -> None:
    """A number like 1e-05 is one in JSON."""
    assert layer(tmp_path, json.dumps({"a": 1e-05}, indent="\t")) == ({"a": 1e-05}, {}, [])


def test_every_complaint_names_its_line(tmp_path: Path) -> None:
    """Of a key, of a key inside a list, of a key that is missing, and of keys that contradict one another."""
    raw = written_out("tiny")
    raw["search"]["sead"] = 1
    raw["devices"][0]["kind"] = "tfilte"
    del raw["data"]["splits"]["fit"]
    text = yaml.safe_dump(raw)
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(FoxnasError) as caught:
        read_config(tmp_path / "mine.yaml")
    lines = text.splitlines()
    for key, line in (("search.sead", "  sead: 1"), ("devices.0.kind", "- kind: tfilte"), ("splits.fit", "  splits:")):
        (problem,) = (said for said in str(caught.value).splitlines() if key in said)
        found = lines[int(problem.rstrip(")").rpartition(" ")[2]) - 1]
        assert found.strip("- ") == line.strip("- "), problem
    raw = written_out("tiny") | {"export": {"calibration_images": 9999}}
    (tmp_path / "mine.yaml").write_text(text := yaml.safe_dump(raw, sort_keys=False))
    line = text.splitlines().index("  calibration_images: 9999") + 1
    with pytest.raises(FoxnasError, match=rf"export.calibration_images is 9999, .* \(.*mine.yaml, line {line}\)$"):
        read_config(tmp_path / "mine.yaml")
