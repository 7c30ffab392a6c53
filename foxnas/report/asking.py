"""What the page needs to answer questions: the space and the regressions, as JSON that its script reads.

`templates/predictors.js` says how they are read, `templates/frontier.js` how the exact frontier comes of them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from foxnas.predictor.model import Predictor
from foxnas.report.costs import cost_tables
from foxnas.report.data import FittedSpace, SearchedDevice
from foxnas.report.plane import embedded
from foxnas.report.targets import difference_unit, name_of, unit_of
from foxnas.space.layers import FUSED, SQUEEZE_EXCITE
from foxnas.space.space import SearchSpace


@dataclass(frozen=True)
class Target:
    """What is predicted of an architecture: its name on the page and the predictor of every image size."""

    name: str
    predictors: Mapping[int, Predictor]

    @property
    def unit(self) -> str:
        """Unit of its values on the page."""
        return unit_of(next(iter(self.predictors.values())).unit)


def targets_of(run: FittedSpace, device: SearchedDevice) -> list[Target]:
    """Return what the search maximised, the latency, and top-1 where that is another: the first fits of each."""
    searched = Target(name_of(run.searched_for), {size: fits.predictor for size, fits in run.accuracy.items()})
    latency = Target(device.latency_name, {size: fits.predictor for size, fits in device.latency.items()})
    if run.searched_for == "top1":
        return [searched, latency]
    top1 = {size: fits.of_target("top1") for size, fits in run.accuracy.items()}
    return [searched, latency, Target(name_of("top1"), top1)]


def questions(
    space: SearchSpace, targets: Sequence[Target], budgets: Mapping[str, float], command: str | None
) -> Markup:
    """Return the JSON of one device.

    Parameters
    ----------
    targets
        The accuracy to maximise, the latency in milliseconds, and what else is to be predicted.
    budgets
        Milliseconds of the budgets that were searched for, by name.
    command
        What exports and measures an architecture, with ``{arch}`` where its text stands; None: nothing does.
    """
    sizes = list(targets[0].predictors)
    return embedded(
        {
            "space": {**_described(space), "sizes": sizes},
            "targets": [
                {
                    "name": target.name,
                    "unit": target.unit,
                    "difference": difference_unit(target.predictors[sizes[0]].unit),
                    "fits": [_fit(target.predictors[size]) for size in sizes],
                }
                for target in targets
            ],
            "budgets": [{"name": name, "ms": ms} for name, ms in budgets.items()],
            "command": command and command.split("{arch}"),
            "costs": cost_tables(space, sizes),
        }
    )


def _described(space: SearchSpace) -> dict[str, Any]:
    units = []
    for unit, choices in zip(space.units, space.choices, strict=True):
        kind = {SQUEEZE_EXCITE: ", SE", FUSED: ", fused"}.get(unit.type, "")
        stride = f", stride {unit.stride}" if unit.stride > 1 else ""
        own = {"depths": choices.depths, "kernels": choices.kernel_sizes, "ratios": choices.expansion_ratios}
        units.append({**own, "words": f"{unit.width} wide{stride}{kind}"})
    whole = {"depths": space.depths, "kernels": space.kernel_sizes, "ratios": space.expansion_ratios}
    return {"name": space.name, **whole, "units": units}


def _fit(predictor: Predictor) -> dict[str, Any]:
    """Return a fitted predictor. Only the covariance is packed: as text it would be most of the page."""
    assert predictor.uncertainty is not None
    covariance = np.asarray(predictor.uncertainty.unscaled_covariance)
    # In exact arithmetic it is symmetric, and a quadratic form sees the mean of both triangles alone.
    triangle = ((covariance + covariance.T) / 2)[np.triu_indices(len(covariance))]
    return {
        "intercept": predictor.intercept,
        "coefficients": dict(zip(predictor.formula.terms, predictor.coefficients, strict=True)),
        "asymptote": predictor.link.asymptote,
        "error": predictor.uncertainty.residual_standard_error,
        "freedom": predictor.uncertainty.degrees_of_freedom,
        "together": predictor.pooling is not None,
        "covariance": base64.b64encode(triangle.astype("<f8").tobytes()).decode("ascii"),
    }
