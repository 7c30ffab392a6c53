"""Latency of a space's blocks on a device, each timed in a chain of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foxnas.device import building
from foxnas.device.acceptance import COLUMNS, UNDISTURBED
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.session import measure_probes
from foxnas.space.blocks import Blocks
from foxnas.space.space import SearchSpace

if TYPE_CHECKING:
    import pandas as pd

#: Copies of a block in its chain: with 4, errors are a twentieth larger (docs/evidence/blocks.md).
COPIES = 8

#: Timings of each chain: with 3, errors are 2% smaller for twice the device's time (docs/evidence/blocks.md).
_REPEATS = 1


def measure_blocks(
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: Sequence[str],
    space: SearchSpace,
    journal: Path,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return one row per distinct block of the space, and what is to be known about the sessions that measured them.

    Parameters, results and errors as of `foxnas.device.subnets.measure_subnets`; `arch` gives way to `copies` and
    `block_ms`, a copy's share of what the chain takes undisturbed: a neighbour on a shared machine comes and goes and
    moves medians (docs/evidence/blocks.md), and what is usual on the device the whole subnets teach.
    """
    kind = kind_of(device.kind)
    write, blocks = kind.chain_writer(space), Blocks(space).distinct
    reference = kind.reference(space, None, None)[0]
    target, protocol = building.build_device(device, access, provisioning)
    protocol = replace(protocol, repeats=_REPEATS)
    probes = [(block.id, "", partial(write, block, COPIES)) for block in blocks]
    rows, info = measure_probes(
        target, protocol, probes, reference, journal, rng, made_from=kind.chain_code(), columns=(*COLUMNS, UNDISTURBED)
    )
    rows = rows.assign(copies=COPIES, block_ms=rows[UNDISTURBED] / COPIES)
    return rows[["id", "copies", "block_ms", *(name for name in COLUMNS if name not in ("id", "arch"))]], info
