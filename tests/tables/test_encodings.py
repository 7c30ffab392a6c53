"""The three ways in which a row names an architecture."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from foxnas.space.terms import FORMULAS, formula
from foxnas.tables.encodings import decoder
from tests.support.kinds import PER_UNIT
from tests.support.tables import counts_of, layers_of

SPACES = [*(read_space(name) for name in ("cpu", "mini", "tpu", "lite0")), PER_UNIT]


@pytest.fixture(params=SPACES, ids=lambda space: space.name)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    """The paper's two spaces, the demo's, and two whose units have choices of their own and single layers."""
    found: SearchSpace = request.param
    return found


def sampled(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    return [arch for size in space.image_sizes[:2] for arch in islice(space.sample(size, rng), 40)]


def test_our_text_and_layers_are_read_as_they_are(space: SearchSpace) -> None:
    for arch in sampled(space):
        row = layers_of(arch, space)
        assert decoder(list(row), space, None)(row) == arch
        assert decoder(["arch", "else"], space, None)({"arch": f" {arch.text} ", "else": "x"}) == arch


def test_depth_is_counted_where_no_column_says_it_and_layers_past_it_are_not_read(space: SearchSpace) -> None:
    for arch in sampled(space):
        row = layers_of(arch, space)
        told = {name: value or "7" for name, value in row.items()}  # as encodings of a fixed length fill them
        assert decoder(list(told), space, None)(told) == arch
        counted = {name: value for name, value in row.items() if not name.endswith("_d")}
        assert decoder(list(counted), space, None)(counted) == arch


def test_what_a_unit_has_no_choice_of_needs_no_column() -> None:
    """Units of one layer, of one K, of one E."""
    fixed = {"u1_k1", "u1_k2", "u3_d", "u3_e1", "u3_e2", "u4_d", "u4_k1"}
    for arch in sampled(PER_UNIT):
        whole = layers_of(arch, PER_UNIT)
        assert fixed < whole.keys()
        row = {name: value for name, value in whole.items() if name not in fixed}
        assert decoder(list(row), PER_UNIT, None)(row) == arch
    space = replace(PER_UNIT, units=(*PER_UNIT.units[:3], replace(PER_UNIT.units[3], expansion_ratios=(4,))))
    for arch in sampled(space):
        row = {name: value for name, value in counts_of(arch, space).items() if not name.startswith("u4_")}
        assert [sorted(unit) for unit in decoder(list(row), space, None)(row).units] == [
            sorted(unit) for unit in arch.units
        ]


def test_no_regression_tells_counts_from_the_architecture_that_was_counted(space: SearchSpace) -> None:
    archs = sampled(space)
    found = []
    for arch in archs:
        row = counts_of(arch, space)
        found.append(decoder(list(row), space, None)(row))
        assert [sorted(unit) for unit in found[-1].units] == [sorted(unit) for unit in arch.units]
        assert [unit[0] for unit in found[-1].units] == [unit[0] for unit in arch.units]
    assert found != archs  # the order of later layers is lost
    for name in FORMULAS:
        terms = formula(name, space)
        np.testing.assert_allclose(terms.matrix(found), terms.matrix(archs), rtol=1e-12)


def test_the_first_layer_needs_no_name_where_all_are_alike() -> None:
    space = read_space("mini")
    arch = space.parse("r24_" + "_".join(["k3e4.k3e4"] * 5))
    row = counts_of(arch, space) | {f"u{unit}_first": "" for unit in range(1, 6)}
    assert decoder(list(row), space, None)(row) == arch


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"u2_d": "9"}, "depth 9 of unit 2 is not one of"),
        ({"u2_d": ""}, "u2_d is '', which is no whole number"),
        ({"u1_k1": "4"}, "layer k4e"),
        ({"u1_k1": "3.5"}, "u1_k1 is '3.5', which is no whole number"),
        ({"u1_k1": None}, "has no column u1_k1, which unit 1 of this space needs; add it"),
        ({"u6_k1": "3"}, "has a column u6_k1, but space mini has units 1 to 5; rename or remove it"),
        ({"image_size": None}, "has no column image_size, and space mini has 7 sizes; add it"),
        ({"image_size": "17"}, "image size 17 is not one of"),
        ({"u1_d": None, "u1_k2": "", "u1_e2": ""}, "layer 2 of unit 1 is empty, but layer 4 is filled in"),
        ({"u1_d": None, "u1_k4": ""}, "u1_k4 is '', which is no whole number"),
        ({"u1_d": None, "u1_e4": ""}, "u1_e4 is '', which is no whole number"),
        ({"u1_d": None, "u1_k5": "3", "u1_e5": "4"}, "depth 5 of unit 1 is not one of"),
        ({"u1_d": None, "u1_k999999999999": "3"}, "layer 5 of unit 1 is empty, but layer 999999999999 is filled in"),
        ({"u1_k1": None, "u01_k1": "3"}, "has no column u1_k1, which unit 1 of this space needs; add it"),
    ],
)
def test_layers_that_are_none_are_refused(changes: dict[str, str | None], said: str, mini: SearchSpace) -> None:
    row = layers_of(mini.largest(24), mini) | changes
    row = {name: value for name, value in row.items() if value is not None}
    with pytest.raises(FoxnasError, match=said):
        decoder(list(row), mini, None)(row)


def test_a_knob_without_a_choice_may_not_say_another_value() -> None:
    space = replace(read_space("mini"), expansion_ratios=(4,))
    row = layers_of(space.largest(24), space)
    assert decoder(list(row), space, None)(row) == space.largest(24)
    with pytest.raises(FoxnasError, match="layer k7e6 of unit 1 is outside"):
        decoder(list(row), space, None)(row | {"u1_e1": "6"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"u1_first": "k9e9"}, "u1_first is 'k9e9', which is none of the unit's layers"),
        ({"u1_first": ""}, "u1_first is '', which is none of the unit's layers .* name one of them"),
        ({"u1_first": None}, "has no column u1_first, which says which layer of unit 1 is the first"),
        ({"u1_k3e2": "40"}, "depth 4\\d of unit 1 is not one of"),
        ({"u1_k3e2": "two"}, "u1_k3e2 is 'two', which is no whole number"),
    ],
)
def test_counts_that_are_none_are_refused(changes: dict[str, str | None], said: str, mini: SearchSpace) -> None:
    arch = mini.parse("r24_k3e4.k5e6.k3e2_" + "_".join(["k3e4.k3e4"] * 4))
    row = {name: value for name, value in (counts_of(arch, mini) | changes).items() if value is not None}
    with pytest.raises(FoxnasError, match=said):
        decoder(list(row), mini, None)(row)
