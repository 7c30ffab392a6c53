"""Latency of sampled subnets on a device, by the probes that its kind writes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foxnas.device import building
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.session import measure_probes
from foxnas.files.identity import Identity
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace

if TYPE_CHECKING:
    import pandas as pd


def measure_subnets(
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: Sequence[str],
    space: SearchSpace,
    archs: Sequence[Arch],
    journal: Path,
    rng: np.random.Generator,
    sampled: Sequence[Identity] = (),
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return one row per subnet, in order, and what is to be known about the sessions that measured them.

    Parameters, results and errors as of `foxnas.device.building.build_device` and
    `foxnas.device.session.measure_probes`. What the journal has is not measured again.
    """
    kind = kind_of(device.kind)
    write = kind.probe_writer(space)
    reference, written_by = kind.reference(space, None, None)
    target, protocol = building.build_device(
        device, access, provisioning, sampled, partial(kind.comparison_probes, space, None, None)
    )
    probes = [(arch.id, arch.text, partial(write, arch)) for arch in archs]
    return measure_probes(target, protocol, probes, reference, journal, rng, made_from=written_by)
