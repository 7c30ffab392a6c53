"""Where subnets are evaluated, and in which number format."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass

import torch

from foxnas.errors import FoxnasError
from foxnas.supernet.convolution import onednn_has
from foxnas.supernet.training.precision import MixedPrecision, forbid_tf32
from foxnas.supernet.training.recipe import Precision

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hardware:
    """A device, and the precision of evaluation on it."""

    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)
    precision: Precision = "fp32"

    @classmethod
    def choose(cls, wanted: str, precision: Precision) -> Hardware:
        """Return what `accuracy.device` asks for: cpu, cuda, or auto. Raises FoxnasError when it is not there."""
        found = torch.cuda.is_available()
        if wanted == "cuda" and not found:
            raise FoxnasError(
                "accuracy.device is cuda, but PyTorch can use no GPU here; write cpu, or look at nvidia-smi and "
                "CUDA_VISIBLE_DEVICES"
            )
        if wanted == "cpu" or not found:
            if not onednn_has(precision):
                log.warning(
                    "this processor has no convolutions in %s: evaluating takes many times as long as in fp32; write "
                    "accuracy.precision: fp32, or run where there is a GPU",
                    precision,
                )
            return cls(torch.device("cpu"), precision)
        forbid_tf32()  # and cuDNN tries nothing out, which took 14 to 76 ms for every new shape and gained nothing
        return cls(torch.device("cuda"), precision)

    @property
    def name(self) -> str:
        """What a row of results says of the device: cpu, or cuda and the GPU's name."""
        return "cpu" if self.device.type == "cpu" else f"cuda: {torch.cuda.get_device_name(self.device)}"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context of a forward pass."""
        return MixedPrecision.of(self.device.type, self.precision).autocast()

    def moment(self) -> float | torch.cuda.Event:
        """Return a moment in the order of what the device does, without waiting for it."""
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @staticmethod
    def between(begin: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
        """Return the seconds from one moment to another, both of which have passed."""
        if isinstance(begin, float) or isinstance(end, float):
            assert isinstance(begin, float)
            assert isinstance(end, float)
            return end - begin
        return begin.elapsed_time(end) / 1000

    def clock(self) -> float:
        """Return the seconds of a clock, when all that was asked of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


#: This machine's processors, in float32.
PROCESSORS = Hardware()
