"""The operators of a subnet, as shapes alone: what the probe writer writes and the export converts.

The network is that of `foxnas.supernet.model`, with batch norms folded into their convolutions and
the hard-sigmoid spelled as TFLite has it: ReLU6(x + 3), the 3 in the bias, times 1/6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from foxnas.space import SEPARABLE, SQUEEZE_EXCITE, Arch, SearchSpace, SqueezeExcite


class Kind(Enum):
    """Operators of a subnet, by the name of their TFLite builtin."""

    CONV = "CONV_2D"
    DEPTHWISE = "DEPTHWISE_CONV_2D"
    ADD = "ADD"
    MEAN = "MEAN"
    SIXTH = "MUL by 1/6"
    MUL = "MUL"
    DENSE = "FULLY_CONNECTED"


@dataclass(frozen=True, slots=True)
class Step:
    """One operator.

    Parameters
    ----------
    inputs
        Values it reads: 0 is the network's input, i + 1 the output of step i.
    shape
        Of its output: (1, H, W, C), or (1, C) after the last pooling.
    weight
        Shape in TFLite's layout: (out, K, K, in) for CONV, (1, K, K, C) for DEPTHWISE,
        (out, in) for DENSE; empty for operators without weights.
    stride, relu6
        Of CONV and DEPTHWISE. Padding is SAME.
    bias_offset
        Added to every bias (3 where a hard-sigmoid follows).
    """

    kind: Kind
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    weight: tuple[int, ...] = ()
    stride: int = 1
    relu6: bool = False
    bias_offset: float = 0.0


class _Line:
    """Collects steps, one after another unless told which values a step reads."""

    def __init__(self, shape: tuple[int, ...], squeeze: SqueezeExcite) -> None:
        self.steps: list[Step] = []
        self.shape = shape
        self.squeeze = squeeze

    @property
    def value(self) -> int:
        """The newest value."""
        return len(self.steps)

    def append(self, step: Step) -> None:
        self.steps.append(step)
        self.shape = step.shape

    def conv(self, width: int, kernel: int = 1, stride: int = 1, relu6: bool = True, offset: float = 0.0) -> None:
        _, height, across, channels = self.shape
        shape = (1, -(-height // stride), -(-across // stride), width)
        self.append(Step(Kind.CONV, (self.value,), shape, (width, kernel, kernel, channels), stride, relu6, offset))

    def depthwise(self, kernel: int, stride: int) -> None:
        _, height, across, channels = self.shape
        shape = (1, -(-height // stride), -(-across // stride), channels)
        self.append(Step(Kind.DEPTHWISE, (self.value,), shape, (1, kernel, kernel, channels), stride, True))

    def gate(self) -> None:
        ungated, shape, hidden = self.value, self.shape, self.shape[3]
        self.append(Step(Kind.MEAN, (self.value,), (1, 1, 1, hidden)))
        self.conv(self.squeeze.width(hidden))
        self.conv(hidden, offset=3.0)
        self.append(Step(Kind.SIXTH, (self.value,), self.shape))
        self.append(Step(Kind.MUL, (ungated, self.value), shape))

    def block(self, width: int, stride: int, type: int, kernel: int, hidden: int | None) -> None:
        """Append an inverted bottleneck; `hidden` is None where it has no expansion convolution."""
        entered, residual = self.value, stride == 1 and self.shape[3] == width
        if hidden is not None:
            self.conv(hidden)
        self.depthwise(kernel, stride)
        if type == SQUEEZE_EXCITE:
            self.gate()
        self.conv(width, relu6=False)
        if residual:
            self.append(Step(Kind.ADD, (entered, self.value), self.shape))

    def classify(self, classes: int) -> None:
        channels = self.shape[3]
        self.append(Step(Kind.MEAN, (self.value,), (1, channels)))
        self.append(Step(Kind.DENSE, (self.value,), (1, classes), (classes, channels)))


def input_shape(space: SearchSpace, arch: Arch) -> tuple[int, int, int, int]:
    """Shape (1, H, W, C) of the image that a subnet reads."""
    return (1, arch.image_size, arch.image_size, space.image_channels)


def steps_of(space: SearchSpace, arch: Arch) -> tuple[Step, ...]:
    """Operators of a subnet in the order in which they run. Raises FoxnasError when `arch` lies outside `space`."""
    return tuple(_lay_out(space, arch)[0])


def layer_ends_of(space: SearchSpace, arch: Arch) -> tuple[int, ...]:
    """Where parts of `steps_of` end: stem and first block together, then every layer of every unit in turn.

    The steps after the last end are the head and the classifier. Raises FoxnasError like `steps_of`.
    """
    return tuple(_lay_out(space, arch)[1])


def _lay_out(space: SearchSpace, arch: Arch) -> tuple[list[Step], list[int]]:
    space.validate(arch)
    line = _Line(input_shape(space, arch), space.squeeze)
    line.conv(space.stem_width, 3, space.stem_stride)
    line.block(space.stem_width, 1, SEPARABLE, 3, None)
    ends = [line.value]
    expands = space.expansion_ratios != (1,)
    for spec, layers in zip(space.units, arch.units, strict=True):
        for position, (kernel, expansion) in enumerate(layers):
            hidden = line.shape[3] * expansion if expands else None
            line.block(spec.width, 1 if position else spec.stride, spec.type, kernel, hidden)
            ends.append(line.value)
    line.conv(space.head_width)
    line.classify(space.classes)
    return line.steps, ends
