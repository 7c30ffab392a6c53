"""A subnet's real weights as TFLite models, by TensorFlow's converter: for `export.with: tensorflow` and for tests.

Nothing else imports TensorFlow, which is an extra of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import tempfile
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from torch import Tensor, nn

from foxnas.errors import FoxnasError
from foxnas.int8.computing import weighted_layers
from foxnas.int8.reading import Summary, read_summary
from foxnas.space.operators import Kind, Step, input_shape, steps_of
from foxnas.supernet.subnet import Subnet

log = logging.getLogger(__name__)

#: Said where TensorFlow is asked for.
MISSING = (
    "export.with is tensorflow, which is not installed; install it (pip install -e '.[tensorflow]' in the folder of "
    "pyproject.toml) or write export: {with: foxnas}, which does not need it"
)

#: Below this scale, a range of 0.0003, a value is taken to be constant zero.
_DEAD_SCALE = 1e-6


def convert_int8(subnet: Subnet, images: np.ndarray) -> tuple[bytes, frozenset[int]]:
    """Return the converter's int8 file, and the steps that it was given with other weights than the subnet's.

    Those are the two convolutions of each gate that is the same for every image. Ranges are the images'. Raises
    FoxnasError when the subnet is not folded, TensorFlow is not installed, or it cannot convert.
    """
    images = _with_full_range(images)
    content = _convert_int8(subnet, images)
    dead = _dead_gates(subnet, read_summary(content))
    if not dead:
        return content, dead
    log.info("%s: %d gates are the same for every calibration image", subnet.arch.text, len(dead))
    return _convert_int8(subnet, images, dead), dead | {number + 1 for number in dead}


def _convert_int8(subnet: Subnet, images: np.ndarray, dead_gates: frozenset[int] = frozenset()) -> bytes:
    with _quiet():
        tf = _tensorflow()
        converter = _converter(subnet, dead_gates)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None] / np.float32(255)] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        return converter.convert()


def _converter(subnet: Subnet, dead_gates: frozenset[int] = frozenset()) -> Any:
    """A TFLite converter over the subnet as a TensorFlow function of one image."""
    tf = _tensorflow()
    steps = steps_of(subnet.space, subnet.arch)
    weighted = [number for number, step in enumerate(steps) if step.weight]
    constants = [_constants(steps[n], layer) for n, layer in zip(weighted, weighted_layers(subnet), strict=True)]
    for place, number in enumerate(weighted):
        if number in dead_gates:
            constants[place : place + 2] = _open(*constants[place : place + 2])

    def forward(image: Any) -> dict[str, Any]:
        values, unused = [image], iter(constants)
        for step in steps:
            values.append(_apply(tf, step, [values[i] for i in step.inputs], unused))
        return {"logits": values[-1]}

    module = tf.Module()
    signature = [tf.TensorSpec(input_shape(subnet.space, subnet.arch), tf.float32, name="image")]
    module.forward = tf.function(forward, input_signature=signature, autograph=False)
    return tf.lite.TFLiteConverter.from_concrete_functions([module.forward.get_concrete_function()], module)


def _apply(tf: Any, step: Step, inputs: list[Any], constants: Iterator[tuple[np.ndarray, np.ndarray]]) -> Any:
    """One step as TensorFlow operators that the converter fuses into one of TFLite's."""
    if step.weight:
        weight, bias = next(constants)
        if step.kind is Kind.DENSE:
            return tf.matmul(tf.reshape(inputs[0], (1, -1)), weight) + bias
        padding = "VALID" if step.valid else "SAME"
        if step.kind is Kind.CONV:
            y = tf.nn.conv2d(inputs[0], weight, step.stride, padding) + bias
        else:
            y = tf.nn.depthwise_conv2d(inputs[0], weight, (1, step.stride, step.stride, 1), padding) + bias
        return y if step.activation == "none" else getattr(tf.nn, step.activation)(y)
    if step.kind is Kind.CENTRE:
        return inputs[0] - np.array(step.mean, np.float32)
    if step.kind is Kind.PAD:
        return tf.pad(inputs[0], [(0, 0), *step.pads, (0, 0)])
    if step.kind is Kind.HARD_SWISH:
        return inputs[0] * tf.nn.relu6(inputs[0] + np.float32(3)) * np.float32(1 / 6)
    if step.kind is Kind.MEAN:
        return tf.reduce_mean(inputs[0], (1, 2), keepdims=len(step.shape) == 4)
    if step.kind is Kind.SIXTH:
        return inputs[0] * np.float32(1 / 6)
    return inputs[0] + inputs[1] if step.kind is Kind.ADD else inputs[0] * inputs[1]


