"""Where an int8 model loses what its float subnet computes: the signal-to-quantisation-noise ratio, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from torch import Tensor

from foxnas.errors import FoxnasError
from foxnas.int8.computing import compute, weighted_layers
from foxnas.int8.reading import Summary, read_summary
from foxnas.space.operators import steps_of
from foxnas.supernet.subnet import Subnet


@torch.inference_mode()
def values_of(subnet: Subnet, images: Tensor) -> list[Tensor]:
    """Return every value of a folded subnet: the images (n, channels, H, W) in [0, 1], then each step's output."""
    values, layers = [images], weighted_layers(subnet)
    for step in steps_of(subnet.space, subnet.arch):
        layer = next(layers) if step.weight else None
        values.append(compute(step, [values[i] for i in step.inputs], layer))
    return values


@dataclass(frozen=True)
class LayerNoise:
    """Signal-to-quantisation-noise ratios of one operator's output, in dB: 10 log10(sum x^2 / sum (x - x_int8)^2).

    Attributes
    ----------
    name, shape
        The operator and its output.
    own_db
        Against the float operator on the *int8 model's* inputs: the noise that this operator adds.
    total_db
        Against the float network: all noise so far.

    Both are NaN where the float value is zero throughout, as in a gate that never opens.
    """

    name: str
    shape: tuple[int, ...]
    own_db: float
    total_db: float


def layer_noise(subnet: Subnet, content: bytes, images: np.ndarray) -> list[LayerNoise]:
    """Compare an int8 model's inner tensors with its subnet's values.

    Parameters
    ----------
    subnet
        Folded.
    content
        Its int8 .tflite file.
    images
        uint8 (n, H, W, channels); a few are enough.

    Raises
    ------
    FoxnasError
        The file is not this subnet's.
    """
    steps = steps_of(subnet.space, subnet.arch)
    summary = read_summary(content)
    found_steps = [(op.name, summary.tensors[op.outputs[0]].shape) for op in summary.operators[1:-1]]
    if found_steps != [(step.kind.value.partition(" ")[0], step.shape) for step in steps]:
        raise FoxnasError(f"{subnet.arch.text}: the .tflite file has other operators than this subnet")
    quantised = inner_values(content, summary, images)
    exact = values_of(subnet, quantised[0])
    layers, found = weighted_layers(subnet), []
    for number, step in enumerate(steps):
        layer = next(layers) if step.weight else None
        own = compute(step, [quantised[i] for i in step.inputs], layer)
        # An export opens a gate that is dead for its calibration images in another way, with the same result.
        dead = any(not exact[i].any() for i in (*step.inputs, number + 1))
        noise = [math.nan if dead else _ratio_db(x, quantised[number + 1]) for x in (own, exact[number + 1])]
        found.append(LayerNoise(step.kind.value, step.shape, *noise))
    return found


def _ratio_db(signal: Tensor, noisy: Tensor) -> float:
    noise = float(((signal - noisy) ** 2).sum())
    return 10 * math.log10(float((signal**2).sum()) / noise) if noise else math.inf


def inner_values(content: bytes, summary: Summary, images: np.ndarray) -> list[Tensor]:
    """Return every value of the int8 model, dequantised: the image, then each operator's output but the last one's.

    Maps are (n, channels, H, W), as those of `values_of`.
    """
    # A delegate keeps its inner tensors to itself.
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    places = [operator.outputs[0] for operator in summary.operators[:-1]]
    rows: list[list[np.ndarray]] = [[] for _ in places]
    for image in images:
        interpreter.set_tensor(summary.inputs[0], image[None])
        interpreter.invoke()
        for row, place in zip(rows, places, strict=True):
            row.append(interpreter.get_tensor(place))
    values = []
    for row, place in zip(rows, places, strict=True):
        tensor = summary.tensors[place]
        real = (np.concatenate(row).astype(np.float32) - tensor.zero_point[0]) * np.float32(tensor.scale[0])
        values.append(torch.from_numpy(real).permute(0, 3, 1, 2) if real.ndim == 4 else torch.from_numpy(real))
    return values
