"""Rows of a user's tables: taken as they are meant, or refused with file, line and the way out."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.device.acceptance import COLUMNS
from foxnas.errors import FoxnasError
from foxnas.files.tables import write_table
from foxnas.space.space import SearchSpace
from foxnas.tables.config import AccuracyTableConfig, LatencyTableConfig
from foxnas.tables.reading import Measurement, read_measurements
from tests.support.tables import csv_of, layers_of

ACCURACY, LATENCY = AccuracyTableConfig(file="mine.csv"), LatencyTableConfig(file="mine.csv")


@pytest.fixture
def one(mini: SearchSpace) -> SearchSpace:
    """The space at one image size."""
    return replace(mini, image_sizes=(24,), size_divisor=1)


@pytest.fixture
def texts(one: SearchSpace) -> list[str]:
    return [arch.text for arch in islice(one.sample(24, np.random.default_rng(0)), 4)]


def read(text: str, table: AccuracyTableConfig | LatencyTableConfig, space: SearchSpace) -> list[Measurement]:
    Path("mine.csv").write_bytes(text.encode())
    return read_measurements([Path("mine.csv")], table, space)


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("unit", "written"), [("ms", "2.5"), ("us", "2500"), ("s", "0.0025"), ("s", "25e-4")])
def test_latencies_become_milliseconds(unit: str, written: str, one: SearchSpace, texts: list[str]) -> None:
    table = LatencyTableConfig.model_validate({"file": "mine.csv", "column": "took", "unit": unit})
    (found,) = read(f"arch,took\n{texts[0]},{written}\n", table, one)
    assert (found.arch.text, found.value) == (texts[0], pytest.approx(2.5))


def test_fractions_become_percent(one: SearchSpace, texts: list[str]) -> None:
    table = AccuracyTableConfig(file="mine.csv", column="top1", unit="fraction")
    found = read(f"arch,top1\n{texts[0]},0.71\n{texts[1]},1\n", table, one)
    assert [row.value for row in found] == pytest.approx([71, 100])


def test_comments_blank_lines_a_byte_order_mark_and_windows_line_ends_are_no_rows(
    one: SearchSpace, texts: list[str]
) -> None:
    text = (
        f'\ufeff# "made" by me\r\nnote, arch ,top1_percent\r\n\r\na,{texts[0]}, 71.5\r\n# b\r\n"c, d",{texts[1]},70\r\n'
    )
    assert [(row.arch.text, row.value) for row in read(text, ACCURACY, one)] == [(texts[0], 71.5), (texts[1], 70.0)]


def test_a_table_of_a_run_can_be_given_to_another_without_its_flagged_rows(one: SearchSpace, texts: list[str]) -> None:
    rows = pd.DataFrame(
        {"id": "x", "arch": texts, "latency_ms": [1.0, 2.0, None, 4.0], "usable": [True, False, False, True]},
        columns=list(COLUMNS),
    )
    write_table(Path("mine.csv"), rows, {"script": "time_subnets.py"})
    found = read_measurements([Path("mine.csv")], LATENCY, one)
    assert [(row.arch.text, row.value) for row in found] == [(texts[0], 1.0), (texts[3], 4.0)]


def test_each_image_size_may_have_a_file(mini: SearchSpace) -> None:
    space = replace(mini, image_sizes=(16, 24), size_divisor=1)
    archs = {size: next(space.sample(size, np.random.default_rng(0))) for size in space.image_sizes}
    for size, arch in archs.items():
        row = layers_of(arch, space) | {"latency_ms": str(size)}
        del row["image_size"]
        Path(f"{size}.csv").write_text(csv_of([row]))
    table = LatencyTableConfig(file="{size}.csv")
    files = list(map(Path, table.files(space.image_sizes)))
    assert [(row.arch, row.value) for row in read_measurements(files, table, space)] == [
        (arch, size) for size, arch in archs.items()
    ]
    Path("24.csv").write_text(f"arch,latency_ms\n{archs[16].text},3\n")
    with pytest.raises(
        FoxnasError, match=r"^24.csv, line 2: r16_.* is at 16 px, the file's name says 24; move the row"
    ):
        read_measurements(files, table, space)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("resnet50,71", r"^mine.csv, line 3: 'resnet50' is not an architecture: .*; correct the architecture, remove"),
        ("r24_k9e9,71", r"^mine.csv, line 3: r24_k9e9: has 1 units, space mini has 5; .*or change space$"),
        (",71", r"^mine.csv, line 3: '' is not an architecture"),
        ("{0},71", r"^mine.csv, line 3: r24_\S+ is in line 2 already; remove one, or write their mean in one$"),
        ("{1},", r"^mine.csv, line 3: top1_percent is empty; measure it, or remove the row$"),
        ("{1},n/a", r"^mine.csv, line 3: top1_percent is 'n/a', which is no number; correct it, or remove the row$"),
        ("{1},nan", r"^mine.csv, line 3: top1_percent is nan, which is no finite number"),
        (
            "{1},71.2%",
            r"top1_percent is '71.2%', which is no number; write the number alone, in percent, .* without %$",
        ),
        ('{1},"71,2"', r"top1_percent is '71,2', which is no number; write 71.2$"),
        ('{1},"71,234"', r"which is no number; write 71.234, or 71234 if the comma parts thousands$"),
        ('{1},"0,712"', r"which is no number; write 0.712$"),
        ("{1},712", r"top1_percent is 712, which is no accuracy in percent; correct it, or remove the row$"),
        ("{1},71,3", r"^mine.csv, line 3: has 3 cells, the heading 2; write a cell for each column$"),
        ("{1}", r"^mine.csv, line 3: has 1 cells, the heading 2"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_its_line(
    row: str, said: str, one: SearchSpace, texts: list[str]
) -> None:
    with pytest.raises(FoxnasError, match=said):
        read(f"arch,top1_percent\n{texts[0]},70\n{row.format(*texts)}\n", ACCURACY, one)


@pytest.mark.parametrize(("cell", "said"), [("0", "no latency in ms"), ("-3", "no latency"), ("3 s", "without s")])
def test_a_latency_that_is_none_is_named(cell: str, said: str, one: SearchSpace, texts: list[str]) -> None:
    with pytest.raises(FoxnasError, match=f"^mine.csv, line 2: .*{said}"):
        read(f"arch,latency_ms\n{texts[0]},{cell}\n", LATENCY, one)


def test_one_value_in_another_unit_is_named_and_what_differs_as_subnets_do_is_taken(
    one: SearchSpace, texts: list[str]
) -> None:
    def table(values: list[str]) -> str:
        return "".join(f"{text},{value}\n" for text, value in zip(texts, values, strict=True))

    with pytest.raises(FoxnasError, match=r"^mine.csv, line 4: latency_ms is 3100, but the median at 24 px is 3.2: is"):
        read("arch,latency_ms\n" + table(["3", "3.1", "3100", "3.3"]), LATENCY, one)
    with pytest.raises(
        FoxnasError, match=r"line 2: top1_percent is 0.71, .* is 70.5: .* Write it in percent, or remove"
    ):
        read("arch,top1_percent\n" + table(["0.71", "70", "71", "72"]), ACCURACY, one)
    in_us = LatencyTableConfig.model_validate({"file": "mine.csv", "column": "took", "unit": "us"})
    with pytest.raises(FoxnasError, match=r"line 5: took is 3.3, but the median at 24 px is 3050: .* Write it in us"):
        read("arch,took\n" + table(["3000", "3100", "3200", "3.3"]), in_us, one)
    assert len(read("arch,latency_ms\n" + table(["1", "2", "20", "40"]), LATENCY, one)) == 4
    assert len(read("arch,top1_percent\n" + table(["0", "70", "71", "72"]), ACCURACY, one)) == 4


def test_all_bad_rows_are_listed_the_first_in_the_first_line(one: SearchSpace, texts: list[str]) -> None:
    rows = "".join(f"{text},x\n" for text in texts)
    with pytest.raises(FoxnasError) as refusal:
        read(f"arch,top1_percent\n{rows}", ACCURACY, one)
    first, *others = str(refusal.value).splitlines()
    assert first.endswith("remove the row (3 more rows cannot be used)")
    assert [line.partition(":")[0] for line in others] == ["  line 3", "  line 4", "  line 5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column 'top1_percent' \\(it has none\\)"),
        ("arch,top1\n", "has no column 'top1_percent' \\(it has arch, top1\\); add it, or name another"),
        ("arch;top1_percent\n", "its cells are separated by semicolons, write commas"),
        ("arch\ttop1_percent\n", "its cells are separated by tabs, write commas"),
        ("name,top1_percent\n", "has no column arch, nor columns such as u1_d"),
        ("arch,top1_percent,top1_percent\n", "has two columns 'top1_percent'; remove one"),
        ("arch,top1_percent\n", "mine.csv: has no row at 24 px"),
        ("arch,top1_percent\n{0},0.71\n{1},0.7\n", "so they are fractions; write unit: fraction"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(text: str, said: str, one: SearchSpace, texts: list[str]) -> None:
    with pytest.raises(FoxnasError, match=f"^mine.csv: .*{said}|^{said}"):
        read(text.format(*texts), ACCURACY, one)


def test_a_percentage_in_a_table_of_fractions_names_the_unit(one: SearchSpace, texts: list[str]) -> None:
    table = AccuracyTableConfig(file="mine.csv", unit="fraction", column="top1")
    with pytest.raises(FoxnasError, match="top1 is 71, which is no accuracy in fraction; write unit: percent"):
        read(f"arch,top1\n{texts[0]},71\n", table, one)


def test_bytes_that_are_no_text_and_files_that_are_not_there_are_named(one: SearchSpace) -> None:
    with pytest.raises(FoxnasError, match=r"^mine.csv: cannot be read as CSV \(No such file"):
        read_measurements([Path("mine.csv")], ACCURACY, one)
    Path("mine.csv").write_bytes(b"arch,top1_percent\n\xff\xfe")
    with pytest.raises(FoxnasError, match=r"^mine.csv: is not UTF-8 text"):
        read_measurements([Path("mine.csv")], ACCURACY, one)
