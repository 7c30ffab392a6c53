"""The number format that a training computes in."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from foxnas.supernet.training.recipe import Precision


def forbid_tf32() -> None:
    """Let fp32 on a GPU be fp32: PyTorch's convolutions would multiply with ten bits of mantissa there."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


@dataclass(frozen=True)
class MixedPrecision:
    """Forward and backward in `dtype` where that is safe, weights and their updates in fp32.

    `dtype` None computes everything in fp32. fp16 cannot hold small gradients, so its losses are scaled, and a step
    whose gradients overflow is left out and the scale halved.
    """

    device_type: str
    dtype: torch.dtype | None
    scaler: torch.amp.GradScaler

    @classmethod
    def on(cls, device: torch.device, precision: Precision) -> MixedPrecision:
        """Return what a precision means on a device: off CUDA always fp32, where the others are slower."""
        on_cuda = device.type == "cuda"
        if on_cuda:
            forbid_tf32()
        return cls.of(device.type, precision if on_cuda else "fp32")

    @classmethod
    def of(cls, device_type: str, precision: Precision) -> MixedPrecision:
        """Return what computes in a precision on any type of device."""
        dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        return cls(device_type, dtype, torch.amp.GradScaler(device_type, enabled=precision == "fp16"))

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context of a forward pass."""
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device_type, self.dtype)
