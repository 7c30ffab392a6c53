"""Timing of few probes, chosen to tell most, until a mix of other devices' regressions predicts closely enough."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from foxnas.device.acceptance import COLUMNS
from foxnas.predictor.mix import FEWEST, NOT_NEEDED, Basis, fit_mix
from foxnas.space.arch import Arch

_log = logging.getLogger(__name__)

#: Probes timed before the first judgement, and more at a time after it.
FIRST, STEP = 10, 5

#: Probes after which a device counts as unlike the others, and all subnets are timed. In 0.9% of 440 trials with 11
#: devices 100 probes were close enough, and 60 were not (docs/evidence/transfer.md).
MOST = 60


@dataclass(frozen=True)
class Judgement:
    """What a number of probes came to; `error_percent` as in `foxnas.predictor.mix`, None where it is not known."""

    probes: int
    usable: int
    error_percent: float | None


def time_chosen(
    basis: Basis,
    archs: Sequence[Arch],
    until_percent: float,
    measure: Callable[[Sequence[Arch]], tuple[pd.DataFrame, dict[str, Any]]],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return one row per subnet, in order, those that were not needed with the reason, and what is to be known.

    Parameters
    ----------
    measure
        Returns rows of `foxnas.device.acceptance.COLUMNS` for subnets, in order, and what is to be known of the
        sessions. It is asked for more subnets at each call, and remembers what it has measured.

    Returns
    -------
    table
        As of `foxnas.device.session.measure_probes`.
    info
        Of the last call of `measure`, and under ``like`` the judgements, and whether the last one was `enough`.
    """
    order = basis.most_telling_first(archs)
    judgements: list[Judgement] = []
    for count in range(FIRST, min(MOST, len(archs)) + 1, STEP):
        asked = [archs[place] for place in sorted(order[:count])]
        rows, info = measure(asked)
        judgements.append(_judge(basis, archs, rows, asked))
        expected = judgements[-1].error_percent
        said = "more probes are needed to say" if expected is None else f"expected within {expected:.1f}%"
        _log.info("%d probes, 95%% of subnets: %s (until %g%%)", count, said, until_percent)
        if expected is not None and expected <= until_percent:
            rest = not_timed([archs[place] for place in order[count:]])
            rows = pd.concat([rows, rest]).set_index("id", drop=False).loc[[arch.id for arch in archs]]
            return rows.reset_index(drop=True), {**info, "like": _record(judgements, True)}
    _log.warning("the device is unlike the others: all subnets are timed")
    rows, info = measure(archs)
    return rows, {**info, "like": _record(judgements, False)}


def not_timed(archs: Sequence[Arch], reason: str = NOT_NEEDED) -> pd.DataFrame:
    """Return the rows of subnets that were not needed."""
    rows = [{"id": arch.id, "arch": arch.text, "attempts": 0, "reason": reason} for arch in archs]
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(usable=False)[list(COLUMNS)]


def _judge(basis: Basis, archs: Sequence[Arch], rows: pd.DataFrame, asked: Sequence[Arch]) -> Judgement:
    used = rows["usable"].to_numpy(dtype=bool)
    timed = [arch for arch, usable in zip(asked, used, strict=True) if usable]
    if len(timed) < FEWEST:
        return Judgement(len(asked), len(timed), None)
    mix = fit_mix(basis, basis.design(timed), rows["latency_ms"].to_numpy(dtype=float)[used])
    expected = mix.expected_error_percent(basis.design(archs))
    return Judgement(len(asked), len(timed), expected if np.isfinite(expected) else None)


def _record(judgements: Sequence[Judgement], enough: bool) -> dict[str, Any]:
    return {"judgements": [asdict(one) for one in judgements], "enough": enough}
