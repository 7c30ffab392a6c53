"""Other predictors: the encodings and settings of their authors, and fair comparison."""

from __future__ import annotations

import dataclasses
from itertools import islice

import numpy as np
import pytest
import torch

from comparisons.predictors import learning, regressors
from comparisons.predictors.encodings import entries, knob_values, one_hot
from comparisons.predictors.regressors import Measured, contenders
from foxnas.errors import FoxnasError
from foxnas.predictor.fit import fit
from foxnas.space.arch import Arch
from tests.support.published import CPU_SPACE, PUBLISHED_LATENCY

SIZES = (128, 192)


@pytest.fixture(scope="module")
def measured() -> dict[int, Measured]:
    """Latencies by the published predictor, with noise."""
    rng = np.random.default_rng(1)
    found = {}
    for size in SIZES:
        archs = tuple(islice(CPU_SPACE.sample(size, np.random.default_rng(size)), 100))
        at_192 = [Arch(192, a.units) for a in archs]
        found[size] = Measured(archs, PUBLISHED_LATENCY.predict(at_192).mean * size / 192 + rng.normal(0, 1, 100))
    return found


@pytest.fixture(scope="module")
def space():
    return dataclasses.replace(CPU_SPACE, image_sizes=SIZES)


def test_one_hot_encoding_is_once_for_alls():
    """Written out by hand from `MobileNetArchEncoder.arch2feature`: image size, all K, all E; absent layers are 0."""
    arch = Arch(192, (((3, 6), (5, 2)), *(((7, 3), (7, 4), (3, 2), (5, 6)),) * 4))
    row = one_hot(CPU_SPACE, [arch])[0]
    assert len(row) == 7 + 20 * (3 + 4)
    wanted = {2}  # 192 is the third image size
    for block in range(20):
        unit, position = divmod(block, 4)
        if position < len(arch.units[unit]):
            k, e = arch.units[unit][position]
            wanted |= {7 + 3 * block + (3, 5, 7).index(k), 7 + 60 + 4 * block + (2, 3, 4, 6).index(e)}
    assert set(np.flatnonzero(row)) == wanted
    assert set(row) == {0.0, 1.0}


def test_encodings_tell_all_architectures_apart():
    archs = list(islice(CPU_SPACE.sample(192, np.random.default_rng(0)), 300))
    for encode in (one_hot, entries, knob_values):
        assert len({row.tobytes() for row in encode(CPU_SPACE, archs)}) == 300
    np.testing.assert_array_equal(entries(CPU_SPACE, archs).sum(axis=1), [sum(a.depths) for a in archs])


def test_neural_network_is_the_published_one(monkeypatch, space, measured):
    """Three hidden layers of 400 and a last one without bias, trained on absolute errors; it learns."""
    seen = []
    adam = torch.optim.Adam

    def watched(parameters, lr):
        kept = list(parameters)
        seen.append([tuple(p.shape) for p in kept])
        return adam(kept, lr=lr)

    monkeypatch.setattr(torch.optim, "Adam", watched)
    together = Measured(
        tuple(a for rows in measured.values() for a in rows.archs),
        np.concatenate([rows.values for rows in measured.values()]),
    )
    network = next(c for c in contenders("latency", space, 25) if c.name == "neural network")
    model = network.fit(space, together, 0)
    assert seen == [[(400, 142), (400,), (400, 400), (400,), (400, 400), (400,), (1, 400)]]
    assert np.corrcoef(model(together.archs), together.values)[0, 1] > 0.9
    np.testing.assert_array_equal(model(together.archs), network.fit(space, together, 0)(together.archs))
    assert (regressors.BATCH, regressors.LEARNING_RATE) == (256, 1e-3)


