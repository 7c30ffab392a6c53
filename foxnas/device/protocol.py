"""How a latency is measured: the settings that a measurement's record must carry to mean something."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from foxnas.errors import FoxnasError


@dataclass(frozen=True, kw_only=True)
class TorchOptions:
    """How PyTorch runs a network; every row names the options that are on.

    Parameters
    ----------
    batch
        Images at once; the paper's GPU table has 64.
    compile
        `torch.compile`; its compilation takes seconds to minutes a network.
    cuda_graphs
        Replay one captured CUDA graph instead of launching every kernel.
    tf32
        Let CUDA round float32 factors to 10 bits of mantissa. cuDNN does so unasked; here it must be asked.
    channels_last
        Keep images and weights in NHWC order.
    """

    batch: int = 64
    compile: bool = False
    cuda_graphs: bool = False
    tf32: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise FoxnasError(f"torch: batch is {self.batch}, must be at least 1")


@dataclass(frozen=True, kw_only=True)
class MeasurementProtocol:
    """Settings of one measurement.

    Parameters
    ----------
    warm_up_runs, warm_up_ms
        Untimed inferences before the timed ones: at least so many, for at least so long.
    min_runs, min_time_ms, max_time_ms
        Timed inferences of one timing: at least so many, for at least so long, stopped at `max_time_ms` in
        any case (a timing that was stopped before `min_runs` is not acceptable).
    repeats
        Timings that a probe's latency is the mean of, each in a pass of its own over all probes: some
        disturbances last longer than one timing and leave its spread small. 50 runs a probe come from
        `repeats` x `min_runs`.
    max_disagreement
        Largest acceptable range of those timings' medians, relative to their mean.
    threads, cpu
        Threads of the runtime, and the first of as many CPUs that the process is pinned to;
        None pins it to the last ones that it may use.
    xnnpack
        Run what the XNNPACK delegate takes on it; False: everything on the runtime's own kernels. LiteRT 2.3's
        XNNPACK has no 7x7 depthwise kernel and falls back to one that was 20 to 60 times slower where it was
        measured, so a space with K = 7 may be faster, and is far more regular, without.
    reference_every
        The reference model is timed at the start, after so many probes, and at the end.
    max_relative_mad
        Largest acceptable median absolute deviation of the runs, relative to their median.
    max_preempted
        Largest acceptable share of runs in which another process took the CPU. A median stands a few such
        runs; a model that takes longer than the system's time slice meets one in every run, which leaves
        spread and agreement small and the median far too large.
    max_drift
        Largest acceptable relative deviation of the nearest references from the baseline.
    max_attempts
        Timings a probe gets before it is flagged.
    seed
        Of the random input.
    torch
        For PyTorch devices, and for no others.
    """

    warm_up_runs: int = 5
    warm_up_ms: float = 5.0
    min_runs: int = 25
    min_time_ms: float = 20.0
    max_time_ms: float = 30_000.0
    threads: int = 1
    cpu: int | None = None
    xnnpack: bool = True
    repeats: int = 2
    reference_every: int = 20
    max_relative_mad: float = 0.10
    max_preempted: float = 0.40
    max_drift: float = 0.10
    max_disagreement: float = 0.05
    max_attempts: int = 5
    seed: int = 0
    torch: TorchOptions | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("warm_up_runs", 1),
            ("warm_up_ms", 0),
            ("min_runs", 1),
            ("min_time_ms", 0),
            ("threads", 1),
            ("repeats", 1),
            ("reference_every", 1),
            ("max_attempts", self.repeats),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise FoxnasError(f"protocol: {name} is {getattr(self, name)}, must be at least {least}")
        for name in ("max_relative_mad", "max_preempted", "max_drift", "max_disagreement"):
            if not getattr(self, name) > 0:
                raise FoxnasError(f"protocol: {name} is {getattr(self, name)}, must be above 0 (0.1 means 10%)")
        if self.max_time_ms <= max(self.min_time_ms, self.warm_up_ms):
            raise FoxnasError(f"protocol: max_time_ms ({self.max_time_ms}) must exceed min_time_ms and warm_up_ms")
        if self.cpu is not None and self.cpu < 0:
            raise FoxnasError(f"protocol: cpu is {self.cpu}, must be a CPU number or empty")

    @property
    def timing(self) -> dict[str, Any]:
        """The settings that reach the device and so decide what a timing means."""
        judging = (
            "repeats",
            "reference_every",
            "max_relative_mad",
            "max_preempted",
            "max_drift",
            "max_disagreement",
            "max_attempts",
        )
        return {name: value for name, value in asdict(self).items() if name not in judging}

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of `timing`: rows with one digest may stand in one table."""
        return hashlib.sha256(json.dumps(self.timing, sort_keys=True).encode()).hexdigest()[:12]
