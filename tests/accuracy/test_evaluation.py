"""Evaluation at full speed is still the same evaluation: against the package `ofa`, against itself done plainly."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics
from torch import Tensor, nn

from foxnas.accuracy import evaluation
from foxnas.accuracy.evaluation import evaluate, measure, outcome_of
from foxnas.accuracy.hardware import PROCESSORS, Hardware
from foxnas.accuracy.memory import TOGETHER
from foxnas.accuracy.outcomes import CIRCUMSTANCES, Outcome
from foxnas.accuracy.preparation import Preparation
from foxnas.errors import FoxnasError
from foxnas.files.arrays import ArraysBySize
from foxnas.images.pixels import to_input
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.layers import IMAGENET_MEAN, IMAGENET_STD
from foxnas.space.space import SearchSpace
from foxnas.supernet.convolution import convolve
from foxnas.supernet.elastic import activate, conv_padded
from foxnas.supernet.model import Supernet
from foxnas.supernet.ofa import to_ofa
from foxnas.supernet.statistics import batch_statistics, widened_statistics
from foxnas.supernet.subnet import Subnet
from tests.support.kinds import KINDS
from tests.support.prepared import prepare_subnet

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]

#: Convolves in bf16 and holds the outcome against float64.
NARROW = """
import logging
import torch
from foxnas.accuracy.hardware import Hardware
from foxnas.supernet.convolution import convolve

logging.basicConfig(level=logging.WARNING)
Hardware.choose("cpu", "bf16")
torch.manual_seed(0)
x, weight, bias = torch.randn(2, 4, 6, 6).bfloat16(), torch.randn(5, 4, 3, 3).bfloat16(), torch.randn(5).bfloat16()
with torch.no_grad():
    y = convolve(x, weight, bias, 2, 1, "same", "relu6")
    exact = convolve(x.double(), weight.double(), bias.double(), 2, 1, "same", "relu6")
