"""TFLite's builtins for the steps of a network: codes, versions and options.

They are those of TensorFlow 2.21's converter; the interpreter accepts wrong ones without a word, so a test holds them
against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from foxnas.space.operators import FusedActivation, Kind, Step

_Op = schema.BuiltinOperator

#: Builtin code and version of each operator; None is QUANTIZE, which stands at both ends.
CODES: Mapping[Kind | None, tuple[int, int]] = {
    None: (_Op.QUANTIZE, 1),
    Kind.CENTRE: (_Op.SUB, 2),
    Kind.PAD: (_Op.PAD, 2),
    Kind.CONV: (_Op.CONV_2D, 3),
    Kind.DEPTHWISE: (_Op.DEPTHWISE_CONV_2D, 3),
    Kind.HARD_SWISH: (_Op.HARD_SWISH, 1),
    Kind.ADD: (_Op.ADD, 2),
    Kind.MEAN: (_Op.MEAN, 2),
    Kind.SIXTH: (_Op.MUL, 2),
    Kind.MUL: (_Op.MUL, 2),
    Kind.DENSE: (_Op.FULLY_CONNECTED, 4),
}


def options_of(step: Step | None) -> tuple[int, Any]:
    """Return option type and object of a step's builtin, one object for all that are equal; None is QUANTIZE."""
    if step is None:
        return _options(None)
    return _options(step.kind, step.stride, step.activation, step.valid, len(step.shape) == 4)


@cache
def _options(
    kind: Kind | None,
    stride: int = 1,
    activation: FusedActivation = "none",
    valid: bool = False,
    keep_dims: bool = True,
) -> tuple[int, Any]:
    """Option type and object of a builtin; QUANTIZE has none."""
    kinds = schema.BuiltinOptions
    if kind in (Kind.CONV, Kind.DEPTHWISE):
        convolution = {
            "strideH": stride,
            "strideW": stride,
            "fusedActivationFunction": getattr(schema.ActivationFunctionType, activation.upper()),
            "padding": schema.Padding.VALID if valid else schema.Padding.SAME,
        }
        if kind is Kind.CONV:
            return kinds.Conv2DOptions, schema.Conv2DOptionsT(**convolution)
        return kinds.DepthwiseConv2DOptions, schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **convolution)
    if kind is Kind.MEAN:
        return kinds.ReducerOptions, schema.ReducerOptionsT(keepDims=keep_dims)
    plain = {
        Kind.CENTRE: (kinds.SubOptions, schema.SubOptionsT),
        Kind.PAD: (kinds.PadOptions, schema.PadOptionsT),
        Kind.HARD_SWISH: (kinds.HardSwishOptions, schema.HardSwishOptionsT),
        Kind.ADD: (kinds.AddOptions, schema.AddOptionsT),
        Kind.SIXTH: (kinds.MulOptions, schema.MulOptionsT),
        Kind.MUL: (kinds.MulOptions, schema.MulOptionsT),
        Kind.DENSE: (kinds.FullyConnectedOptions, schema.FullyConnectedOptionsT),
    }
    if kind not in plain:
        return kinds.NONE, None
    code, table = plain[kind]
    return code, table()
