"""How much `benchmarks.gpu` does: on a GPU, and small enough for a test on a CPU; and the spaces it does it in.

The shipped spaces are YAML, which the machine with the GPU may not be able to read: `spaces.json` has them again,
written by `python -m benchmarks.gpu --write-spaces` and held against the YAML by a test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from foxnas.space.layers import SqueezeExcite, UnitSpec
from foxnas.space.space import SearchSpace
from foxnas.supernet.training.recipe import Precision

SPACES = Path(__file__).with_name("spaces.json")
OFA = "ofa_mbv3_d234_e346_k357_w1.0"
NAMES = ("mini", "cpu", "tpu", OFA)


class Training(NamedTuple):
    """A training: its space, its image size (None: all of the space), batch, epochs of both phases, steps of one."""

    space: str
    size: int | None
    batch: int
    epochs: tuple[int, ...]
    steps_per_epoch: int


class Agreement(NamedTuple):
    """Subnets that are evaluated on the device and on the CPU."""

    space: str
    size: int
    subnets: int
    images: int
    batch: int


class Throughput(NamedTuple):
    """Subnets of which the speed of evaluation is compared with others'; `batches` and `together` are tried."""

    space: str
    size: int
    subnets: int
    images: int
    batches: tuple[int, ...]
    together: tuple[int, ...]


class Comparison(NamedTuple):
    """Subnets of which the evaluation is compared with that of PyPI's `ofa`, in its space; each of us `pairs` times."""

    size: int
    subnets: int
    images: int
    batch: int
    pairs: int


class Latency(NamedTuple):
    """Probes of each space that are timed through the runner, and how many of them in a second session, too."""

    probes: Mapping[str, int]
    repeated: int
    size: int
    batch: int
    min_runs: int
    max_attempts: int


@dataclass(frozen=True)
class Scale:
    """How much is done; `limit_s` is the most that one process of trainings may take."""

    precisions: tuple[Precision, ...]
    training: Training
    large_training: Training
    killed: tuple[Precision, ...]
    kill_at_step: int
    agreement: tuple[Agreement, ...]
    throughput: Throughput
    comparison: Comparison
    latency: Latency
    limit_s: float


FULL = Scale(
    precisions=("fp32", "bf16", "fp16"),
    training=Training("mini", None, 256, (4, 6), 20),
    large_training=Training("cpu", 224, 128, (2, 1), 10),
    killed=("fp32", "bf16", "fp16"),
    kill_at_step=130,
    agreement=(Agreement("mini", 28, 32, 2000, 500), Agreement("cpu", 224, 4, 128, 64)),
    throughput=Throughput("cpu", 224, 16, 256, (64, 128, 256), (1, 4, 16)),
    comparison=Comparison(224, 8, 512, 256, 4),
    latency=Latency({"cpu": 200, "tpu": 100}, 60, 224, 64, 10, 2),
    limit_s=600,
)
SMALL = Scale(
    precisions=("fp32", "bf16"),
    training=Training("mini", 16, 8, (2, 2), 6),
    large_training=Training("cpu", 32, 4, (2, 1), 5),
    killed=("fp32",),
    kill_at_step=15,
    agreement=(Agreement("mini", 16, 4, 64, 32), Agreement(OFA, 32, 2, 16, 8)),
    throughput=Throughput("mini", 16, 4, 64, (16, 32), (1, 2, 4)),
    comparison=Comparison(32, 2, 16, 8, 2),
    latency=Latency({"mini": 16, "tpu": 12}, 12, 16, 2, 3, 1),
    limit_s=60,
)


def space_of(name: str, size: int | None = None) -> SearchSpace:
    """Return a space of `spaces.json`; with a size, of images of that size alone."""
    space = from_plain(json.loads(SPACES.read_text())[name])
    return space if size is None else replace(space, image_sizes=(size,), size_divisor=1)


def from_plain(record: Mapping[str, Any]) -> SearchSpace:
    """Return the space of a record, as `SearchSpace.from_record` does where pydantic is installed."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    values["units"] = tuple(UnitSpec(**unit) for unit in record["units"])
    return SearchSpace(**{**values, "squeeze": SqueezeExcite(**record["squeeze"])})


def write_spaces() -> None:
    """Write `spaces.json` from the shipped declarations, which needs pydantic and PyYAML."""
    from foxnas.space.config import read_space

    SPACES.write_text(json.dumps({name: read_space(name).record() for name in NAMES}, indent=1) + "\n")
