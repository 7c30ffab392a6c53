"""Subnet evaluation against Once-for-All's own, and against the bare forward pass of the same static subnets.

Three contenders, in one process and on one thread, with the same subnets, images and calibration batches in the same
order, one after the other and then the other way round:

ours    what a row of accuracy.csv costs, from stored bytes to counts: extraction, recalibration, evaluation.
theirs  the package `ofa`, as it makes its own accuracy data sets: `set_active_subnet`, `set_running_statistics`,
        `RunManager.validate`, on tensors that are ready, so that they pay for no conversion.
bare    nothing but the forward pass of our folded subnets, on tensors that are ready.

Times are those of the process (`time.process_time`), so that what else the machine does counts less. Theirs knows no
other space than its own; for the demo's, ours is compared with the bare forward pass alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.made_up import Held, shaken
from benchmarks.once_for_all import OnceForAll
from foxnas.accuracy.evaluation import evaluate_together
from foxnas.accuracy.memory import TOGETHER
from foxnas.accuracy.preparation import Preparation
from foxnas.flow.params import prepare_environment
from foxnas.images.pixels import to_input
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet

THEIRS = "ofa_mbv3_d234_e346_k357_w1.0"

#: Two logits nearer than this share of the standard deviation of all are a tie: float32 rounding may swap them.
TIE = 1e-3

#: Calibration images and evaluation images of which the cost is worked out from the costs per image.
PROPORTIONS = ((2000, 10_000), (2000, 50_000))


@dataclass(frozen=True)
class Setting:
    """What is evaluated: images of one size, as many for calibration as for evaluation, in batches."""

    space: str
    size: int
    images: int
    batch: int


SETTINGS = (
    Setting(THEIRS, 224, 64, 16),
    Setting(THEIRS, 160, 128, 32),
    Setting(THEIRS, 96, 256, 64),
    Setting(THEIRS, 32, 1024, 256),
    Setting("mini", 40, 2048, 512),
    Setting("mini", 28, 2048, 512),
    Setting("mini", 16, 2048, 512),
)


@dataclass(frozen=True)
class Cost:
    """Seconds of one contender for a group of subnets."""

    calibrate_s: float
    evaluate_s: float

    def of(self, setting: Setting, calibrating: int, evaluating: int) -> float:
        """Seconds for other numbers of images, at the same cost an image."""
        return (self.calibrate_s * calibrating + self.evaluate_s * evaluating) / setting.images


def run_as_a_job() -> None:
    """Begin anew with the environment of the workflow's jobs, whose allocator keeps memory, if this is not it."""
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        prepare_environment()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def timed(action: Callable[[], object]) -> float:
    """Return how much time of the process a call takes, in seconds."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


class Ours:
    """Our way."""

    def __init__(self, supernet: Supernet, setting: Setting, pixels: np.ndarray, labels: np.ndarray) -> None:
        self._supernet, self._setting, self._held, self._labels = supernet, setting, Held(pixels), labels
        self.subnets: list[Subnet] = []

    def run(self, archs: list[Arch]) -> Cost:
        """Evaluate a group of subnets; every group pays for its own beginning."""
        setting = self._setting
        preparation = Preparation(self._supernet, self._held, setting.images, setting.batch)
        calibrate_s = timed(lambda: setattr(self, "subnets", [preparation.subnet(arch) for arch in archs]))
        rests, pixels = [[subnet.rest] for subnet in self.subnets], self._held.at(setting.size)
        return Cost(
            calibrate_s,
            timed(lambda: evaluate_together(self.subnets[0].beginning, rests, pixels, self._labels, setting.batch)),
        )


class Bare:
    """The forward pass alone."""

    def __init__(self, ours: Ours, setting: Setting, ready: Tensor) -> None:
        self._ours, self._batches = ours, ready.split(setting.batch)

    @torch.inference_mode()
    def _forward(self) -> None:
        for subnet in self._ours.subnets:
            for batch in self._batches:
                subnet(batch)

    def run(self, _archs: list[Arch]) -> Cost:
        """Run the subnets that ours made ready last."""
        return Cost(0, timed(self._forward))


class Theirs(OnceForAll):
    """Their way."""

    def run(self, archs: list[Arch]) -> Cost:
        """Evaluate the subnets one by one, which is how they do it."""
        calibrate_s = evaluate_s = 0.0
        for arch in archs:
            calibrate_s += timed(lambda arch=arch: self.activate(arch))
            evaluate_s += timed(self.validate)
        return Cost(calibrate_s, evaluate_s)


@torch.no_grad()
def disagreements(ours: Ours, theirs: Theirs, archs: list[Arch], ready: Tensor, batch: int) -> tuple[int, int, float]:
    """Return images that get another class although they are no tie, ties, and the largest difference in deviations."""
    wrong = ties = 0
    largest = 0.0
    for arch, subnet in zip(archs, ours.subnets, strict=True):
        theirs.activate(arch)
        reference = torch.cat([theirs.network.eval()(images) for images, _ in theirs.batches])
        found = torch.cat([subnet(part) for part in ready.split(batch)])
        best, deviation = reference.topk(2).values, reference.std()
        tied = best[:, 0] - best[:, 1] <= TIE * deviation
        wrong += int(((found.argmax(1) != reference.argmax(1)) & ~tied).sum())
        ties += int(tied.sum())
        largest = max(largest, float((found - reference).abs().max() / deviation))
    return wrong, ties, largest


def spread(ratios: list[float]) -> str:
    """Return the median and the range."""
    return f"{np.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def compare(setting: Setting, subnets: int, rounds: int) -> None:
    """Print what a group of random subnets costs each contender, `rounds` times in both orders."""
    space = replace(read_space(setting.space), image_sizes=(setting.size,), size_divisor=4)
    supernet, rng = shaken(space, space.name == THEIRS), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (setting.images, setting.size, setting.size, space.image_channels), dtype=np.uint8)
    labels, ready = rng.integers(0, space.classes, setting.images), to_input(pixels)
    ours = Ours(supernet, setting, pixels, labels)
    bare = Bare(ours, setting, ready)
    theirs = Theirs(supernet, ready, labels, setting.batch) if setting.space == THEIRS else None
    contenders = [one for one in (ours, theirs, bare) if one is not None]
    # So that nobody pays for the first touch of the memory.
    for one in contenders:
        one.run([space.largest(setting.size)])
    costs: dict[object, list[Cost]] = {one: [] for one in contenders}
    wrong = ties = images = 0
    largest = 0.0
    for _ in range(rounds):
        archs = [space.draw(setting.size, rng) for _ in range(subnets)]
        ours.run(archs)
        for one in (*contenders, *contenders[::-1]):
            costs[one].append(one.run(archs))
        if theirs is not None:
            found = disagreements(ours, theirs, archs, ready, setting.batch)
            wrong, ties, largest = wrong + found[0], ties + found[1], max(largest, found[2])
            images += subnets * setting.images
    per = 1000 / setting.images / subnets
    head = f"{setting.space}, {setting.size} px, {setting.images} images in batches of {setting.batch}"
    print(f"{head}, {subnets} subnets together, n = {2 * rounds}")
    for name, one in (("ours", ours), ("theirs", theirs), ("bare", bare)):
        if one is not None:
            calibrate, evaluate = (
                per * np.median([getattr(cost, part) for cost in costs[one]]) for part in ("calibrate_s", "evaluate_s")
            )
            print(f"  {name:6}  calibration {calibrate:8.4f} ms an image, evaluation {evaluate:8.4f} ms an image")
    share = [b.evaluate_s / o.evaluate_s for o, b in zip(costs[ours], costs[bare], strict=True)]
    print(f"  throughput of evaluation / bare forward pass: {spread(share)}")
    if theirs is None:
        return
    pairs = list(zip(costs[ours], costs[theirs], strict=True))
    print(f"  / theirs, calibration: {spread([t.calibrate_s / o.calibrate_s for o, t in pairs])}")
    print(f"  / theirs, evaluation:  {spread([t.evaluate_s / o.evaluate_s for o, t in pairs])}")
    for calibrating, evaluating in ((setting.images, setting.images), *PROPORTIONS):
        ratios = [t.of(setting, calibrating, evaluating) / o.of(setting, calibrating, evaluating) for o, t in pairs]
        print(f"  / theirs, with {calibrating} calibration and {evaluating} evaluation images: {spread(ratios)}")
    print(
        f"  predictions: {wrong} of {images} differ that are no tie (margin above {TIE} standard deviations), {ties} "
        f"are ties; logits differ by at most {largest:.1e} standard deviations",
        flush=True,
    )


def main() -> None:
    """Print the comparison at every setting, or at those of some image sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", help="only the settings of these image sizes")
    parser.add_argument("--subnets", type=int, default=4, help=f"at once; a job takes {TOGETHER}")
    parser.add_argument("--rounds", type=int, default=2, help="of other random subnets, each in both orders")
    options = parser.parse_args()
    run_as_a_job()
    torch.set_num_threads(1)
    for setting in SETTINGS:
        if not options.sizes or setting.size in options.sizes:
            compare(setting, options.subnets, options.rounds)


if __name__ == "__main__":
    main()
