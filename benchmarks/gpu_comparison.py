"""Our evaluation on the device against that of PyPI's `ofa`, in its space, with our weights in its network.

theirs  `set_running_statistics` and `RunManager.validate`, on tensors that are ready on the device.
ours    `Preparation.subnet` and `evaluate_together`, from stored bytes.

Every subnet has been through both before, so that no shape is new to anybody. Then each does all subnets, in turns, and
who goes first takes turns, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu_evaluation import inputs_of
from benchmarks.gpu_settings import OFA, Scale, space_of
from benchmarks.made_up import Held, shaken
from foxnas.accuracy.evaluation import evaluate_together
from foxnas.accuracy.hardware import Hardware
from foxnas.accuracy.preparation import Preparation
from foxnas.images.pixels import to_input
from foxnas.supernet.subnet import Subnet

#: Seconds that calibration, and that evaluation, took.
Spent = tuple[float, float]


def section(scale: Scale, device: str) -> dict[str, Any]:
    """Return images a second of ours and of theirs, calibration and evaluation apart, and the ratios of each pair."""
    try:
        from benchmarks.once_for_all import OnceForAll
    except ImportError as error:
        return {"not_compared": str(error), "failed": []}
    setting, hardware = scale.comparison, Hardware.choose(device, "fp32")
    space = space_of(OFA, setting.size)
    pixels, labels, archs = inputs_of(space, setting.size, setting.images, setting.subnets)
    supernet = shaken(space, statistics=True)
    rival = OnceForAll(supernet, to_input(pixels).to(hardware.device), labels, setting.batch)
    preparation = Preparation(supernet, Held(pixels), setting.images, setting.batch, hardware)

    def ours() -> Spent:
        begin = hardware.clock()
        subnets: list[Subnet] = [preparation.subnet(arch) for arch in archs]
        middle = hardware.clock()
        rests = [[subnet.rest] for subnet in subnets]
        evaluate_together(subnets[0].beginning, rests, pixels, labels, setting.batch, hardware)
        return middle - begin, hardware.clock() - middle

    def theirs() -> Spent:
        calibrated_s = evaluated_s = 0.0
        for arch in archs:
            begin = hardware.clock()
            rival.activate(arch)
            middle = hardware.clock()
            rival.validate()
            calibrated_s, evaluated_s = calibrated_s + middle - begin, evaluated_s + hardware.clock() - middle
        return calibrated_s, evaluated_s

    both: tuple[Callable[[], Spent], ...] = (ours, theirs)
    first = [work() for work in both]
    spent: dict[Callable[[], Spent], list[Spent]] = {ours: [], theirs: []}
    for pair in range(setting.pairs):
        for work in both if pair % 2 == 0 else both[::-1]:
            spent[work].append(work())
    mine, rivals = np.array(spent[ours]), np.array(spent[theirs])
    images = setting.subnets * setting.images

    def told(seconds: np.ndarray) -> dict[str, float]:
        rates = np.round(images / seconds, 1)
        return {"calibration": rates[0], "evaluation": rates[1]}

    return {
        **setting._asdict(),
        "unit": "images/s",
        "ours_the_first_time": told(np.array(first[0])),
        "theirs_the_first_time": told(np.array(first[1])),
        "ours": told(np.median(mine, axis=0)),
        "theirs": told(np.median(rivals, axis=0)),
        "ours_over_theirs_calibration": np.round(rivals[:, 0] / mine[:, 0], 3).tolist(),
        "ours_over_theirs_evaluation": np.round(rivals[:, 1] / mine[:, 1], 3).tolist(),
        "ours_over_theirs": np.round(rivals.sum(1) / mine.sum(1), 3).tolist(),
        "failed": [],
    }
