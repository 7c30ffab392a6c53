"""A subnet's real weights as a full-integer int8 TFLite model."""

from __future__ import annotations

import logging

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.int8 import converter
from foxnas.int8.checks import check
from foxnas.int8.computing import weighted_layers
from foxnas.int8.config import Exporter
from foxnas.int8.correction import correct_biases
from foxnas.int8.graph import write_int8
from foxnas.int8.quantisation import quantise
from foxnas.int8.ranges import value_ranges
from foxnas.int8.reading import read_summary
from foxnas.int8.serving import Int8Model
from foxnas.space.operators import input_shape, steps_of
from foxnas.supernet.subnet import Subnet

log = logging.getLogger(__name__)


def export_int8(
    subnet: Subnet,
    calibration_images: np.ndarray,
    *,
    exporter: Exporter = "foxnas",
    corrected: bool = True,
    ranges: np.ndarray | None = None,
) -> bytes:
    """Return a full-integer int8 TFLite model that reads raw uint8 pixels and writes uint8 logits.

    Weights of convolutions have one scale per channel, those of the last layer one scale in all, which
    is what the Edge TPU compiler and older runtimes read. Equal arguments give equal bytes.

    Parameters
    ----------
    subnet
        Folded.
    calibration_images
        uint8 (n, H, W, C), from the training split.
    exporter
        What writes the file: our own writer, with ranges from our own float network, or TensorFlow's converter.
    corrected
        Whether biases take back what rounding shifts (`foxnas.int8.correction`); else they are the rounded ones.
    ranges
        As `value_ranges`, for a subnet that was trained with them; None: those of the images. Of our own writer alone.

    Raises
    ------
    FoxnasError
        The images do not fit, the subnet is not folded, TensorFlow is asked for and not installed, or what was
        written is not this network in int8 with an input scale of 1/255 and a zero point of 0.
    """
    shape = input_shape(subnet.space, subnet.arch)[1:]
    images = calibration_images
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise FoxnasError(f"calibration images are {images.dtype} {images.shape}: expected uint8 (n, *{shape})")
    untouched: frozenset[int] = frozenset()
    if exporter == "foxnas":
        content = _written(subnet, value_ranges(subnet, images) if ranges is None else ranges)
    else:
        content, untouched = converter.convert_int8(subnet, images)
    if corrected:
        content = correct_biases(subnet, content, images, untouched)
    summary = read_summary(content)
    check(summary, subnet)
    # XNNPACK has no int8 hard-swish: each one runs outside it, beside the QUANTIZE at each end.
    expected = 2 + sum(operator.name == "HARD_SWISH" for operator in summary.operators)
    if (outside := Int8Model(content).fallback_operators()) not in (expected, None):
        log.warning(
            "%s: %d operators of the exported model run outside the XNNPACK delegate, not %d; it will be slower than "
            "its probe", subnet.arch.text, outside, expected,
        )  # fmt: skip
    return content


def _written(subnet: Subnet, ranges: np.ndarray) -> bytes:
    steps, layers = steps_of(subnet.space, subnet.arch), list(weighted_layers(subnet))
    numbers = quantise(steps, layers, ranges)
    return write_int8(steps, input_shape(subnet.space, subnet.arch), numbers)
