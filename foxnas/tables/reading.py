"""Measurements in a user's CSV files, row by row: one that cannot be used is refused with its line and the way out."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from foxnas.errors import FoxnasError
from foxnas.settings.encoding import not_utf8, quoted, shown
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.tables.config import AccuracyTableConfig, TableConfig
from foxnas.tables.encodings import Decode, Row, decoder

#: Percent or milliseconds in one of a unit.
_SCALE = {"percent": 1.0, "fraction": 100.0, "ms": 1.0, "us": 0.001, "s": 1000.0}

#: Rows that a message lists.
_LISTED = 20

#: A column by which a table of ours says which rows are measured well enough.
_USABLE = "usable"

#: A value so many times the median of its image size, or so small a part of it, is in another unit: milliseconds and
#: microseconds are 1000 apart, percent and fractions 100. Latencies of a space are within some ten of their median.
_MOST_APART = 50

#: A number with a unit behind it, one with a decimal comma, and one whose comma may part thousands.
_WITH_UNIT = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*(%|[a-zA-Zµμ]+)")
_COMMA = re.compile(r"[-+]?\d+,\d+")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")

#: What parts cells where commas should.
_SEPARATORS = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Measurement:
    """One row: percent of an accuracy, milliseconds of a latency."""

    arch: Arch
    value: float


@dataclass(frozen=True)
class _Problem:
    line: int
    said: str


def read_measurements(files: Sequence[Path], table: TableConfig, space: SearchSpace) -> list[Measurement]:
    """Return the measurements of a table, whose files are one or, with `{size}` in their name, one per image size.

    Lines with # are comments. Rows that a column `usable` calls False are left out, so that tables of a run can be
    given to another.

    Raises
    ------
    FoxnasError
        A file cannot be read or lacks a column; rows that cannot be used, each with its line; no row at an image size.
    """
    sizes: Sequence[int | None] = space.image_sizes if "{size}" in table.file else [None]
    found: list[Measurement] = []
    for path, size in zip(files, sizes, strict=True):
        found += _of_file(path, table, space, size)
    here = {one.arch.image_size for one in found}
    if missing := [size for size in space.image_sizes if size not in here]:
        raise FoxnasError(
            f"{table.file}: has no row at {missing[0]} px, which space.image_sizes has; add rows, or leave the size out"
        )
    return found


def _of_file(path: Path, table: TableConfig, space: SearchSpace, size: int | None) -> list[Measurement]:
    rows = list(_rows(path))
    (_, head), *body = rows or [(0, [])]
    if table.column not in head:
        apart = [name for mark, name in _SEPARATORS.items() if mark in "".join(head)]
        hint = f"; its cells are separated by {apart[0]}, write commas" if apart else ""
        raise FoxnasError(
            f"{path}: has no column {quoted(table.column)} (it has {', '.join(map(shown, head))[:300] or 'none'})"
            f"{hint or '; add it, or name another in the table section of the config'}"
        )
    if twice := [name for name in head if head.count(name) > 1 and name]:
        raise FoxnasError(f"{path}: has two columns {quoted(twice[0])}; remove one")
    try:
        decode = decoder(head, space, size)
    except FoxnasError as error:
        raise FoxnasError(f"{path}: {error}") from error
    found: dict[Arch, tuple[int, float]] = {}
    problems: list[_Problem] = []
    for line, cells in body:
        try:
            if len(cells) != len(head):
                raise FoxnasError(f"has {len(cells)} cells, the heading {len(head)}; write a cell for each column")
            row = dict(zip(head, cells, strict=True))
            if row.get(_USABLE, "").strip().lower() in ("false", "0"):
                continue
            arch = _arch(decode, row, size)
            value = _number(row[table.column], table)
            if arch in found:
                raise FoxnasError(
                    f"{arch.text} is in line {found[arch][0]} already; remove one, or write their mean in one"
                )
            found[arch] = line, value
        except FoxnasError as error:
            problems.append(_Problem(line, str(error)))
    _refuse(path, problems)
    values = [value for _, value in found.values()]
    if table.unit == "percent" and len(values) > 1 and max(values) <= 1:
        raise FoxnasError(
            f"{path}: no number of {table.column} is above 1, so they are fractions; write unit: fraction"
        )
    _refuse(path, list(_of_another_unit(found, table)))
    return [Measurement(arch, value) for arch, (_, value) in found.items()]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that hold cells, with their numbers: the heading first."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader("\n" if line.startswith("#") else line for line in file)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, [cell.strip() for cell in cells]
    except UnicodeDecodeError as error:
        raise FoxnasError(f"{path}: {not_utf8(error)}") from error
    except (OSError, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise FoxnasError(f"{path}: cannot be read as CSV ({said})") from error


def _of_another_unit(found: Mapping[Arch, tuple[int, float]], table: TableConfig) -> Iterator[_Problem]:
    """Yield rows whose value is so far from the others of its image size that its unit is another."""
    of_size: dict[int, list[float]] = {}
    for arch, (_, value) in found.items():
        of_size.setdefault(arch.image_size, []).append(value)
    middle = {size: median(values) for size, values in of_size.items()}
    for arch, (line, value) in found.items():
        usual = middle[arch.image_size]
        # An accuracy may be 0, in every unit.
        if usual and value and not usual / _MOST_APART <= value <= usual * _MOST_APART:
            scale = _SCALE[table.unit]
            yield _Problem(
                line, f"{table.column} is {value / scale:.4g}, but the median at {arch.image_size} px is "
                f"{usual / scale:.4g}: is it in another unit? Write it in {table.unit}, or remove the row",
            )  # fmt: skip


def _arch(decode: Decode, row: Row, size: int | None) -> Arch:
    try:
        arch = decode(row)
    except FoxnasError as error:
        raise FoxnasError(f"{error}; correct the architecture, remove the row, or change space") from error
    if size is not None and arch.image_size != size:
        raise FoxnasError(f"{arch.text} is at {arch.image_size} px, the file's name says {size}; move the row")
    return arch


def _number(text: str, table: TableConfig) -> float:
    """Return a cell's number in percent or ms."""
    column, unit = table.column, table.unit
    if not text:
        raise FoxnasError(f"{column} is empty; measure it, or remove the row")
    try:
        number = float(text)
    except ValueError:
        if _COMMA.fullmatch(text):
            way_out = f"write {text.replace(',', '.')}"
            if _THOUSANDS.fullmatch(text):
                way_out += f", or {text.replace(',', '')} if the comma parts thousands"
        elif found := _WITH_UNIT.fullmatch(text):
            way_out = f"write the number alone, in {unit}, as the config's unit says, without {found[1]}"
        else:
            way_out = "correct it, or remove the row"
        raise FoxnasError(f"{column} is {quoted(text, 60)}, which is no number; {way_out}") from None
    if not math.isfinite(number):
        raise FoxnasError(f"{column} is {text}, which is no finite number; measure it again, or remove the row")
    value = number * _SCALE[unit]
    if isinstance(table, AccuracyTableConfig):
        if not 0 <= value <= 100:
            other = "percent" if unit == "fraction" and number <= 100 else ""
            way_out = f"write unit: {other}, or correct it" if other else "correct it, or remove the row"
            raise FoxnasError(f"{column} is {text}, which is no accuracy in {unit}; {way_out}")
    elif not 0 < value < 1e9:
        raise FoxnasError(f"{column} is {text}, which is no latency in {unit}; measure it again, or remove the row")
    return value


def _refuse(path: Path, problems: Sequence[_Problem]) -> None:
    """Raise FoxnasError that lists the problems, if there are any: the first of them in the first line."""
    if not problems:
        return
    first, *others = problems
    more = f" ({len(others)} more row{'s' * (len(others) > 1)} cannot be used)" if others else ""
    lines = [f"{path}, line {first.line}: {first.said}{more}"]
    lines += [f"  line {one.line}: {one.said}" for one in others[: _LISTED - 1]]
    if len(problems) > _LISTED:
        lines.append(f"  ... and {len(problems) - _LISTED} more")
    raise FoxnasError("\n".join(lines))
