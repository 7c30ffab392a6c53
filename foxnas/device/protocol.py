"""How a latency is measured: the settings that a measurement's record must carry to mean something."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from foxnas.errors import FoxnasError
from foxnas.settings.limits import Above0, Count, Flag, Index, Least0, Limits, Number, Seed, Settings


@dataclass(frozen=True, kw_only=True)
class TorchOptions(Settings):
    """How PyTorch runs the networks, in float32; every row of the tables names what is on."""

    batch: Count = 64
    """Images at once; the paper's GPU table has 64."""
    compile: Flag = False
    """torch.compile; compiling takes seconds to minutes a network."""
    cuda_graphs: Flag = False
    """Replay one CUDA graph instead of launching every kernel; needs a CUDA device."""
    tf32: Flag = False
    """Let CUDA round factors to TF32."""
    channels_last: Flag = False
    """Images and weights in NHWC order."""


@dataclass(frozen=True, kw_only=True)
class Protocol(Settings):
    """How a model is timed: the settings that a measurement's record must carry to mean something."""

    warm_up_runs: Count = 5
    """Least number of untimed inferences before a timing."""
    warm_up_ms: Least0 = 5.0
    """Least time of those untimed inferences."""
    min_runs: Count = 25
    """Least number of timed inferences in one timing."""
    min_time_ms: Least0 = 20.0
    """Least time of one timing."""
    max_time_ms: Above0 = 30000.0
    """Time after which a timing is stopped in any case."""
    repeats: Count = 2
    """Timings of each probe, each in its own pass over all probes; the latency is their mean."""
    threads: Count = 1
    """Threads of the interpreter. The runtime's own kernels (xnnpack: false) get slower with more than one: small
    models take 6 to 20 times as long, on an idle machine too; with XNNPACK two threads are 1.8 times as fast."""
    cpu: Index | None = None
    """Pin to this core; null takes the last one."""
    xnnpack: Flag = True
    """true: run on the XNNPACK delegate; false: on the runtime's own kernels. LiteRT 2.3's XNNPACK has no 7x7
    depthwise kernel and falls back to one that is 20 to 60 times slower, so a space with K = 7 may be faster, and is
    far more regular, without."""
    reference_every: Count = 20
    """Number of probes between two timings of the reference probe, which show drift."""
    max_relative_mad: Above0 = 0.1
    """Spread (MAD / median) past which a probe is timed again."""
    max_preempted: Annotated[Number, Limits(gt=0, le=1)] = 0.4
    """Share of runs in which another process took the core, past which a probe is timed again. A median stands a few
    such runs; a model that takes longer than the system's time slice meets one in every run."""
    max_drift: Above0 = 0.1
    """Deviation of the nearest reference timings from their usual, past which a probe is timed again."""
    max_disagreement: Above0 = 0.05
    """Range of a probe's timings, relative to their mean, past which it is timed again."""
    max_attempts: Count = 5
    """Then the probe is flagged and left out of the fit."""
    seed: Seed = 0
    """Seed of the random input."""

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.max_attempts < self.repeats:
            raise FoxnasError(f"max_attempts is {self.max_attempts}, must be at least {self.repeats}, as repeats is")
        if self.max_time_ms <= max(self.min_time_ms, self.warm_up_ms):
            raise FoxnasError(f"max_time_ms ({self.max_time_ms}) must exceed min_time_ms and warm_up_ms")


@dataclass(frozen=True, kw_only=True)
class MeasurementProtocol(Protocol):
    """The same on a device of any kind."""

    torch: TorchOptions | None = None
    """For PyTorch devices, and for no others."""

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
