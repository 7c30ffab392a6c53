"""Fixtures that several test files share."""

from __future__ import annotations

import os

# Test files run side by side, one a core: more threads each would only wait for one another. Read when torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from foxnas.blocks import UnitSpec
from foxnas.space import SearchSpace


@pytest.fixture(scope="session")
def mini() -> SearchSpace:
    """A space of the demo's kind: the paper's knobs and unit types at an eighth of its sizes."""
    widths, strides, types = (4, 6, 8, 12, 16), (2, 1, 2, 1, 1), (2, 1, 2, 1, 1)
    return SearchSpace(
        name="mini",
        image_sizes=(16, 20, 24, 28, 32, 36, 40),
        kernel_sizes=(3, 5, 7),
        expansion_ratios=(2, 3, 4, 6),
        depths=(2, 3, 4),
        stem_width=4,
        stem_stride=2,
        units=tuple(UnitSpec(*unit) for unit in zip(widths, strides, types, strict=True)),
        head_width=32,
        image_channels=1,
        classes=10,
    )
