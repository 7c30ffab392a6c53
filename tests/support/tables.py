"""Architectures as rows of a user's table, in both ways besides our text."""

from __future__ import annotations

from collections import Counter
from itertools import product

from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


def layers_of(arch: Arch, space: SearchSpace) -> dict[str, str]:
    """Return the columns of every knob, empty past the depth of a unit."""
    row = {"image_size": str(arch.image_size)}
    for number, (unit, choices) in enumerate(zip(arch.units, space.choices, strict=True), 1):
        row[f"u{number}_d"] = str(len(unit))
        for layer in range(choices.depths[-1]):
            k, e = unit[layer] if layer < len(unit) else ("", "")
            row |= {f"u{number}_k{layer + 1}": str(k), f"u{number}_e{layer + 1}": str(e)}
    return row


def counts_of(arch: Arch, space: SearchSpace) -> dict[str, str]:
    """Return the columns of how many layers of each kind a unit has, and of its first one."""
    row = {"image_size": str(arch.image_size)}
    for number, (unit, choices) in enumerate(zip(arch.units, space.choices, strict=True), 1):
        counts = Counter(unit)
        row[f"u{number}_first"] = "k{}e{}".format(*unit[0])
        for k, e in product(choices.kernel_sizes, choices.expansion_ratios):
            row[f"u{number}_k{k}e{e}"] = str(counts[k, e])
    return row


def csv_of(rows: list[dict[str, str]]) -> str:
    """Return rows as the text of a CSV file."""
    return "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"
