"""The operators of a subnet, as shapes alone: what the probe writer writes and the export converts.

The network is that of `foxnas.supernet.model`, with batch norms folded into their convolutions and
the hard-sigmoid spelled as TFLite has it: ReLU6(x + 3), the 3 in the bias, times 1/6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from foxnas.space.arch import Arch
from foxnas.space.layers import FUSED, PIXEL_STATISTICS, SQUEEZE_EXCITE, Activation, BlockSpec, pads
from foxnas.space.space import SearchSpace

FusedActivation = Literal["none", "relu", "relu6"]


class Kind(Enum):
    """Operators of a subnet, by the name of their TFLite builtin."""

    CENTRE = "SUB"
    PAD = "PAD"
    CONV = "CONV_2D"
    DEPTHWISE = "DEPTHWISE_CONV_2D"
    HARD_SWISH = "HARD_SWISH"
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
    stride, activation
        Of CONV and DEPTHWISE.
    valid
        Of CONV and DEPTHWISE: padding is VALID, because a PAD comes before; otherwise it is SAME.
    bias_offset
        Added to every bias (3 where a hard-sigmoid follows).
    pads
        Of PAD: rows before and after, columns before and after.
    mean
        Of CENTRE: what it takes from the pixels, by channel.
    """

    kind: Kind
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    weight: tuple[int, ...] = ()
    stride: int = 1
    activation: FusedActivation = "none"
    valid: bool = False
    bias_offset: float = 0.0
    pads: tuple[tuple[int, int], ...] = ()
    mean: tuple[float, ...] = ()


class _Line:
    """Collects steps, one after another unless told which values a step reads."""

    def __init__(self, space: SearchSpace, arch: Arch) -> None:
        self.space = space
        self.steps: list[Step] = []
        self.shape: tuple[int, ...] = input_shape(space, arch)

    @property
    def value(self) -> int:
        """The newest value."""
        return len(self.steps)

    def append(self, step: Step) -> None:
        self.steps.append(step)
        self.shape = step.shape

    def centre(self) -> None:
        if statistics := PIXEL_STATISTICS.get(self.space.normalisation):
            self.append(Step(Kind.CENTRE, (self.value,), self.shape, mean=statistics[0]))

    def conv(
        self, width: int, activation: Activation | None, kernel: int = 1, stride: int = 1, offset: float = 0.0
    ) -> None:
        weight = (width, kernel, kernel, self.shape[3])
        self._convolve(Kind.CONV, weight, width, activation, stride, offset)

    def depthwise(self, activation: Activation, kernel: int, stride: int) -> None:
        channels = self.shape[3]
        self._convolve(Kind.DEPTHWISE, (1, kernel, kernel, channels), channels, activation, stride, 0.0)

    def gate(self) -> None:
        rule = self.space.squeeze
        ungated, shape, hidden = self.value, self.shape, self.shape[3]
        self.append(Step(Kind.MEAN, (self.value,), (1, 1, 1, hidden)))
        self.conv(rule.width(hidden), rule.activation)
        self.conv(hidden, "relu6", offset=3.0)
        self.append(Step(Kind.SIXTH, (self.value,), self.shape))
        self.append(Step(Kind.MUL, (ungated, self.value), shape))

    def block(self, spec: BlockSpec, kernel: int, hidden: int | None) -> None:
        """Append an inverted bottleneck; `hidden` is None where it has no expansion convolution."""
        entered = self.value
        if spec.type == FUSED:
            assert hidden is not None
            self.conv(hidden, spec.activation, 3, spec.stride)
        else:
            if hidden is not None:
                self.conv(hidden, spec.activation)
            self.depthwise(spec.activation, kernel, spec.stride)
        if spec.type == SQUEEZE_EXCITE:
            self.gate()
        self.conv(spec.width, None)
        if spec.residual:
            self.append(Step(Kind.ADD, (entered, self.value), self.shape))

    def classify(self) -> None:
        space, channels = self.space, self.shape[3]
        if space.mix_width:
            self.append(Step(Kind.MEAN, (self.value,), (1, 1, 1, channels)))
            self.conv(space.mix_width, space.head_activation)
            channels = space.mix_width
        else:
            self.append(Step(Kind.MEAN, (self.value,), (1, channels)))
        # FULLY_CONNECTED flattens what it reads, so no RESHAPE comes before it.
        self.append(Step(Kind.DENSE, (self.value,), (1, space.classes), (space.classes, channels)))

    def _convolve(
        self,
        kind: Kind,
        weight: tuple[int, ...],
        width: int,
        activation: Activation | None,
        stride: int,
        offset: float,
    ) -> None:
        _, height, across, channels = self.shape
        kernel = weight[1]
        wanted, same = (
            tuple(pads(rule, size, kernel, stride) for size in (height, across))
            for rule in (self.space.padding, "same")
        )
        if wanted != same:
            (top, bottom), (left, right) = wanted
            shape = (1, height + top + bottom, across + left + right, channels)
            self.append(Step(Kind.PAD, (self.value,), shape, pads=wanted))
        shape = (1, -(-height // stride), -(-across // stride), width)
        fused = activation if activation == "relu" or activation == "relu6" else "none"
        self.append(Step(kind, (self.value,), shape, weight, stride, fused, valid=wanted != same, bias_offset=offset))
        if activation == "h-swish":
            self.append(Step(Kind.HARD_SWISH, (self.value,), shape))


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
    line = _Line(space, arch)
    line.centre()
    line.conv(space.stem_width, space.stem_activation, 3, space.stem_stride)
    line.block(space.first_block(), 3, None)
    ends = [line.value]
    for unit, layers in enumerate(arch.units):
        for position, (kernel, expansion) in enumerate(layers):
            spec = space.block(unit, position)
            # A unit whose only expansion ratio is 1 has no expansion convolutions.
            expands = spec.type == FUSED or space.choices[unit].expansion_ratios != (1,)
            line.block(spec, kernel, spec.in_width * expansion if expands else None)
            ends.append(line.value)
    line.conv(space.head_width, space.head_activation)
    line.classify()
    return line.steps, ends
