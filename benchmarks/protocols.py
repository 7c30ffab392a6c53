"""What the paper's work costs by two protocols, before anybody pays for it: core-hours here, hours of a Raspberry Pi 4.

The plain protocol is `config/imagenet.yaml`: 300 subnets at each of seven image sizes, accuracy and latency of each.
The frugal one has what `config/frugal.yaml` has besides the demo: 100 subnets a size, rounds of acquisition, latency by
blocks. Counts are those of the configs; what a unit costs was measured, or published by the paper's authors, and each
number below names where. Work grows with multiply-accumulates, from one image size to another and from a subnet to a
block. The same sum for the demo stands beside what was measured there. Nothing runs but sums, in a second or two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from examples.method import SIZE, published
from foxnas.config.whole import Config, read_config
from foxnas.device.blocks import COPIES
from foxnas.device.protocol import Protocol
from foxnas.space.arch import Arch
from foxnas.space.blocks import Blocks
from foxnas.space.costs import costs_of, multiply_accumulates
from foxnas.space.space import SearchSpace

CONFIGS = Path(__file__).resolve().parent.parent / "config"

#: The size that the units below are of.
AT = 224
#: Of one core, ms an image in the `cpu` space: docs/evidence/evaluation.md, "What else was tried".
FLOAT_MS, RECALIBRATION_MS = 5.97, 1.49 * 5.97
#: Of one core, ms an image through the int8 file: docs/evidence/measuring.md, the rehearsal's latencies.
INT8_MS = 16.0
#: Of one core, seconds of writing a file: docs/evidence/int8.md, "One candidate".
WRITING_S = 2.4
#: Beyond the device's own time, seconds a timing: docs/evidence/measuring.md, 125 ms a probe of two timings.
OVERHEAD_S = 0.125 / 2
#: Blocks in the demo's device-seconds of all subnets: docs/evidence/blocks.md, 27.9 s less what 10 subnets a size took.
DEMO_SHARE = (27.9 - (35.0 - 27.9)) / 212.0

Hours = dict[str, float]


@dataclass(frozen=True)
class Work:
    """The mean work of a random subnet of a space, by image size, in multiply-accumulates."""

    space: SearchSpace
    macs: Mapping[int, float]

    @classmethod
    def of(cls, space: SearchSpace, subnets: int = 100) -> Work:
        """Return the means over random subnets."""
        found = {
            size: [costs_of(space, arch).macs for arch in drawn(space, size, subnets)] for size in space.image_sizes
        }
        return cls(space, {size: float(np.mean(macs)) for size, macs in found.items()})

    def relative(self, size: int, reference: int = AT) -> float:
        """Return the work at a size in that at another."""
        return self.macs[size] / self.macs[reference]

    @property
    def mean(self) -> float:
        """The work of a subnet of any size in that of one at `AT`."""
        return float(np.mean([self.relative(size) for size in self.macs]))

    def of_blocks(self, size: int) -> float:
        """Return all distinct blocks, each `COPIES` times, in subnets at a size."""
        each = (sum(map(multiply_accumulates, block.part.steps)) for block in Blocks(self.space).distinct)
        return COPIES * sum(each) / self.macs[size]


def drawn(space: SearchSpace, size: int, subnets: int) -> Iterable[Arch]:
    """Return random subnets of a size."""
    return islice(space.sample(size, np.random.default_rng([15, size])), subnets)


def pi_ms(work: Work) -> float:
    """Return a random subnet's mean latency on a Raspberry Pi 4 at `AT`, by the authors' published predictor."""
    mean_ms = published("latency", work.space).predict(list(drawn(work.space, SIZE, 1000))).mean.mean()
    return float(mean_ms) * work.relative(AT, SIZE)


def timing_s(protocol: Protocol, latency_ms: float) -> float:
    """Return the seconds of one timing: warming up, then so many runs, or so long."""
    runs = max(protocol.warm_up_runs, math.ceil(protocol.warm_up_ms / latency_ms))
    runs += max(protocol.min_runs, math.ceil(protocol.min_time_ms / latency_ms))
    return runs * latency_ms / 1000


def candidates(config: Config) -> int:
    """Return how many candidates are verified at most, of all budgets."""
    search = config.search
    each = len(search.reserves_percent) * search.candidates + search.incumbents + config.refinement.twists
    return len(config.budgets) * each


def cores(config: Config, frugal: Config | None, work: Work, acquired: int = 0) -> Hours:
    """Return core-hours by what they are for."""
    splits, accuracy = config.data.splits, config.accuracy
    ready_s = accuracy.recalibration_images * RECALIBRATION_MS / 1000
    subnets = (frugal or config).sampling.subnets * len(work.macs)
    chosen, budgets = candidates(config), len(config.budgets)

    def scored(images: int, more_ms: float = 0.0) -> float:
        """Of a subnet, made ready first."""
        return (ready_s + images * (FLOAT_MS + more_ms) / 1000) * work.mean

    baselines = 2 + config.baselines.random_searches
    found = {
        "accuracies of the sample": subnets * scored(splits.fit),
        "acquisition, candidates on the fit images": (acquired + chosen * bool(frugal)) * scored(splits.fit),
        "candidates: export, float and int8 on the verify images": chosen
        * (scored(splits.verify, INT8_MS) + WRITING_S * work.mean),
        "deployed models and baselines on the test images": budgets
        * (scored(splits.test, INT8_MS) + (baselines - 1) * scored(splits.test)),
    }
    return {name: seconds / 3600 for name, seconds in found.items()}


def device(config: Config, frugal: Config | None, work: Work, latency_ms: float) -> Hours:
    """Return hours of the device by what they are for; `latency_ms` is that of a mean subnet at `AT`."""
    protocol, sizes = config.devices[0].protocol, len(work.macs)
    once_s = timing_s(protocol, latency_ms * work.mean) + OVERHEAD_S
    whole = (frugal.devices[0].latency.calibration_subnets if frugal else config.sampling.subnets) * sizes
    budgets, validation = len(config.budgets), config.validation
    found = {"whole subnets": whole * protocol.repeats * once_s}
    if frugal:
        runs = protocol.warm_up_runs + protocol.min_runs
        blocks = len(Blocks(work.space).distinct)
        found["blocks"] = runs * work.of_blocks(AT) * latency_ms / 1000 + blocks * OVERHEAD_S
    found |= {
        "candidates and confirmation": (
            candidates(config) * config.verification.sessions + budgets * validation.sessions
        )
        * once_s,
        "test images on the device": budgets * config.data.splits.test * latency_ms * work.mean / 1000,
    }
    return {name: seconds / 3600 for name, seconds in found.items()}


def demo_share() -> float:
    """Return blocks in the device's time of all subnets, in the demo, by work alone."""
    config = read_config(CONFIGS / "config.yaml")
    work = Work.of(config.space)
    size = work.space.image_sizes[len(work.macs) // 2]
    every = sum(work.relative(one, size) for one in work.macs)
    return work.of_blocks(size) / (config.devices[0].protocol.repeats * config.sampling.subnets * every)


def tell(what: str, plain: Hours, frugal: Hours) -> None:
    """Print both sums, step by step."""
    print(f"{what:58} {'plain':>8} {'frugal':>8}")
    for name in dict.fromkeys([*plain, *frugal]):
        print(f"  {name:56} {plain.get(name, 0):8.1f} {frugal.get(name, 0):8.1f}")
    totals = sum(plain.values()), sum(frugal.values())
    print(f"  {'all':56} {totals[0]:8.1f} {totals[1]:8.1f}   {totals[1] / totals[0]:.2f} of plain")


def main() -> None:
    """Print the sums."""
    plain, frugal = (read_config(CONFIGS / f"{name}.yaml") for name in ("imagenet", "frugal"))
    work = Work.of(plain.space)
    latency_ms = pi_ms(work)
    blocks = len(Blocks(work.space).distinct)
    most = frugal.refinement.acquisition.rounds * frugal.refinement.acquisition.subnets
    print(f"{plain.sampling.subnets} and {frugal.sampling.subnets} subnets at each of {len(work.macs)} sizes, of "
          f"{work.mean:.2f} the work at {AT} px in the mean; {latency_ms:.0f} ms there on a Raspberry Pi 4; "
          f"{blocks} blocks; {candidates(plain)} candidates; {most} subnets acquired")  # fmt: skip
    tell("core-hours", cores(plain, None, work), cores(plain, frugal, work, most))
    tell("hours of the device", device(plain, None, work, latency_ms), device(plain, frugal, work, latency_ms))
    print(f"blocks in the demo, by work alone: {demo_share():.3f} of its device-seconds; measured: {DEMO_SHARE:.3f}")


if __name__ == "__main__":
    main()
