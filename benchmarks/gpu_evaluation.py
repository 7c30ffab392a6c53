"""Evaluation on the device: the CPU's results, and how fast, against the bare forward pass.

ours    from stored bytes to counts, through `evaluate_together`; subnets go through the images `together`.
bare    nothing but the forward pass of the same folded subnets, on batches that are ready on the device, nobody looking
        at what comes out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu_settings import OFA, Agreement, Scale, Throughput, space_of
from benchmarks.made_up import Held, shaken
from foxnas.accuracy.evaluation import evaluate_together
from foxnas.accuracy.hardware import PROCESSORS, Hardware
from foxnas.accuracy.preparation import Preparation, recalibrate
from foxnas.images.pixels import layout, to_input
from foxnas.runner.pytorch import captured
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.subnet import Subnet

log = logging.getLogger(__name__)

#: Two logits nearer than this share of the standard deviation of all are a tie, which rounding may decide.
TIE = 1e-3
#: Relative to a channel's deviation (means, and square roots of variances), and of probabilities.
TOLERANCE = 1e-3


def inputs_of(space: SearchSpace, size: int, images: int, subnets: int) -> tuple[np.ndarray, np.ndarray, list[Arch]]:
    """Return random pixels, labels and architectures."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, size, size, space.image_channels), dtype=np.uint8)
    return pixels, rng.integers(0, space.classes, images), [space.draw(size, rng) for _ in range(subnets)]


@torch.inference_mode()
def _logits(subnet: Subnet, pixels: np.ndarray, batch: int) -> Tensor:
    return torch.cat([subnet(to_input(pixels[i : i + batch])) for i in range(0, len(pixels), batch)])


def _statistics(subnet: Subnet) -> list[tuple[Tensor, Tensor]]:
    """Return every batch norm's mean and standard deviation, on the CPU."""
    norms = [module for module in subnet.modules() if isinstance(module, nn.BatchNorm2d)]
    found = []
    for norm in norms:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        found.append((norm.running_mean.cpu(), (norm.running_var.cpu() + norm.eps).sqrt()))
    return found


def agreement(setting: Agreement, hardware: Hardware) -> dict[str, Any]:
    """Return how far the device's statistics, classes and probabilities lie from those of the CPU."""
    space = space_of(setting.space, setting.size)
    pixels, _, archs = inputs_of(space, setting.size, setting.images, setting.subnets)
    calibrating = min(setting.images, 2 * setting.batch)
    places = (PROCESSORS, hardware)
    supernets = [shaken(space, space.name == OFA).to(place.device) for place in places]
    preparations = [
        Preparation(supernet, Held(pixels), calibrating, setting.batch, place)
        for supernet, place in zip(supernets, places, strict=True)
    ]
    wrong = ties = 0
    statistics = probability = 0.0
    for arch in archs:
        fresh = []
        for place, supernet in zip(places, supernets, strict=True):
            batches = [
                to_input(pixels[i : i + setting.batch], place.device) for i in range(0, calibrating, setting.batch)
            ]
            fresh.append(_statistics(recalibrate(Subnet(supernet, arch), batches)))
        for (mean, deviation), (other_mean, other_deviation) in zip(*fresh, strict=True):
            off = torch.maximum((mean - other_mean).abs(), (deviation - other_deviation).abs()) / deviation
            statistics = max(statistics, float(off.max()))
        subnets = [preparation.subnet(arch) for preparation in preparations]
        logits = _logits(subnets[0], pixels, setting.batch)
        best, truth = logits.topk(2).values, logits.argmax(1).numpy()
        tied = (best[:, 0] - best[:, 1] <= TIE * logits.std()).numpy()
        here, there = (
            evaluate_together(subnet.beginning, [[subnet.rest]], pixels, truth, setting.batch, place)[0]
            for place, subnet in zip(places, subnets, strict=True)
        )
        wrong += int((~there.correct & ~tied).sum())
        ties += int(tied.sum())
        probability = max(probability, float(np.abs(here.correct_probability - there.correct_probability).max()))
    return {
        **setting._asdict(),
        "classes_that_differ_outside_ties": wrong,
        "ties": ties,
        "largest_difference_of_statistics": statistics,
        "largest_difference_of_probabilities": probability,
    }


def _timed(work: Callable[[], object], hardware: Hardware) -> float:
    """Return the shorter of two times, in seconds, after one call that meets every shape for the first time."""
    work()
    times = []
    for _ in range(2):
        begin = hardware.clock()
        work()
        times.append(hardware.clock() - begin)
    return min(times)


@torch.inference_mode()
def _forward(networks: Sequence[Callable[[Tensor], Tensor]], ready: Sequence[Tensor], hardware: Hardware) -> None:
    for network in networks:
        for batch in ready:
            with hardware.autocast():
                network(batch)