torch.testing.assert_close(y.double(), exact, rtol=0.02, atol=0.02)
print(y.dtype)
"""

#: Two logits nearer than this share of the standard deviation of all are a tie: float32 rounding may swap them.
TIE = 1e-3

#: float32's unit roundoff.
HALF_ULP = 2.0**-24


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def shaken(space: SearchSpace, seed: int = 0) -> Supernet:
    """Random weights; every gain, bias and kernel transform moved from its initial value, residual branches too."""
    torch.manual_seed(seed)
    supernet = Supernet(space, statistics=True)
    for name, tensor in supernet.state_dict().items():
        if ".steps." in name:
            tensor += 0.1 * torch.randn_like(tensor)
        elif tensor.ndim == 1 and "norm.weight" in name:
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif tensor.ndim == 1 and "norm.bias" in name:
            nn.init.normal_(tensor, 0, 0.2)
    return supernet


def arrays(folder: Path, size: int, images: int, channels: int = 3) -> Path:
    """Smooth images, so that random networks see differences between them."""
    rng = np.random.default_rng(size)
    coarse = torch.from_numpy(rng.uniform(0, 255, (images, channels, 5, 5)))
    fine = nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 255)
    path = folder / str(size) / "images.npy"
    path.parent.mkdir(parents=True)
    np.save(path, fine.permute(0, 2, 3, 1).to(torch.uint8).numpy())
    return path


def swapped(ours: Tensor, theirs: Tensor) -> Tensor:
    """Which images are put into another class by theirs, of those that are no tie."""
    best = theirs.topk(2).values
    return (ours.argmax(1) != theirs.argmax(1)) & (best[:, 0] - best[:, 1] > TIE * theirs.std())


def their_logits(net: OFAMobileNetV3, arch: Arch, calibration: Tensor, images: Tensor, batch: int) -> Tensor:
    """Their own way, as their accuracy data sets are made: active subnet, running statistics, evaluation."""
    padded = [(*unit, *[unit[-1]] * (4 - len(unit))) for unit in arch.units]
    kernels, ratios = zip(*[layer for unit in padded for layer in unit], strict=True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    net.set_active_subnet(ks=list(kernels), e=list(ratios), d=list(arch.depths))
    set_running_statistics(net, [((part - mean) / std, None) for part in calibration.split(batch)])
    return torch.cat([net.eval()((part - mean) / std) for part in images.split(batch)])


def test_predictions_are_those_of_once_for_alls_own_evaluation(tmp_path: Path) -> None:
    """Same weights, same calibration batches in the same order (the last one smaller), same images."""
    space = replace(read_space("ofa_mbv3_d234_e346_k357_w1.0"), image_sizes=(64, 100), classes=100)
    supernet, rng = shaken(space), np.random.default_rng(0)
    knobs = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
    net = OFAMobileNetV3(n_classes=100, dropout_rate=0.1, width_mult=1.0, **knobs)
    net.load_state_dict(to_ofa(supernet))
    paths = [arrays(tmp_path, size, 40) for size in space.image_sizes]
    held = ArraysBySize(paths)
    preparation = Preparation(supernet, held, 24, 16)
    ties = classes = 0
    for size in space.image_sizes:
        pixels = held.at(size)
        x = to_input(pixels)
        for arch in (space.largest(size), *(space.draw(size, rng) for _ in range(2))):
            theirs = their_logits(net, arch, x[:24], x, 16)
            subnet = preparation.subnet(arch)
            ours = torch.cat([subnet(part) for part in x.split(16)])
            torch.testing.assert_close(ours, theirs, rtol=0, atol=TIE * theirs.std().item())
            assert not swapped(ours, theirs).any()
            tied = int((theirs.topk(2).values.diff().abs() <= TIE * theirs.std()).sum())
            assert (~evaluate(subnet, pixels, theirs.argmax(1).numpy(), 16).correct).sum() <= tied
            ties += tied
            classes += len(set(theirs.argmax(1).tolist()))
    assert ties < 5, "of 240 images; else the equality above says little"
    assert classes > 6 * 3, "networks that put every image into one class show nothing"


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("activation", [None, "relu", "relu6", "h-swish"])
def test_an_attached_activation_and_an_enlarged_kernel_change_nothing(size: int, activation: str | None) -> None:
    for kernel, stride, padding in product((1, 3, 5, 7), (1, 2), ("same", "symmetric")):
        if kernel == 1 and stride == 2:
            continue
        for groups, inputs, outputs in ((1, 6, 10), (6, 6, 6)):
            torch.manual_seed(kernel)
            x = 4 * torch.randn(3, inputs, size, size).contiguous(memory_format=torch.channels_last)
            weight, bias = torch.randn(outputs, inputs // groups, kernel, kernel), torch.randn(outputs)
            plain = conv_padded(x.double(), weight.double(), bias.double(), stride, groups, padding)
            expected = plain if activation is None else activate(plain, activation)
            for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.3), (torch.float64, 1e-9)):
                found = convolve(x.to(dtype), weight.to(dtype), bias.to(dtype), stride, groups, padding, activation)
                torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


def test_a_processor_without_bf16_convolves_in_bf16_all_the_same(tmp_path: Path) -> None:
    """oneDNN is told to make do with AVX2, when it loads: so in a process of its own."""
    program = tmp_path / "narrow.py"
    program.write_text(NARROW)
    run = subprocess.run(
        [sys.executable, program], env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "torch.bfloat16" in run.stdout
    assert run.stderr.count("accuracy.precision: fp32") == (platform.machine() == "x86_64")


def test_statistics_of_a_widening_convolution_are_those_of_its_outputs() -> None:
    """Within what float32 allows in any order of summation, which differs between processors.

    A sum of n products has an error of at most n u / (1 - n u) times the sum of their magnitudes (Higham, *Accuracy and
    Stability of Numerical Algorithms*, section 3.1). Where two channels
    are nearly equal, the covariance loses the digits of their difference's variance: its bound is absolute.
    """
    torch.manual_seed(0)
    x = (torch.randn(6, 8, 9, 9) + 3).contiguous(memory_format=torch.channels_last)
    x[:, 1] = x[:, 0] + 1e-3 * torch.randn(6, 9, 9)  # almost the same channel twice
    weight = torch.randn(20, 8, 1, 1)
    weight[0] = 0
    weight[0, 0], weight[0, 1] = 1, -1  # of which the difference is taken: all but the last digits cancel
    inputs, places = x.shape[1], x[:, 0].numel()
    y = nn.functional.conv2d(x.double(), weight.double())
    variance, mean = torch.var_mean(y, (0, 2, 3), correction=0)
    magnitude = nn.functional.conv2d(x.double().abs(), weight.double().abs())
    deviations = weight.double().abs().flatten(1) @ x.double().std((0, 2, 3), correction=0)

    def bound(terms: int) -> float:
        return terms * HALF_ULP / (1 - terms * HALF_ULP)

    error_of_mean = bound(places + inputs) * magnitude.mean((0, 2, 3))
    # Of each output first, then of its mean, then of the squares; the mean's own error counts by its square.
    of_outputs = 2 * bound(inputs) * magnitude.amax((0, 2, 3)) * variance.sqrt() + bound(places + 2) * variance
    of_covariance = bound(places + 2 * inputs + 2) * deviations.square()
    for found, error in (
        (widened_statistics(x, weight), of_covariance),
        (batch_statistics(nn.functional.conv2d(x, weight)), of_outputs),
    ):
        assert ((found[0].double() - mean).abs() <= error_of_mean).all()
        assert ((found[1].double() - variance).abs() <= error + error_of_mean.square()).all()
        biased = variance / (places - 1)
        assert (error + error_of_mean.square() < biased)[1:].all(), "a bound that n - 1 in place of n would meet"


@pytest.mark.parametrize(("space", "size"), KINDS[::2], ids=lambda value: getattr(value, "name", value))
def test_subnets_evaluated_together_score_what_they_score_alone(
    space: SearchSpace, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit: neighbours that begin alike for no block to all, held or computed anew, in another order."""
    rng, supernet = np.random.default_rng(1), shaken(space)
    held = ArraysBySize([arrays(tmp_path, size, 20, space.image_channels)])
    pixels, labels = held.at(size), rng.integers(0, space.classes, 20)
    archs = [space.draw(size, rng) for _ in range(TOGETHER + 2)]
    for begun in range(len(space.units) + 1):
        archs.append(replace(archs[-1], units=archs[-1].units[:begun] + space.draw(size, rng).units[begun:]))
    archs = list({arch.text: arch for arch in archs}.values())

    def scores(order: list[Arch]) -> dict[str, np.ndarray]:
        found = list(measure(Preparation(supernet, held, 12, 8), order, held, labels, 8))
        assert all(one.seconds > 0 for one in found)
        return {arch.text: one.correct_probability for arch, one in zip(order, found, strict=True)}

    together = scores(archs)
    monkeypatch.setattr("foxnas.accuracy.preparation.HELD_BYTES", 0)
    again = scores(archs[::-1])
    for arch in archs:
        alone = prepare_subnet(supernet, arch, to_input(pixels[:12]), 8)
        expected = evaluate(alone, pixels, labels, 8).correct_probability
        assert np.array_equal(together[arch.text], expected)
        assert np.array_equal(again[arch.text], expected)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_moves_only_what_is_nearly_a_tie(tmp_path: Path, precision: str) -> None:
    """On processors, by the same code as on a GPU: recalibrated in fp32, evaluated under autocast."""
    space = read_space("mini")
    supernet = shaken(space, 3)
    held = ArraysBySize([arrays(tmp_path, 28, 256, 1)])
    labels = np.zeros(256, np.int64)
    mixed = Hardware.choose("cpu", precision)  # type: ignore[arg-type]
    assert (mixed.name, mixed.precision) == ("cpu", precision)
    arch = space.draw(28, np.random.default_rng(5))
    subnet = Preparation(supernet, held, 256, 128, mixed).subnet(arch)
    assert {parameter.dtype for parameter in subnet.parameters()} == {torch.float32}
    x = to_input(held.at(28))
    exact = subnet(x)
    with mixed.autocast():
        rough = subnet(x)
    assert rough.dtype != torch.float32, "autocast had no effect"
    best = exact.topk(2).values
    certain = best[:, 0] - best[:, 1] > 0.25 * exact.std()
    assert certain.sum() > 100
    assert torch.equal(rough.argmax(1)[certain], exact.argmax(1)[certain])
    scored = evaluate(subnet, held.at(28), exact.argmax(1).numpy(), 128, mixed)
    assert np.array_equal(scored.correct, (rough.argmax(1) == exact.argmax(1)).numpy())
    assert not np.array_equal(
        scored.correct_probability, evaluate(subnet, held.at(28), labels, 128).correct_probability
    )


