"""Latency of a space's blocks on a device, each timed in a chain of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foxnas.device import building
from foxnas.device.acceptance import COLUMNS, UNDISTURBED
from foxnas.device.block_outliers import standing_out
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import measure_probes
from foxnas.space.blocks import Block, Blocks
from foxnas.space.space import SearchSpace

if TYPE_CHECKING:
    import pandas as pd

#: Copies of a block in its chain (docs/evidence/blocks.md).
COPIES = 8

_log = logging.getLogger(__name__)


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
    moves medians (docs/evidence/blocks.md), and what is usual on the device the whole subnets teach. Blocks that stand
    out after that are timed once more.
    """
    kind = kind_of(device.kind)
    write, blocks = kind.chain_writer(space), Blocks(space).distinct
    reference = kind.reference(space, None, None)[0]
    target, protocol = building.build_device(device, access, provisioning)
    code = kind.chain_code()

    def timed(some: Sequence[Block], times: MeasurementProtocol) -> tuple[pd.DataFrame, dict[str, Any]]:
        probes = [(block.id, "", partial(write, block, COPIES)) for block in some]
        return measure_probes(
            target, times, probes, reference, journal, rng, made_from=code, columns=(*COLUMNS, UNDISTURBED)
        )

    once = replace(protocol, repeats=1)
    rows, info = timed(blocks, once)
    good = rows[rows["usable"]]
    if again := standing_out(blocks, dict(zip(good["id"], good[UNDISTURBED], strict=True))):
        _log.info("%d of %d blocks stand out and are timed once more", len(again), len(blocks))
        # The two may disagree, that is why: of two timings the range is never twice the mean.
        timed(again, replace(protocol, repeats=2, max_disagreement=2.0, max_attempts=protocol.max_attempts + 1))
        # Out of the journal: a table that an interruption does not change, and one device's.
        rows, info = timed(blocks, once)
    rows = rows.assign(copies=COPIES, block_ms=rows[UNDISTURBED] / COPIES)
    return rows[["id", "copies", "block_ms", *(name for name in COLUMNS if name not in ("id", "arch"))]], info
