"""An int8 .tflite file of foxnas as an ONNX model in QDQ form: equal weights, scales, zero points and rounding points.

Every value is a QuantizeLinear and a DequantizeLinear around a float operator, which ONNX Runtime fuses into int8
kernels. Values are (1, C, H, W) inside; the image stays uint8 (1, H, W, C), and the logits uint8, as TFLite has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from foxnas.errors import FoxnasError
from foxnas.int8.reading import OperatorSummary, Summary, TensorSummary, read_model, summary_of

_OPSET, _IR = 17, 8
_UINT8, _INT8 = TensorProto.UINT8, TensorProto.INT8
_NUMPY = {"INT8": np.int8, "INT32": np.int32}


def to_onnx(content: bytes) -> bytes:
    """Return the ONNX model of a .tflite file. Raises FoxnasError for an operator that foxnas does not write."""
    model = read_model(content)
    return _Graph(model, summary_of(model, len(content))).model().SerializeToString(deterministic=True)


class _Graph:
    """The ONNX graph so far, and the float value of every TFLite tensor that has one."""

    def __init__(self, model: Any, summary: Summary) -> None:
        self.summary, self._buffers = summary, [model.buffers[one.buffer].data for one in model.subgraphs[0].tensors]
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.values: dict[int, str] = {}
        self.padded: dict[int, tuple[int, Any]] = {}

    def model(self) -> Any:
        image, logits = self.summary.image, self.summary.logits
        read = helper.make_tensor_value_info("image", _UINT8, image.shape)
        transposed = self.node("Transpose", ["image"], perm=[0, 3, 1, 2])
        self.values[self.summary.inputs[0]] = self.dequantised(transposed, image, np.uint8)
        for operator in self.summary.operators:
            self.append(operator)
        (last,) = self.summary.outputs
        self.quantised(self.values[last], logits, np.uint8, "logits")
        written = helper.make_tensor_value_info("logits", _UINT8, logits.shape)
        graph = helper.make_graph(self.nodes, "subnet", [read], [written], list(self.constants.values()))
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="foxnas", ir_version=_IR)
        onnx.checker.check_model(model)
        return model

    def append(self, operator: OperatorSummary) -> None:
        """Append one operator, its activation, and the rounding of what it writes."""
        options, name = dict(operator.options), operator.name
        (output,) = operator.outputs
        written = self.summary.tensors[output]
        if name == "QUANTIZE":  # from uint8 to int8 and back: the same real numbers
            self.values[output] = self.values[operator.inputs[0]]
            return
        if name == "PAD":  # a part of the convolution that reads it
            self.padded[output] = operator.inputs[0], self.constant_of(operator.inputs[1]).reshape(4, 2)
            return
        match name:
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                value = self.convolution(operator, options, depthwise=name != "CONV_2D")
            case "FULLY_CONNECTED":
                read, weights, bias = operator.inputs
                flat = self.node("Flatten", [self.values[read]], axis=1)
                value = self.node("Gemm", [flat, self.weights(weights, 0, None), self.weights(bias, 0, None)], transB=1)
            case "MEAN":
                value = self.node("GlobalAveragePool", [self.values[operator.inputs[0]]])
                if len(written.shape) == 2:
                    value = self.node("Flatten", [self.rounded(value, written)], axis=1)
            case "HARD_SWISH":
                value = self.node("HardSwish", [self.values[operator.inputs[0]]])
            case "ADD" | "MUL" | "SUB":
                value = self.node(name.capitalize(), [self.operand(index) for index in operator.inputs])
            case _:
                raise FoxnasError(f"{name} has no counterpart here; foxnas writes no such operator")
        self.values[output] = self.rounded(self.activated(value, options.get("fusedActivationFunction", 0)), written)

    def convolution(self, operator: OperatorSummary, options: dict[str, Any], depthwise: bool) -> str:
        """Append a convolution. TFLite's weights are (out, K, K, in), or (1, K, K, channels)."""
        read, weights, bias = operator.inputs
        shape, kernel = self.summary.tensors[weights].shape, self.summary.tensors[weights].shape[1:3]
        strides = [options["strideH"], options["strideW"]]
        if read in self.padded:
            read, padding = self.padded[read]
            sides = [tuple(map(int, padding[1])), tuple(map(int, padding[2]))]
        elif options["padding"] == 0:  # SAME
            sizes = self.summary.tensors[read].shape[1:3]
            sides = [_same(*of) for of in zip(sizes, kernel, strides, strict=True)]
        else:
            sides = [(0, 0), (0, 0)]
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        inputs = [self.values[read], self.weights(weights, 3 if depthwise else 0, order), self.weights(bias, 0, None)]
        pads = [before for before, _ in sides] + [after for _, after in sides]
        return self.node("Conv", inputs, strides=strides, pads=pads, group=shape[3] if depthwise else 1)

    def activated(self, value: str, code: int) -> str:
        """Append an activation of TFLite's."""
        if code == 0:
            return value
        if code == 1:
            return self.node("Relu", [value])
        limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
        return self.node("Clip", [value, *limits])

    def rounded(self, value: str, like: TensorSummary) -> str:
        """Append the rounding of a value to int8."""
        return self.dequantised(self.quantised(value, like, np.int8), like, np.int8)

    def quantised(self, value: str, like: TensorSummary, kind: type, name: str = "") -> str:
        return self.node("QuantizeLinear", [value, *self.scale(like, kind)], name=name)

    def dequantised(self, value: str, like: TensorSummary, kind: type) -> str:
        return self.node("DequantizeLinear", [value, *self.scale(like, kind)])

    def scale(self, like: TensorSummary, kind: type) -> list[str]:
        """Return scale and zero point of a tensor with one of each."""
        scale, zero = np.float32(like.scale[0]), like.zero_point[0]
        names = f"scale {float(scale)!r}", f"zero point {np.dtype(kind).name} {zero}"
        return [self.constant(names[0], scale), self.constant(names[1], kind(zero))]

    def weights(self, index: int, axis: int, order: tuple[int, ...] | None) -> str:
        """Append constants with a scale for each channel of `axis`, whose dimensions then stand in another order."""
        tensor, values = self.summary.tensors[index], self.constant_of(index)
        stored = values if order is None else np.ascontiguousarray(values.transpose(order))
        scale = np.array(tensor.scale, np.float32)
        name = f"constant {index}"
        one = len(scale) == 1
        inputs = [self.constant(name, stored), self.constant(f"{name} scale", scale[0] if one else scale)]
        if values.dtype == np.int8:
            zeros = np.zeros_like(scale, np.int8)
            inputs.append(self.constant(f"{name} zero", zeros[0] if one else zeros))
        return self.node("DequantizeLinear", inputs, **({} if one else {"axis": 0}))

    def operand(self, index: int) -> str:
        """Return a value, or append a constant with one number, or one for each channel."""
        if index in self.values:
            return self.values[index]
        tensor, values = self.summary.tensors[index], self.constant_of(index)
        name = self.constant(f"constant {index}", values.reshape(1, -1, 1, 1))
        return self.dequantised(name, tensor, np.int8)

    def constant_of(self, index: int) -> np.ndarray:
        tensor = self.summary.tensors[index]
        return np.frombuffer(bytes(self._buffers[index]), _NUMPY[tensor.type]).reshape(tensor.shape)

    def constant(self, name: str, value: Any) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def node(self, kind: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        name = name or f"{kind} {len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the rows before and after by TFLite's SAME: the odd one comes after."""
    missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return missing // 2, missing - missing // 2
