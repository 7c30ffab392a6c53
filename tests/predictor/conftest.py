"""Subnets of the paper's space, measured as the published accuracies plus noise."""

from itertools import islice

import numpy as np
import pytest

from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY

ROWS = 150


@pytest.fixture(scope="module")
def archs():
    return list(islice(CPU_SPACE.sample(192, np.random.default_rng(0)), ROWS))


@pytest.fixture(scope="module")
def unseen():
    return list(islice(CPU_SPACE.sample(192, np.random.default_rng(99)), 40))


@pytest.fixture(scope="module")
def measured(archs):
    return PUBLISHED_ACCURACY.predict(archs).mean + np.random.default_rng(1).normal(0, 0.25, len(archs))
