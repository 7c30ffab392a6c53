"""What a knob is worth where units have their own choices: against the mean prediction of drawn subnets."""

from itertools import islice

import numpy as np
import pytest

from foxnas.predictor.fit import fit
from foxnas.report.effects import knob_effects
from foxnas.report.fit_panels import draw_knobs
from tests.support.kinds import PER_UNIT


def test_a_knob_counts_only_where_its_unit_has_a_choice() -> None:
    rng = np.random.default_rng(0)
    archs = list(islice(PER_UNIT.sample(32, rng), 300))
    y = np.array([sum(e * k for unit in a.units for k, e in unit) for a in archs]) + rng.normal(0, 1, len(archs))
    predictor = fit("accuracy", PER_UNIT, 32, archs, y, target="latency", unit="ms")
    effects = {(effect.knob, effect.unit): effect for effect in knob_effects(predictor)}
    assert set(effects) == {
        ("D", 1), ("E_first", 1), ("E_rest", 1),
        ("D", 2), ("K_first", 2), ("E_first", 2), ("K_rest", 2), ("E_rest", 2),
        ("K_first", 3), ("K_rest", 3), ("E_first", 4),
    }  # fmt: skip
    sample = [PER_UNIT.draw(32, rng) for _ in range(6000)]

    def mean(unit: int, layers) -> float:  # type: ignore[no-untyped-def]
        changed = [arch.with_unit(unit, layers(arch.units[unit])) for arch in sample if layers(arch.units[unit])]
        return float(predictor.predict(changed).mean.mean())

    first = [mean(3, lambda unit, e=e: ((unit[0][0], e),)) for e in (1, 4)]
    assert effects["E_first", 4].value == pytest.approx(first[1] - first[0], rel=1e-6)
    # Of layers after the first, over the depths that have some.
    rest = [mean(1, lambda unit, k=k: (unit[0], *((k, e) for _, e in unit[1:])) if unit[1:] else None) for k in (3, 5)]
    assert effects["K_rest", 2].value == pytest.approx(rest[1] - rest[0], rel=0.05)
    picture = str(draw_knobs(predictor))
    assert [name for name in ("depth", "K, first layer", "K, other layers") if f">{name}<" not in picture] == []