def _constants(step: Step, layer: nn.Conv2d | nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    """Weight in TensorFlow's layout, and bias."""
    weight = layer.weight.detach().numpy()
    if step.kind is Kind.DENSE:
        weight = weight.T
    else:
        # (out, in, K, K) -> (K, K, in, out); a depthwise filter, (C, 1, K, K) -> (K, K, C, 1)
        weight = weight.transpose(2, 3, 0, 1) if step.kind is Kind.DEPTHWISE else weight.transpose(2, 3, 1, 0)
    return np.ascontiguousarray(weight), cast(Tensor, layer.bias).detach().numpy() + np.float32(step.bias_offset)


def _dead_gates(subnet: Subnet, summary: Summary) -> frozenset[int]:
    """Steps that squeeze into a gate and are 0 for every calibration image.

    The converter gives such a value a scale of about 1e-8, at which the next bias overflows and
    XNNPACK refuses the whole model.
    """
    steps = steps_of(subnet.space, subnet.arch)
    dead = set()
    for number, (step, operator) in enumerate(zip(steps, summary.operators[1:], strict=False)):
        squeezes = step.activation != "none" and steps[number + 1].bias_offset
        if squeezes and summary.tensors[operator.outputs[0]].scale[0] < _DEAD_SCALE:
            dead.add(number)
    return frozenset(dead)


def _open(
    reduce: tuple[np.ndarray, np.ndarray], expand: tuple[np.ndarray, np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two convolutions of a dead gate, rewritten to squeeze into ones where they squeezed into zeros."""
    (reduce_w, reduce_b), (expand_w, expand_b) = reduce, expand
    # All-zero weights would get a scale of 1e-8 themselves; a thousandth of the real ones does no harm.
    return [
        (reduce_w * np.float32(1e-3), np.ones_like(reduce_b)),
        (expand_w, expand_b - expand_w.sum(axis=(0, 1, 2))),
    ]


def _with_full_range(images: np.ndarray) -> np.ndarray:
    """Return images among whose pixels there is a 0 and a 255, so that the input's scale becomes 1/255."""
    if images.min() == 0 and images.max() == 255:
        return images
    images = images.copy()
    images[0, 0, 0, 0], images[0, -1, -1, -1] = 0, 255
    return images


def _tensorflow() -> Any:
    """TensorFlow, imported so that torch can go on living beside it.

    TensorFlow 2.21 loads its LLVM into the global symbol table. Triton, which CUDA builds of torch import
    with the first optimiser, dies of that unless it was there before (tensorflow issue 124205).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with contextlib.suppress(ImportError):
        importlib.import_module("triton._C.libtriton")
    try:
        return importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise FoxnasError(MISSING) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what TensorFlow writes to stderr (no setting silences all of it); tell it when something fails."""
    with tempfile.TemporaryFile() as chatter:
        kept = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except FoxnasError:
            raise
        except Exception as error:
            chatter.seek(0)
            tail = chatter.read().decode(errors="replace").strip().splitlines()[-5:]
            raise FoxnasError("\n".join([f"TensorFlow's converter failed: {error}", *tail])) from error
        finally:
            os.dup2(kept, 2)
            os.close(kept)
