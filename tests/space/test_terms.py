"""The 25 variables and their terms, against the definitions of the design and the authors' own script."""

import dataclasses
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.terms import FORMULAS, formula
from tests.support.kinds import PER_UNIT
from tests.support.published import CPU_SPACE

TPU_SPACE = read_space("tpu")

layer = st.tuples(st.sampled_from(CPU_SPACE.kernel_sizes), st.sampled_from(CPU_SPACE.expansion_ratios))
unit = st.lists(layer, min_size=2, max_size=4).map(tuple)


def authors_columns(depth: float, e: float, k: float, e_first: float, k_first: float) -> tuple[list[float], ...]:
    """One unit's columns as the authors' script multiplies them: accuracy, latency."""
    common = [depth, e, k, e_first, k_first]
    return [*common, (depth - 1) * e, depth * (depth - 1) * e, depth * k], [*common, depth * e, depth * k]


@pytest.mark.parametrize(
    ("space", "accuracy", "latency"), [(CPU_SPACE, 40, 35), (TPU_SPACE, 25, 20)], ids=["cpu", "tpu"]
)
def test_number_of_terms_is_the_papers_and_no_column_is_redundant(space, accuracy, latency):
    assert len(formula("accuracy", space).terms) == accuracy
    assert len(formula("latency", space).terms) == latency
    archs = list(islice(space.sample(192, np.random.default_rng(3)), 400))
    for name in FORMULAS:
        columns = formula(name, space).matrix(archs)
        with_ones = np.column_stack([np.ones(len(archs)), columns])
        assert np.linalg.matrix_rank(with_ones) == with_ones.shape[1], name


