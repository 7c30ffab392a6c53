"""Three ways in which a row of a user's table names an architecture, told apart by the table's columns.

- `arch`: our text, ``r192_k3e4.k5e6_k7e3``.
- Layers: ``u1_d`` is the depth of unit 1, ``u1_k2`` and ``u1_e2`` are K and E of its second layer. Without ``u1_d`` the
  depth is the number of layers that are filled in, from the first on and without a gap; with it, layers past the
  depth are not read.
- Counts: ``u1_k3e4`` is the number of layers of unit 1, the first included, with K = 3 and E = 4; ``u1_first`` says
  which of them is the first, such as ``k3e4``, and may be empty where all are alike. The other layers follow by K, then
  E: no term of any regression depends on their order (`foxnas.space.terms`).

Units and layers count from 1. A knob that has one choice in its unit needs no column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from foxnas.errors import FoxnasError
from foxnas.settings.encoding import quoted, shown
from foxnas.space.arch import Arch, Layer
from foxnas.space.layers import UnitChoices
from foxnas.space.space import SearchSpace

#: A column with the image size, in pixels.
SIZE = "image_size"

Row = Mapping[str, str]
Decode = Callable[[Row], Arch]

_LAYER = re.compile(r"u(0|[1-9]\d*)_(?:d|[ke]([1-9]\d*))")
_COUNT = re.compile(r"u(0|[1-9]\d*)_(?:first|k([1-9]\d*)e([1-9]\d*))")


def decoder(columns: Sequence[str], space: SearchSpace, size: int | None) -> Decode:
    """Return what reads a row's architecture; it raises FoxnasError for a row that names none of the space.

    Parameters
    ----------
    size
        The image size of all rows, where the file's name says it.

    Raises
    ------
    FoxnasError
        The columns name no architectures of this space; which are missing, or of no unit of the space.
    """
    if "arch" in columns:
        return lambda row: space.parse(row["arch"])
    counts = any((found := _COUNT.fullmatch(name)) and found[2] for name in columns)
    kind, unit_of = (_COUNT, _counted) if counts else (_LAYER, _layered)
    own = [name for name in columns if kind.fullmatch(name)]
    if not own:
        raise FoxnasError(
            f"has no column arch, nor columns such as u1_d, u1_k1 and u1_e1 (layers) or u1_k3e4 (counts); it has "
            f"{', '.join(map(shown, columns))[:300]}"
        )
    units = len(space.units)
    if far := [name for name in own if not 1 <= int(name[1:].partition("_")[0]) <= units]:
        raise FoxnasError(f"has a column {far[0]}, but space {space.name} has units 1 to {units}; rename or remove it")
    read = [unit_of(number, choices, own) for number, choices in enumerate(space.choices, 1)]
    size_of = _sized(columns, space, size)
    return lambda row: space.validate(Arch(size_of(row), tuple(unit(row) for unit in read)))


def _sized(columns: Sequence[str], space: SearchSpace, size: int | None) -> Callable[[Row], int]:
    if SIZE in columns:
        return lambda row: _whole(row, SIZE)
    only = size or (space.image_sizes[0] if len(space.image_sizes) == 1 else None)
    if only is None:
        raise FoxnasError(f"has no column {SIZE}, and space {space.name} has {len(space.image_sizes)} sizes; add it")
    return lambda row: only


def _layered(unit: int, choices: UnitChoices, columns: Sequence[str]) -> Callable[[Row], tuple[Layer, ...]]:
    most = choices.depths[-1]
    depth = f"u{unit}_d"
    knobs = [("k", choices.kernel_sizes), ("e", choices.expansion_ratios)]
    free = [letter for letter, values in knobs if len(values) > 1]
    fixed = {letter: values[0] for letter, values in knobs if len(values) == 1}
    own = [found for name in columns if (found := _LAYER.fullmatch(name)) and int(found[1]) == unit]
    layers = sorted({int(found[2]) for found in own if found[2]})
    needed = [f"u{unit}_{letter}{layer}" for layer in range(1, most + 1) for letter in free]
    if not free and depth not in columns and len(choices.depths) > 1:
        needed = [depth]
    if missing := [name for name in needed if name not in columns]:
        raise FoxnasError(f"has no column {missing[0]}, which unit {unit} of this space needs; add it")

    def depth_of(row: Row) -> int:
        if depth in columns:
            return _whole(row, depth)
        if not free:
            return most
        filled = [n for n in layers if any(row.get(f"u{unit}_{letter}{n}") for letter in free)]
        if filled and filled[-1] != len(filled):
            gap = next(place for place, n in enumerate(filled, 1) if n != place)
            raise FoxnasError(f"layer {gap} of unit {unit} is empty, but layer {filled[-1]} is filled in")
        return len(filled)

    def knob(row: Row, letter: str, layer: int) -> int:
        return _whole(row, f"u{unit}_{letter}{layer}", empty=fixed.get(letter))

    def read(row: Row) -> tuple[Layer, ...]:
        number = depth_of(row)
        if number > most:
            raise FoxnasError(f"depth {number} of unit {unit} is not one of {list(choices.depths)}")
        return tuple((knob(row, "k", layer), knob(row, "e", layer)) for layer in range(1, number + 1))

    return read


def _counted(unit: int, choices: UnitChoices, columns: Sequence[str]) -> Callable[[Row], tuple[Layer, ...]]:
    head = f"u{unit}_first"
    kinds = {
        name: (int(found[2]), int(found[3]))
        for name in columns
        if (found := _COUNT.fullmatch(name)) and found[2] and int(found[1]) == unit
    }
    if not kinds and len(choices.depths) == len(choices.layers()) == 1:  # there is nothing to say of this unit
        return lambda row: choices.layers() * choices.depths[0]
    if not kinds:
        raise FoxnasError(f"has no column such as u{unit}_k{choices.kernel_sizes[0]}e{choices.expansion_ratios[0]}, "
                          f"which unit {unit} of this space needs; add one for each kind of layer")  # fmt: skip
    if head not in columns and len(kinds) > 1:
        raise FoxnasError(f"has no column {head}, which says which layer of unit {unit} is the first; add it")

    def read(row: Row) -> tuple[Layer, ...]:
        counts = {kind: _whole(row, name, empty=0) for name, kind in kinds.items()}
        there = sorted(kind for kind, count in counts.items() if count)
        said = row[head] if head in columns else ""
        first = next((kind for kind in there if f"k{kind[0]}e{kind[1]}" == said), None) if said else None
        if first is None and (said or len(there) != 1):
            raise FoxnasError(
                f"{head} is {quoted(said)}, which is none of the unit's layers "
                f"({', '.join(f'k{k}e{e}' for k, e in there) or 'it has none'}); name one of them"
            )
        first = first or there[0]
        if (depth := sum(counts.values())) > choices.depths[-1]:
            raise FoxnasError(f"depth {depth} of unit {unit} is not one of {list(choices.depths)}")
        rest = [kind for kind in there for _ in range(counts[kind] - (kind == first))]
        return (first, *rest)

    return read


def _whole(row: Row, column: str, empty: int | None = None) -> int:
    text = row.get(column, "")
    if not text and empty is not None:
        return empty
    if not re.fullmatch(r"\d{1,9}(\.0*)?", text):
        raise FoxnasError(f"{column} is {quoted(text, 60)}, which is no whole number")
    return int(text.partition(".")[0])
