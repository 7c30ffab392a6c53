"""One convolution with its activation, in the fastest form that this machine has for it."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from foxnas.space.layers import Activation, Padding, pads
from foxnas.supernet.elastic import activate, conv_padded
from foxnas.supernet.training.recipe import Precision

#: oneDNN's names and parameters for what it applies while a convolution's output is still in the cache.
_ATTACHED: dict[Activation | None, tuple[str, list[float]]] = {
    None: ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
    "h-swish": ("hardswish", []),
}


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    groups: int,
    padding: Padding,
    activation: Activation | None,
) -> Tensor:
    """Return the activation of the convolution of (N, C, H, W); never a gradient.

    The same as `conv_padded` and `activate`, up to the order of summation.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # What autocast does to the convolutions it knows.
        dtype = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    if not by_onednn(x):
        y = conv_padded(x, weight, bias, stride, groups, padding)
        return y if activation is None else activate(y, activation, inplace=True)
    kernel = weight.shape[-1]
    top, bottom = pads(padding, x.shape[2], kernel, stride) if padding == "same" else (kernel // 2, kernel // 2)
    left, right = pads(padding, x.shape[3], kernel, stride) if padding == "same" else (kernel // 2, kernel // 2)
    if bottom > top or right > left:
        # SAME adds a row after the image alone. A row of zeros in front of the kernel, and one before the image, is the
        # same, and spares a copy of the image: 2.5 to 5 times as fast.
        weight = F.pad(weight, (right - left, 0, bottom - top, 0))
    name, parameters = _ATTACHED[activation]
    return torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, [bottom, right], [stride, stride], [1, 1], groups, name, parameters, ""
    )


def by_onednn(x: Tensor) -> bool:
    """Return whether oneDNN convolves it with the activation attached: what TorchInductor compiles to on processors."""
    return (
        x.device.type == "cpu"
        and (x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and onednn_has("bf16")))
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
        and not torch.is_grad_enabled()
    )


@cache
def onednn_has(precision: Precision) -> bool:
    """Return whether oneDNN has convolutions of this precision for this processor.

    On x86-64 bf16 needs AVX-512 or AVX-NE-CONVERT, fp16 AVX512-FP16. PyTorch's own convolutions ask the same, and
    otherwise take a path that is 5 to 40 times slower than fp32; the fused operator raises RuntimeError instead.
    """
    if precision == "fp32":
        return True
    ask = {"bf16": torch.ops.mkldnn._is_mkldnn_bf16_supported, "fp16": torch.ops.mkldnn._is_mkldnn_fp16_supported}
    return bool(ask[precision]())
