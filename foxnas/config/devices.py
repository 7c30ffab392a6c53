"""The devices, and how models are timed on them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foxnas.config.section import Count, Name, Section


class ProtocolConfig(Section):
    """How a model is timed; `foxnas.devices.protocol.MeasurementProtocol` says more of each."""

    warm_up_runs: Count
    """Untimed inferences first, at least so many..."""
    warm_up_ms: Annotated[float, Field(ge=0)]
    """...and for at least so long."""
    min_runs: Count
    """Timed inferences of one timing, at least so many..."""
    min_time_ms: Annotated[float, Field(ge=0)]
    """...and for at least so long."""
    max_time_ms: Annotated[float, Field(gt=0)]
    """Then the timing is stopped in any case."""
    repeats: Count
    """Timings a probe's latency is the mean of, each in a pass of its own over all probes."""
    threads: Count
    """Threads of the interpreter."""
    cpu: Annotated[int, Field(ge=0)] | None
    """Pin to this core; null takes the last one."""
    xnnpack: bool
    """true: run on the XNNPACK delegate; false: on the runtime's own kernels (see README, section 7x7)."""
    reference_every: Count
    """Time the reference probe after so many probes, to see drift."""
    max_relative_mad: Annotated[float, Field(gt=0)]
    """Spread (MAD / median) past which a probe is timed again."""
    max_preempted: Annotated[float, Field(gt=0, le=1)]
    """Share of runs in which another process took the core, past which a probe is timed again."""
    max_drift: Annotated[float, Field(gt=0)]
    """Deviation of the nearest reference timings from their usual, past which a probe is timed again."""
    max_disagreement: Annotated[float, Field(gt=0)]
    """Range of a probe's timings, relative to their mean, past which it is timed again."""
    max_attempts: Count
    """Then the probe is flagged and left out of the fit."""
    seed: Annotated[int, Field(ge=0)]
    """Of the random input."""


class DeviceConfig(Section):
    """A device that models are timed on."""

    name: Name
    """Names its files."""
    transport: Literal["local"]
    """local: this machine. While it measures, nothing else of the workflow runs."""
    protocol: ProtocolConfig
