"""How well the sum of a device's blocks predicts the subnets that were timed, size by size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foxnas.report.data import Fits


@dataclass(frozen=True)
class BlockRow:
    """The blocks of one image size."""

    image_size: int
    blocks: int
    usable_blocks: int
    timed: int
    sampled: int
    weight: float
    """By which their sum counts."""
    within_5: float
    """Percent of the timed subnets within 5% of what the fit to the others predicts."""
    within_10: float
    error_percent: float
    """Within how many percent 95% of them are."""
    accepted_percent: float

    @property
    def accepted(self) -> bool:
        """Whether blocks add up to subnets on this device."""
        return self.error_percent <= self.accepted_percent


def block_rows(fits: Mapping[int, Fits]) -> list[BlockRow]:
    """Return one line per image size; none where the device does not time blocks."""
    rows = []
    for size, of_size in fits.items():
        if of_size.blocks:
            found = dict(of_size.blocks)
            within = found.pop("within_percent")
            rows.append(BlockRow(size, within_5=within["5"], within_10=within["10"], **found))
    return rows
