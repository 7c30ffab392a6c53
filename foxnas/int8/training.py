"""Quantisation-aware training: a subnet learns with the rounding that its int8 file will have.

Forward, every weight and every value is what the exporter's integers stand for, by the exporter's own numbers
(`quantise`), taken anew from the weights at every step. Backward, rounding counts as the identity (straight-through;
Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, CVPR 2018,
section 3). Values' ranges stay those that the calibration images had before.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from foxnas.int8.computing import apply, weighted_layers
from foxnas.int8.graph import Scale
from foxnas.int8.quantisation import quantise, real_constants
from foxnas.space.arch import Arch
from foxnas.space.operators import Kind, Step, steps_of
from foxnas.supernet.subnet import Subnet
from foxnas.supernet.tensors import digest, read_tensors, write_tensors
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Recipe
from foxnas.supernet.training.steps import Images
from foxnas.supernet.training.train_step import Keys
from foxnas.supernet.training.training import train

KEYS = Keys("finishing.batch_size", "finishing.quantisation_aware_learning_rate", None)


class FakeQuantised(nn.Module):
    """A folded subnet in real numbers that are multiples of its int8 scales; images in [0, 1] to logits.

    Parameters
    ----------
    subnet
        Folded; its weights and biases are what is trained.
    ranges
        As of `foxnas.int8.ranges.value_ranges`.
    """

    def __init__(self, subnet: Subnet, ranges: np.ndarray) -> None:
        super().__init__()
        self.subnet, self.ranges = subnet, ranges
        self.steps: Sequence[Step] = steps_of(subnet.space, subnet.arch)

    def forward(self, image: Tensor, arch: Arch | None = None) -> Tensor:
        """Return logits; the architecture is the subnet's own."""
        layers = list(weighted_layers(self.subnet))
        numbers = quantise(self.steps, layers, self.ranges)
        unused = zip(layers, numbers.weights, strict=True)
        values = [_rounded(image, numbers.values[0])]
        for step, scale in zip(self.steps, numbers.values[1:], strict=True):
            read, constants = [values[i] for i in step.inputs], None
            if step.weight:
                layer, weights = next(unused)
                real = map(torch.from_numpy, real_constants(step, weights))
                exact = layer.weight, cast(Tensor, layer.bias) + step.bias_offset
                constants = tuple(one + (other.to(one) - one).detach() for one, other in zip(exact, real, strict=True))
            if step.kind is Kind.CENTRE and (mean := numbers.pixel_mean) is not None:
                taken = (mean.values - mean.scale.zero_point) * mean.scale.scale
                value = read[0] - torch.from_numpy(taken).to(image).view(-1, 1, 1)
            else:
                value = apply(step, read, cast(tuple[Tensor, Tensor] | None, constants))
            values.append(value if step.kind is Kind.PAD else _rounded(value, scale))
        return values[-1]


class Teacher(nn.Module):
    """A folded subnet with the interface of a supernet, whose largest subnet it is."""

    def __init__(self, subnet: Subnet) -> None:
        super().__init__()
        self.subnet, self.space = subnet, subnet.space

    def forward(self, image: Tensor, arch: Arch) -> Tensor:
        """Return logits; the architecture is the subnet's own."""
        return cast(Tensor, self.subnet(image))


def train_quantised(
    subnet: Subnet,
    ranges: np.ndarray,
    images: Images,
    labels: np.ndarray,
    recipe: Recipe,
    resume_from: Path | None = None,
    processes: Processes | None = None,
    save_every_s: float = 300.0,
) -> Subnet:
    """Return the folded subnet, trained to be rounded: export it with the same ranges, and uncorrected.

    With distillation, the subnet as it was in float teaches. Parameters and errors are those of
    `foxnas.supernet.training.training.train`.
    """
    teacher = Teacher(copy.deepcopy(subnet)) if recipe.distillation else None
    network = FakeQuantised(copy.deepcopy(subnet).requires_grad_(True), ranges)
    origin = {"arch": subnet.arch.text, "float_sha256": digest(subnet.state_dict()), "ranges": ranges.tolist()}
    trained = train(
        network, subnet.space, images, labels, recipe, origin, resume_from, processes, save_every_s, subnet.arch,
        teacher, KEYS,
    )  # fmt: skip
    return trained.subnet.requires_grad_(False)


def save_folded(subnet: Subnet, path: Path) -> None:
    """Write a folded subnet's weights, whole or not at all."""
    write_tensors(path, subnet.state_dict(), {"arch": subnet.arch.text})


def load_folded(subnet: Subnet, path: Path) -> Subnet:
    """Return a copy of a folded subnet with the weights of a file. Raises FoxnasError where that is damaged."""
    found = copy.deepcopy(subnet)
    found.load_state_dict(read_tensors(path).tensors)
    return found


def _rounded(value: Tensor, scale: Scale) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(value, float(scale.scale[0]), int(scale.zero_point[0]), -128, 127)
