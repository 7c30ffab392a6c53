"""Bias correction: what int8 rounds the same way everywhere is taken back by the next layer's bias.

Rounding errors of a tensor mostly cancel in the next layer's sums. What does not cancel shifts a channel's mean, the
more the coarser the scale is. The mean error of a layer's sums, channel by channel, is known from the calibration
images, and goes into its bias, which has 32 bits for it (Nagel et al., *Data-Free Quantization Through Weight
Equalization and Bias Correction*, ICCV 2019, section 4.2, with images in place of batch-norm statistics). The model's
structure and speed stay what they are.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.images.pixels import to_input
from foxnas.int8.computing import compute, weighted_layers
from foxnas.int8.packing import pack
from foxnas.int8.ranges import PIXELS, one_thread
from foxnas.int8.reading import read_model
from foxnas.space.operators import Kind, Step, steps_of
from foxnas.supernet.subnet import Subnet


@one_thread()
@torch.inference_mode()
def correct_biases(subnet: Subnet, content: bytes, images: np.ndarray, untouched: Collection[int] = ()) -> bytes:
    """Return the int8 model with the mean error of every layer's sums taken out of its biases.

    Layers are corrected in the order in which they run, each for what is left of the errors of those before.

    Parameters
    ----------
    subnet
        Folded; what the model was converted from.
    content
        The .tflite file, with a QUANTIZE at either end.
    images
        uint8 (n, H, W, channels); of large ones the first few are used.
    untouched
        Steps that were converted from other weights than the subnet's.
    """
    model = read_model(content)
    (graph,) = model.subgraphs
    pixels = images[: max(1, PIXELS // (images.shape[1] * images.shape[2]))]
    image = to_input(pixels)
    steps, layers = steps_of(subnet.space, subnet.arch), weighted_layers(subnet)
    last_use = {value: number for number, step in enumerate(steps) for value in step.inputs}
    exact, rounded = {0: image}, {0: image}
    for number, (step, operator) in enumerate(zip(steps, graph.operators[1:-1], strict=True)):
        layer, sums = next(layers) if step.weight else None, replace(step, activation="none")
        wanted = compute(sums, [exact[i] for i in step.inputs], layer)
        stored = None if layer is None else _Stored(model, operator, step, layer)
        found = compute(sums, [rounded[i] for i in step.inputs], stored.layer if stored else None)
        if stored and number not in untouched:
            error = (found - wanted).transpose(0, 1).flatten(1).mean(1)
            found -= stored.lower_bias(error).view(-1, *[1] * (found.ndim - 2))
        exact[number + 1] = _activated(step, wanted)
        rounded[number + 1] = _rounded(_activated(step, found), graph.tensors[operator.outputs[0]].quantization)
        for value in {value for value in step.inputs if last_use[value] == number}:
            del exact[value], rounded[value]
    return pack(model)


class _Stored:
    """The constants of an operator, as the file holds them."""

    def __init__(self, model: Any, operator: Any, step: Step, layer: nn.Conv2d | nn.Linear) -> None:
        self._model, self._operator = model, operator
        tensors = model.subgraphs[0].tensors
        weight, bias = tensors[operator.inputs[1]], tensors[operator.inputs[2]]
        self._integers = model.buffers[bias.buffer].data.view(np.int32)
        self._scale = np.asarray(bias.quantization.scale)
        integers = model.buffers[weight.buffer].data.view(np.int8).reshape(step.weight)
        scales = np.asarray(weight.quantization.scale, np.float32)
        places = [1] * integers.ndim
        places[weight.quantization.quantizedDimension] = len(scales)
        real = integers * scales.reshape(places)
        axes = {Kind.CONV: (0, 3, 1, 2), Kind.DEPTHWISE: (3, 0, 1, 2), Kind.DENSE: (0, 1)}[step.kind]
        self.layer = copy.deepcopy(layer)
        self.layer.weight = nn.Parameter(torch.from_numpy(real.transpose(axes)), requires_grad=False)
        without_offset = (self._integers * self._scale).astype(np.float32) - np.float32(step.bias_offset)
        self.layer.bias = nn.Parameter(torch.from_numpy(without_offset), requires_grad=False)

    def lower_bias(self, amount: Tensor) -> Tensor:
        """Take an amount from every channel's bias; return what was taken after rounding."""
        steps = np.round(amount.numpy() / self._scale)
        limits = np.iinfo(np.int32)
        lowered = np.clip(self._integers - steps, limits.min, limits.max).astype(np.int32)
        taken = (self._integers.astype(np.int64) - lowered) * self._scale
        _own_bias(self._model, self._operator).data = lowered.view(np.uint8)
        return torch.from_numpy(taken.astype(np.float32))


def _own_bias(model: Any, operator: Any) -> Any:
    """Return the buffer of an operator's bias; one of its own where the converter has written equal ones once."""
    (graph,) = model.subgraphs
    bias = graph.tensors[operator.inputs[2]]
    if sum(operator.inputs[2] in other.inputs for other in graph.operators) > 1:
        bias = copy.copy(bias)
        graph.tensors.append(bias)
        operator.inputs = [*operator.inputs[:2], len(graph.tensors) - 1]
    if sum(tensor.buffer == bias.buffer for tensor in graph.tensors) > 1:
        bias.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
    return model.buffers[bias.buffer]


def _activated(step: Step, sums: Tensor) -> Tensor:
    return sums if step.activation == "none" else cast(Tensor, getattr(F, step.activation)(sums))


def _rounded(values: Tensor, quantisation: Any) -> Tensor:
    """What is left of values in int8.

    Bit for bit `torch.fake_quantize_per_tensor_affine`, which was half of a correction's time: it takes one number at
    a time.
    """
    (scale,), (zero_point,) = quantisation.scale, quantisation.zeroPoint
    scale, zero = np.float32(scale), int(zero_point)
    steps = (values * float(np.float32(1) / scale)).round_()
    return steps.clamp_(-128 - zero, 127 - zero).mul_(float(scale))
