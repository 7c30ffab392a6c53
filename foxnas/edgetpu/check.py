"""Will the Edge TPU compiler take a model? Answered from the file alone, before the compiler is called.

The compiler says little when it fails ("Internal compiler error. Aborting!"), and its most reported
failure, an operator version from a newer TensorFlow, can be seen in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from foxnas.edgetpu.known import (
    COMPILER_RELEASE,
    EDGETPU_OPERATORS,
    LAST_BUILTIN_CODE,
    LONGEST_SOFTMAX,
    NEWEST_RUNTIME,
    NO_FUSED_ACTIVATION,
    TENSORFLOW_RELEASE,
)
from foxnas.errors import FoxnasError
from foxnas.int8.reading import OperatorSummary, Summary, TensorSummary, builtin_code, read_summary


class Consequence(Enum):
    """What becomes of a model with a finding."""

    REFUSED = "the compiler refuses the model"
    WRONG = "it may compile, and answer wrongly"
    UNSURE = "the compiler may refuse the model"
    CPU = "the operator and all that follow it run on the CPU"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that would go wrong.

    Parameters
    ----------
    where
        The operator or tensor, in words.
    what
        What is wrong with it, and the way out.
    """

    consequence: Consequence
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.consequence.value})"


def blocking(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with which calling the compiler makes no sense."""
    return [f for f in findings if f.consequence in (Consequence.REFUSED, Consequence.WRONG)]


def check_model(content: bytes, runtime: int = NEWEST_RUNTIME) -> list[Finding]:
    """Return everything that would fail or leave the Edge TPU, in the order of the graph; empty when all is well.

    Parameters
    ----------
    content
        A .tflite file.
    runtime
        Edge TPU runtime version that the model must run on.
    """
    try:
        summary = read_summary(content)
    except FoxnasError as error:
        return [Finding(Consequence.REFUSED, "the file", str(error))]
    findings = [*_tensors(summary)]
    for number, operator in enumerate(summary.operators):
        where = f"operator {number}, {operator.name}"
        findings += [Finding(consequence, where, what) for consequence, what in _operator(summary, operator, runtime)]
    return findings


_Problem = tuple[Consequence, str]


def _tensors(summary: Summary) -> Iterator[Finding]:
    if not any(tensor.type in ("INT8", "UINT8") and tensor.scales for tensor in summary.tensors):
        yield Finding(Consequence.REFUSED, "the model", "is not quantised: export it as full-integer int8")
        return
    for name, tensor in (("input", summary.image), ("output", summary.logits)):
        if tensor.type not in ("INT8", "UINT8"):
            what = f"is {tensor.type}: convert with inference_{name}_type uint8 or int8"
            yield Finding(Consequence.CPU, f"the {name}", what)
    if count := sum(tensor.dynamic for tensor in summary.tensors):
        # Refused once an operator computes a shape from it ("a delegate that only supports static-sized tensors").
        what = f"leaves a dimension of {count} tensors open: fix the batch at 1 when converting"
        yield Finding(Consequence.UNSURE, "the model", what)
    for number, tensor in enumerate(summary.tensors):
        where = f"tensor {number}, {tensor.name or 'without a name'}"
        if not tensor.constant and len(tensor.shape) > 3 and any(n != 1 for n in tensor.shape[:-3]):
            what = f"has shape {tensor.shape}: only the innermost three dimensions may exceed 1, the batch is 1"
            yield Finding(Consequence.CPU, where, what)


def _operator(summary: Summary, operator: OperatorSummary, runtime: int) -> Iterator[_Problem]:
    known = EDGETPU_OPERATORS.get(operator.name)
    if operator.name == "CUSTOM":
        yield Consequence.REFUSED, "is a custom operator (is the model compiled already?)"
        return
    if builtin_code(operator.name) > LAST_BUILTIN_CODE:
        yield Consequence.REFUSED, f"did not exist in TensorFlow {TENSORFLOW_RELEASE}, which the compiler reads"
        return
    if known is None:
        yield Consequence.CPU, "is no operator of the Edge TPU"
        return
    if operator.version > known.version:
        yield (
            Consequence.REFUSED,
            f"has version {operator.version}, compiler {COMPILER_RELEASE} knows versions up to {known.version}: "
            'it would say "Didn\'t find op for builtin opcode". Leave out what needs the newer version, or '
            f"convert with TensorFlow {TENSORFLOW_RELEASE}",
        )
    if runtime < known.runtime:
        yield Consequence.CPU, f"needs Edge TPU runtime {known.runtime}, the model is to run on {runtime}"
    yield from _types(summary, operator)
    yield from _limits(summary, operator)


def _types(summary: Summary, operator: OperatorSummary) -> Iterator[_Problem]:
    """Types and scale counts of what an operator reads and writes."""
    read = [summary.tensors[i] for i in operator.inputs if i >= 0]
    written = [summary.tensors[i] for i in operator.outputs]
    values = [tensor for tensor in (*read, *written) if not tensor.constant]
    if wrong := next((tensor for tensor in values if tensor.type not in ("INT8", "UINT8")), None):
        yield Consequence.CPU, f"works on {wrong.type} ({wrong.name}), the Edge TPU on int8 and uint8"
    elif bare := next((tensor for tensor in values if tensor.scales != 1), None):
        yield Consequence.REFUSED, f"{bare.name or 'a value'} has {bare.scales} scales, a value needs one"
    channels = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
    if operator.name == "FULLY_CONNECTED" and len(read) > 1 and read[1].scales > 1:
        yield (
            Consequence.WRONG,
            f"its weights have {read[1].scales} scales, TensorFlow {TENSORFLOW_RELEASE} knows one a dense layer: "
            "convert with _experimental_disable_per_channel_quantization_for_dense_layers",
        )
    elif operator.name in channels and len(read) > 1:
        yield from _filter(read[1], channels[operator.name])


def _filter(weights: TensorSummary, axis: int) -> Iterator[_Problem]:
    width = weights.shape[axis]
    if weights.type not in ("INT8", "UINT8"):
        yield Consequence.CPU, f"its weights are {weights.type}"
    elif weights.scales not in (1, width) or (weights.scales > 1 and weights.axis != axis):
        yield (
            Consequence.REFUSED,
            f"its weights have {weights.scales} scales along dimension {weights.axis}: expected one, or {width} along "
            f"dimension {axis}",
        )
    elif weights.type == "INT8" and any(weights.zero_point):
        yield Consequence.REFUSED, "its int8 weights have a zero point other than 0"


def _limits(summary: Summary, operator: OperatorSummary) -> Iterator[_Problem]:
    """The known limitations of coral.ai's table, as far as a file shows them."""
    options = dict(operator.options)
    first = summary.tensors[operator.inputs[0]].shape
    result = summary.tensors[operator.outputs[0]].shape
    if options.get("dilationHFactor", 1) != options.get("dilationWFactor", 1):
        yield Consequence.CPU, "dilates x and y differently"
    if operator.name in NO_FUSED_ACTIVATION and options.get("fusedActivationFunction", 0):
        yield Consequence.CPU, "has a fused activation"
    match operator.name:
        case "FULLY_CONNECTED" if options.get("weightsFormat", 0) or any(n != 1 for n in result[:-1]):
            yield Consequence.CPU, "needs the default weight format and one vector as output"
        case "MEAN" | "SUM" | "REDUCE_MAX" | "REDUCE_MIN" if first and first[-1] not in result[-1:] and first[-1] % 4:
            yield Consequence.CPU, f"reduces over {first[-1]} channels, which are no multiple of 4"
        case "SOFTMAX" if any(n != 1 for n in first[:-1]) or first[-1] > LONGEST_SOFTMAX:
            yield Consequence.CPU, f"takes one vector of at most {LONGEST_SOFTMAX:,} numbers"
        case "STRIDED_SLICE" if options.get("ellipsisMask", 0) or options.get("newAxisMask", 0):
            yield Consequence.CPU, "uses an ellipsis or a new axis"
        case _:
            pass
