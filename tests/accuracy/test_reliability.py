"""Split-half reliability on data whose reliability is known."""

import numpy as np
import pytest

from foxnas.accuracy.reliability import split_half_reliability
from foxnas.errors import FoxnasError


@pytest.mark.parametrize("signal", [0.02, 0.05, 0.2])
def test_recovers_the_known_reliability(signal):
    """Signal variance s^2 over s^2 + 1 / images: the reliability of a mean of `images` unit-variance outcomes."""
    rng = np.random.default_rng(0)
    subnets, images = 2000, 1000
    difficulty = rng.normal(0, 3, images)
    outcomes = rng.normal(0, signal, subnets)[:, None] + difficulty + rng.normal(size=(subnets, images))
    wanted = signal**2 / (signal**2 + 1 / images)
    assert split_half_reliability(outcomes, rng, splits=20) == pytest.approx(wanted, abs=0.03)


def test_is_the_binomial_share_of_the_variance():
    """Images that are alike leave binomial noise only, p (1 - p) / images: what is not noise is reliable."""
    rng = np.random.default_rng(1)
    chance = 0.8 + rng.normal(0, 0.008, 500)
    correct = rng.random((500, 4000)) < chance[:, None]
    accuracy = correct.mean(axis=1)
    noise = np.mean(accuracy * (1 - accuracy)) / 4000
    value = split_half_reliability(correct, rng, splits=100)
    assert value == pytest.approx(1 - noise / accuracy.var(ddof=1), abs=0.02)
    # The best that any predictor did, the truth itself, is the ceiling up to the sampling error of 500 subnets.
    assert value == pytest.approx(np.corrcoef(chance, accuracy)[0, 1] ** 2, abs=0.15)


def test_noise_alone_has_no_ceiling_to_reach_and_seeds_repeat():
    noise = np.random.default_rng(2).random((300, 500)) < 0.9
    value = split_half_reliability(noise, np.random.default_rng(3))
    assert 0 <= value < 0.25
    assert value == split_half_reliability(noise, np.random.default_rng(3))


def test_refusals():
    rng = np.random.default_rng(0)
    with pytest.raises(FoxnasError, match="one and the same mean"):
        split_half_reliability(np.ones((5, 10)), rng)
    with pytest.raises(FoxnasError, match="3 or more subnets"):
        split_half_reliability(np.ones((2, 10)), rng)
    with pytest.raises(FoxnasError, match="not a number"):
        split_half_reliability(np.full((5, 10), np.nan), rng)
