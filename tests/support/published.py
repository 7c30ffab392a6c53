"""The paper's CPU space and the authors' published predictors at 192 px, as examples/method.py reads them."""

import dataclasses

from examples.method import published
from foxnas.space.config import read_space

CPU_SPACE = read_space("cpu")
PUBLISHED_ACCURACY = dataclasses.replace(published("accuracy", CPU_SPACE), target="top-1")
PUBLISHED_LATENCY = published("latency", CPU_SPACE)