def throughput(setting: Throughput, precisions: Sequence[str], hardware: Hardware) -> dict[str, Any]:
    """Return images a second of ours, by how many subnets go together, and of the bare forward pass, by batch."""
    space = space_of(setting.space, setting.size)
    pixels, labels, archs = inputs_of(space, setting.size, setting.images, setting.subnets)
    supernet, work = shaken(space, space.name == OFA), setting.subnets * setting.images
    preparation = Preparation(supernet, Held(pixels), setting.images, min(setting.batches), hardware)
    begin = hardware.clock()
    subnets = [preparation.subnet(arch) for arch in archs]
    preparing_s = hardware.clock() - begin
    ready = to_input(pixels, hardware.device)

    def bare(batch: int, place: Hardware = hardware) -> float:
        return work / _timed(lambda: _forward(subnets, ready.split(batch), place), hardware)

    by_batch = {batch: bare(batch) for batch in setting.batches}
    log.warning("bare by batch, images/s: %s", by_batch)
    best = max(by_batch, key=lambda batch: by_batch[batch])

    def ours(together: int, batch: int, place: Hardware = hardware) -> float:
        groups = [subnets[i : i + together] for i in range(0, len(subnets), together)]

        def run() -> None:
            for group in groups:
                rests = [[subnet.rest] for subnet in group]
                evaluate_together(group[0].beginning, rests, pixels, labels, batch, place)

        return work / _timed(run, hardware)

    together = {number: ours(number, best) for number in setting.together}
    log.warning("ours by subnets together, images/s: %s", together)
    most = max(together, key=lambda number: together[number])
    narrow = {}
    for precision in precisions:
        if precision != "fp32":
            place = replace(hardware, precision=precision)
            narrow[precision] = ours(most, best, place), bare(best, place)
            log.warning("%s: ours and bare, images/s: %s", precision, narrow[precision])
    by_graph = _by_graph(subnets[:4], ready[:best], hardware)
    in_other_layout = _in_the_other_layout(subnets[:4], ready[:best], hardware)
    return {
        **setting._asdict(),
        "unit": "images/s",
        "prepared": round(work / preparing_s, 1),
        "bare_by_batch": {batch: round(rate, 1) for batch, rate in by_batch.items()},
        "best_batch": best,
        "ours_by_subnets_together": {number: round(rate, 1) for number, rate in together.items()},
        "best_together": most,
        "ours_over_bare": round(together[most] / by_batch[best], 3),
        "bare_in_the_other_layout_over_bare": in_other_layout,
        "ours_over_bare_by_precision": {
            precision: round(rate / without, 3) for precision, (rate, without) in narrow.items()
        },
        "ours_over_fp32_by_precision": {
            precision: round(rate / together[most], 3) for precision, (rate, _) in narrow.items()
        },
        "bare_by_graph_over_bare": by_graph,
    }


def _in_the_other_layout(subnets: Sequence[Subnet], batch: Tensor, hardware: Hardware) -> float:
    """Return the throughput in channels last over that in channels first, or the other way round, shapes met before."""
    ours = layout(hardware.device)
    other = torch.channels_last if ours == torch.contiguous_format else torch.contiguous_format

    def passes(images: Tensor) -> float:
        return _timed(lambda: _forward(subnets, [images] * 10, hardware), hardware)

    usual = passes(batch)
    for subnet in subnets:
        subnet.to(memory_format=other)
    unusual = passes(batch.contiguous(memory_format=other))
    for subnet in subnets:
        subnet.to(memory_format=ours)
    return round(usual / unusual, 3)


@torch.inference_mode()
def _by_graph(subnets: Sequence[Subnet], batch: Tensor, hardware: Hardware) -> float | None:
    """Return the throughput of replayed CUDA graphs over that of the same passes launched; None without CUDA."""
    if hardware.device.type != "cuda":
        return None
    replays = [captured(torch, lambda subnet=subnet: subnet(batch)) for subnet in subnets]  # type: ignore[misc]

    def replay() -> None:
        for one in replays * 10:
            one()

    launched = _timed(lambda: _forward(list(subnets) * 10, [batch], hardware), hardware)
    return round(launched / _timed(replay, hardware), 3)


def section(scale: Scale, device: str) -> dict[str, Any]:
    """Return how evaluation on the device agrees with the CPU's, and how fast it is."""
    hardware = Hardware.choose(device, "fp32")
    agreements = [agreement(setting, hardware) for setting in scale.agreement]
    log.warning("agreement: %s", agreements)
    begin = time.perf_counter()
    speed = throughput(scale.throughput, scale.precisions, hardware)
    failed = []
    for one in agreements:
        where = f"{one['space']} at {one['size']} px"
        if one["classes_that_differ_outside_ties"]:
            failed.append(f"{where}: {one['classes_that_differ_outside_ties']} classes differ from the CPU's")
        failed += [
            f"{where}: {what.replace('_', ' ')} from the CPU's is {one[what]:.2g}, above {TOLERANCE}"
            for what in ("largest_difference_of_statistics", "largest_difference_of_probabilities")
            if not one[what] <= TOLERANCE
        ]
    return {
        "device": hardware.name,
        "agreement": agreements,
        "throughput": speed | {"seconds": round(time.perf_counter() - begin, 1)},
        "failed": failed,
    }