@pytest.mark.parametrize("depths", [(2,), (2, 3), (2, 4), (1,), (1, 2), (1, 3), (1, 2, 3), (1, 2, 3, 4)])
@pytest.mark.parametrize("kernels", [(3,), (3, 5)])
@pytest.mark.parametrize("ratios", [(4,), (2, 4)])
def test_terms_of_a_space_with_few_choices_are_independent(depths, kernels, ratios):
    space = dataclasses.replace(CPU_SPACE, depths=depths, kernel_sizes=kernels, expansion_ratios=ratios)
    if space.count() == len(space.image_sizes):
        return
    wanted = min(400, space.count() // len(space.image_sizes))
    archs = list(islice(space.sample(192, np.random.default_rng(3)), wanted))
    for name in FORMULAS:
        columns = formula(name, space).matrix(archs)
        assert np.linalg.matrix_rank(np.column_stack([np.ones(wanted), columns])) == columns.shape[1] + 1


@pytest.mark.parametrize("space", [PER_UNIT, *map(read_space, ("lite0", "lite1", "pi5"))], ids=lambda space: space.name)
def test_terms_of_units_with_their_own_choices_are_independent(space):
    archs = list(islice(space.sample(space.image_sizes[0], np.random.default_rng(3)), 600))
    for name in FORMULAS:
        columns = formula(name, space).matrix(archs)
        assert columns.shape[1] == len(formula(name, space).terms)
        assert np.linalg.matrix_rank(np.column_stack([np.ones(len(archs)), columns])) == columns.shape[1] + 1, name


def test_columns_are_the_authors_and_in_their_order():
    units = (
        ((3, 6), (5, 2), (7, 4)),
        ((7, 2), (3, 3)),
        ((5, 4), (5, 6), (5, 6), (3, 3)),
        ((3, 2), (3, 2)),
        ((7, 6), (7, 6), (7, 6), (7, 6)),
    )
    variables = [(3, 3, 6, 6, 3), (2, 3, 3, 2, 7), (4, 5, 13 / 3, 4, 5), (2, 2, 3, 2, 3), (4, 6, 7, 6, 7)]
    accuracy, latency = zip(*(authors_columns(*v) for v in variables), strict=True)
    arch = Arch(192, units)
    # Groups of one term, units inside a group: the transpose of the rows above.
    np.testing.assert_allclose(formula("accuracy", CPU_SPACE).matrix([arch])[0], np.array(accuracy).T.ravel())
    np.testing.assert_allclose(formula("latency", CPU_SPACE).matrix([arch])[0], np.array(latency).T.ravel())
    assert formula("accuracy", CPU_SPACE).terms[:6] == ("D_1", "D_2", "D_3", "D_4", "D_5", "E_avg_1")
    assert formula("accuracy", CPU_SPACE).terms[-10:] == (
        *(f"DxE_total_{u}" for u in range(1, 6)),
        *(f"DxK_avg_{u}" for u in range(1, 6)),
    )


def test_curvature_of_the_kernel_marks_the_middle_one():
    extended = formula("accuracy-quadratic-k", CPU_SPACE)
    terms = dict(zip(extended.kinds, extended.unit_matrix([((5, 2), (3, 2), (5, 2), (7, 2))])[0], strict=True))
    assert terms["K2_first"] == 0
    assert terms["K2_avg"] == pytest.approx(2 / 3)
    assert extended.terms[:40] == formula("accuracy", CPU_SPACE).terms


@given(unit, st.randoms(use_true_random=False), st.sampled_from(sorted(FORMULAS)))
def test_order_of_layers_after_the_first_changes_no_term(layers, random, name):
    rest = list(layers[1:])
    random.shuffle(rest)
    terms = formula(name, CPU_SPACE)
    np.testing.assert_allclose(*terms.unit_matrix([layers, (layers[0], *rest)]), rtol=1e-13)


@pytest.mark.parametrize("space", [CPU_SPACE, PER_UNIT], ids=lambda space: space.name)
def test_a_prediction_is_a_sum_over_units(space):
    archs = list(islice(space.sample(space.image_sizes[0], np.random.default_rng(0)), 50))
    rng = np.random.default_rng(1)
    for name in FORMULAS:
        terms = formula(name, space)
        coefficients = rng.normal(size=len(terms.terms))
        by_unit = terms.by_unit(coefficients)
        sums = [sum(terms.unit_matrix([u])[0] @ by_unit[:, i] for i, u in enumerate(a.units)) for a in archs]
        np.testing.assert_allclose(terms.matrix(archs) @ coefficients, sums)


def test_refusals_name_the_way_out():
    with pytest.raises(FoxnasError, match=r"'acuracy' is unknown.*accuracy"):
        formula("acuracy", CPU_SPACE)
    with pytest.raises(FoxnasError, match="has 4 units, the formula has 5"):
        formula("accuracy", CPU_SPACE).matrix([Arch(192, (((3, 2), (3, 2)),) * 4)])


def test_a_unit_has_the_terms_of_its_own_choices():
    terms = formula("accuracy", PER_UNIT)
    # Fused (K is 3), one or two layers: of the means only that of E, and no product, for one depth has later layers.
    assert [name for name in terms.terms if name.endswith("_1")] == ["D_1", "E_avg_1", "E_first_1"]
    # Every choice, but two depths with later layers: all terms without a square of D.
    assert [name.removesuffix("_2") for name in terms.terms if name.endswith("_2")] == [
        *("D", "E_avg", "K_avg", "E_first", "K_first", "E_total", "DxK_avg")
    ]
    # Two layers without expansion, and one layer with K 5.
    assert [name for name in terms.terms if name.endswith("_3")] == ["K_avg_3", "K_first_3"]
    assert [name for name in terms.terms if name.endswith("_4")] == ["E_first_4"]
    one, two = terms.unit_matrix([((3, 2),), ((3, 2), (3, 4))])
    assert dict(zip(terms.kinds, one, strict=True)) == {
        "D": 1, "E_avg": 0, "K_avg": 0, "E_first": 2, "K_first": 3, "E_total": 0, "DxK_avg": 0
    }  # fmt: skip
    assert dict(zip(terms.kinds, two, strict=True)) == {
        "D": 2, "E_avg": 4, "K_avg": 3, "E_first": 2, "K_first": 3, "E_total": 4, "DxK_avg": 6
    }  # fmt: skip
