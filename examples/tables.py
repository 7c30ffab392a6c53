"""Write the table of examples/tables.yaml: subnets of the paper's CPU space at 192 px, as if they had been measured.

`python -m examples.tables` writes examples/measurements.csv. Its numbers are what the authors' published predictors
say of 300 random subnets on a Raspberry Pi 4, with the noise of a measurement added.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from examples.method import NOISE, SIZE, SUBNETS, published
from foxnas.space.config import read_space

TABLE = Path(__file__).with_name("measurements.csv")


def table() -> str:
    """Return the text of the file."""
    rng, space = np.random.default_rng(1), read_space("cpu")
    subnets = list(islice(space.sample(SIZE, rng), SUBNETS))
    values = {
        target: published(target, space).predict(subnets).mean + rng.normal(0, noise, SUBNETS)
        for target, noise in NOISE.items()
    }
    rows = [
        f"{arch.text},{top1:.3f},{latency:.3f}"
        for arch, top1, latency in zip(subnets, values["accuracy"], values["latency"], strict=True)
    ]
    return "\n".join(["# Made by examples/tables.py", "arch,top1_percent,latency_ms", *rows]) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table())
