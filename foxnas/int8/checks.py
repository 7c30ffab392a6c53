"""Whether an int8 file is the network that it was made of: what no interpreter says."""

from __future__ import annotations

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.int8.reading import Summary
from foxnas.space.operators import input_shape, steps_of
from foxnas.supernet.subnet import Subnet

#: A raw pixel is a quantised number already: real value = PIXEL_SCALE * (pixel - 0).
PIXEL_SCALE = float(np.float32(1 / 255))


def check(summary: Summary, subnet: Subnet) -> None:
    """Refuse (FoxnasError) a file that is not this subnet in integers throughout, or does not read raw pixels."""
    check_operators(summary, subnet)
    _check_ends(summary, subnet)
    _check_quantisation(summary, subnet)


def check_operators(summary: Summary, subnet: Subnet) -> None:
    """Refuse a model whose operators and shapes are not the subnet's, QUANTIZE at the ends aside."""
    found = [(op.name, summary.tensors[op.outputs[0]].shape) for op in summary.operators if op.name != "QUANTIZE"]
    steps = steps_of(subnet.space, subnet.arch)
    expected = [(step.kind.value.partition(" ")[0], step.shape) for step in steps]
    if found != expected:
        extra = next((f"{f} instead of {e}" for f, e in zip(found, expected, strict=False) if f != e), "")
        raise FoxnasError(
            f"{subnet.arch.text}: the exporter wrote {len(found)} operators, {len(expected)} expected {extra}; "
            "is this TensorFlow the version that the project pins?"
        )


def _check_ends(summary: Summary, subnet: Subnet) -> None:
    image, logits = summary.image, summary.logits
    expected = (input_shape(subnet.space, subnet.arch), "UINT8"), ((1, subnet.space.classes), "UINT8")
    if ((image.shape, image.type), (logits.shape, logits.type)) != expected:
        raise FoxnasError(
            f"{subnet.arch.text}: the exporter wrote a model {image.type} {image.shape} -> {logits.type} "
            f"{logits.shape}, expected {expected[0]} -> {expected[1]}"
        )


def _check_quantisation(summary: Summary, subnet: Subnet) -> None:
    """Refuse a model that is not in integers throughout, or that does not read raw pixels."""
    image = summary.image
    if image.scale != (PIXEL_SCALE,) or image.zero_point != (0,):
        raise FoxnasError(
            f"{subnet.arch.text}: the exporter gave the input scale {image.scale} and zero point {image.zero_point}, "
            "raw pixels need 1/255 and 0"
        )
    for tensor in summary.tensors:
        # The axes of a pooling are integers without a scale.
        integer = tensor.scales if tensor.type in ("INT8", "UINT8") else tensor.type == "INT32" and tensor.constant
        if not integer or not all(0 < scale < np.inf for scale in tensor.scale):
            raise FoxnasError(f"{subnet.arch.text}: tensor {tensor.name} is {tensor.type} with scales {tensor.scale}")
