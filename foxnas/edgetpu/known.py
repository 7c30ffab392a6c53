"""What version 16.0 of the Edge TPU compiler knows, the last one released (July 2021).

Sources: the table of supported operations on coral.ai (models-intro), and for operator versions the map
of TensorFlow's `lite/tools/versioning/runtime_version.cc`, cut off at TensorFlow 2.5, which that release
of the Coral software is built on. What users report of 16.0 agrees: it refuses CONV_2D 6 (TensorFlow
2.9), QUANTIZE 3 (2.7), TRANSPOSE_CONV 4, FULLY_CONNECTED 12 and any builtin code from 150 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: The compiler's release, and the TensorFlow whose operators it reads.
COMPILER_RELEASE, TENSORFLOW_RELEASE = "16.0", "2.5"

#: Highest builtin code of TensorFlow 2.5's schema (HASHTABLE_SIZE).
LAST_BUILTIN_CODE = 139

#: The newest Edge TPU runtime, and the one for which the compiler writes unless told otherwise.
NEWEST_RUNTIME = 14


@dataclass(frozen=True, slots=True)
class Known:
    """An operator of the Edge TPU.

    Parameters
    ----------
    version
        Highest TFLite version that the compiler's own interpreter has.
    runtime
        Oldest Edge TPU runtime that runs it.
    """

    version: int
    runtime: int = 10


#: By the name of the TFLite builtin.
EDGETPU_OPERATORS: Mapping[str, Known] = {
    "ADD": Known(3),
    "AVERAGE_POOL_2D": Known(3),
    "CONCATENATION": Known(3),
    "CONV_2D": Known(5),
    "DEPTHWISE_CONV_2D": Known(6),
    "EXPAND_DIMS": Known(1, 13),
    "FULLY_CONNECTED": Known(9),
    "L2_NORMALIZATION": Known(2),
    "LOGISTIC": Known(3),
    "LSTM": Known(4, 14),
    "MAXIMUM": Known(4),
    "MAX_POOL_2D": Known(3),
    "MEAN": Known(3),
    "MINIMUM": Known(4),
    "MUL": Known(4),
    "PACK": Known(3, 13),
    "PAD": Known(3),
    "PRELU": Known(1, 13),
    "QUANTIZE": Known(2, 13),
    "REDUCE_MAX": Known(3, 14),
    "REDUCE_MIN": Known(3, 14),
    "RELU": Known(3),
    "RELU6": Known(3),
    "RELU_N1_TO_1": Known(1),
    "RESHAPE": Known(1),
    "RESIZE_BILINEAR": Known(4),
    "RESIZE_NEAREST_NEIGHBOR": Known(4),
    "RSQRT": Known(2, 14),
    "SLICE": Known(5),
    "SOFTMAX": Known(3),
    "SPACE_TO_DEPTH": Known(2),
    "SPLIT": Known(4),
    "SQUARED_DIFFERENCE": Known(2, 14),
    "SQUEEZE": Known(2),
    "STRIDED_SLICE": Known(5),
    "SUB": Known(5),
    "SUM": Known(2, 13),
    "TANH": Known(3),
    "TRANSPOSE": Known(5, 14),
    "TRANSPOSE_CONV": Known(3, 13),
}

#: Operators that take no fused activation on the Edge TPU.
NO_FUSED_ACTIVATION = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"})

#: Longest vector that its SOFTMAX takes.
LONGEST_SOFTMAX = 16_000