def test_our_contenders_predict_what_the_fitted_predictors_do(space, measured):
    rows = measured[192]
    for form in ("paper", "quadratic-shrunk"):
        contender = next(c for c in contenders("latency", space, 1) if c.name == form)
        name = "latency" if form == "paper" else "latency-quadratic"
        predictor = fit(
            name, space, 192, rows.archs, rows.values, target="latency", unit="ms", shrink=form.endswith("shrunk")
        )
        np.testing.assert_allclose(contender.fit(space, rows, 0)(rows.archs), predictor.predict(rows.archs).mean)


def test_lookup_table_is_exact_where_every_layer_has_its_cost():
    """600 subnets fill its 240 entries; costs by place, K and E, which no average can tell, come back."""
    archs = tuple(islice(CPU_SPACE.sample(192, np.random.default_rng(0)), 640))
    cost = np.random.default_rng(1).uniform(1, 2, 240)
    values = entries(CPU_SPACE, archs) @ cost
    table = next(c for c in contenders("latency", CPU_SPACE, 1) if c.name == "lookup table")
    model = table.fit(CPU_SPACE, Measured(archs[:600], values[:600]), 0)
    np.testing.assert_allclose(model(archs[600:]), values[600:], rtol=1e-6)


def test_held_out_subnets_are_never_learnt_from_and_are_the_same_for_all(space, measured):
    seen: dict[str, list[tuple[set[str], set[str]]]] = {"one": [], "two": []}

    def spy(name):
        def fit_it(_space, rows, _seed):
            learnt = {a.id for a in rows.archs}

            def predict(archs):
                seen[name].append((learnt, {a.id for a in archs}))
                return np.arange(len(archs), dtype=float)

            return predict

        return regressors.Contender(name, fit_it)

    scores = learning.compare(space, measured, [spy("one"), spy("two")], [40, 500], 10, seed=3)
    held_out = [held for i, (_, held) in enumerate(seen["one"]) if i % 2 == 0]  # each score predicts both kinds
    assert seen["one"] == seen["two"]
    assert all(not learnt & held for i, (learnt, held) in enumerate(seen["one"]) if i % 2 == 0)
    assert set.union(*held_out) == {a.id for rows in measured.values() for a in rows.archs}
    assert {(s.requested_subnets, s.training_subnets) for s in scores} == {(40, 40), (500, 90)}
    assert len(scores) == 2 * 2 * 2 * 10


def test_scores_of_the_mean_and_of_the_truth(space, measured):
    middle = regressors.Contender("mean", lambda _s, rows, _seed: lambda archs: np.full(len(archs), rows.values.mean()))
    found = learning.compare(space, measured, [middle], [80], 10, seed=0)
    assert np.mean([s.relative_rmse**2 for s in found]) == pytest.approx(1, abs=0.05)
    assert {s.tau for s in found} == {0.0}
    perfect = regressors.Contender(
        "truth", lambda _s, _r, _seed: lambda archs: np.array([lookup[a] for a in archs]), pooled=True
    )
    lookup = {a: v for rows in measured.values() for a, v in zip(rows.archs, rows.values, strict=True)}
    for score in learning.compare(space, measured, [perfect], [80], 1, 0):
        assert (score.mae, score.rmse, score.tau) == (0, 0, pytest.approx(1))
    with pytest.raises(FoxnasError, match="19 subnets at 128 px are too few"):
        learning.compare(space, {128: measured[128].take(range(19))}, [middle], [10], 1, 0)
    alike = dataclasses.replace(measured[128], values=np.zeros(len(measured[128].archs)))
    with pytest.raises(FoxnasError, match=r"all 100 subnets at 128 px have the same measurement 0; .*supernet trained"):
        learning.compare(space, {128: alike}, [middle], [10], 1, 0)


def test_too_few_subnets_leave_a_regression_out_and_a_shrunk_one_in(space, measured):
    names = {s.predictor for s in learning.compare(space, measured, contenders("latency", space, 2), [45], 1, 0)}
    assert {"paper", "layers-shrunk", "one-hot ridge", "boosted trees", "neural network"} <= names
    assert not {"quadratic", "layers"} & names