def test_an_outcome_says_what_it_took_and_comes_back_from_a_journal() -> None:
    seen = evaluation.Evaluation(np.array([True, False, True]), np.array([0.5, 0.1, 0.9], np.float32), 1.25)
    outcome = outcome_of(seen, PROCESSORS)
    assert [outcome.row()[name] for name in CIRCUMSTANCES] == [3, 1.25, "cpu", "fp32"]
    back = Outcome.from_record(outcome.to_record())
    assert back.row() == outcome.row()
    assert np.array_equal(back.correct, outcome.correct)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused_or_not_waited_for() -> None:
    with pytest.raises(FoxnasError, match=r"accuracy.device is cuda.*write cpu"):
        Hardware.choose("cuda", "fp16")
    assert Hardware.choose("auto", "fp32") == PROCESSORS


def test_moments_of_a_gpu_are_events_and_nobody_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = 0.0

    class FakeEvent:  # stands in for a GPU's clock, which stands still except while work is done
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.at_ms = now_ms

        def elapsed_time(self, end: FakeEvent) -> float:
            return end.at_ms - self.at_ms

    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    gpu = Hardware(torch.device("cuda"))
    begin = gpu.moment()
    now_ms = 1.25
    assert gpu.between(begin, gpu.moment()) == pytest.approx(0.00125)


def test_no_images_are_no_error() -> None:
    found = evaluate(nn.Flatten(), np.empty((0, 4, 4, 1), np.uint8), np.empty(0, np.int64), 8)
    assert (len(found.correct), len(found.correct_probability), found.seconds) == (0, 0, 0.0)


@pytest.mark.parametrize("activation", [None, "relu6"])
def test_statistics_without_onednn_are_batch_norms_own(activation: str | None) -> None:
    """As on a GPU: the outputs are normalised operator by operator."""
    space = replace(read_space("mini"), stem_activation="relu6")
    subnet = Subnet(shaken(space, 3), space.largest(16)).double()
    layer = subnet.stem if activation else subnet.blocks[0].project
    x = torch.rand(8, layer.conv.weight.shape[1] * layer.conv.groups, 16, 16, dtype=torch.float64)
    layer.train()
    with torch.inference_mode():
        found = layer(x)
        maps = conv_padded(x, layer.conv.weight, None, layer.conv.stride[0], layer.conv.groups, space.padding)
        expected = nn.functional.batch_norm(
            maps, None, None, layer.norm.weight, layer.norm.bias, True, 0.1, layer.norm.eps
        )
        torch.testing.assert_close(found, activate(expected, activation) if activation else expected)
