"""Examinations of devices as a doctor may find them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from foxnas.device.protocol import MeasurementProtocol
from foxnas.doctor.conditions import Busy, Conditions, Machine
from foxnas.doctor.examination import Examination, Session
from foxnas.doctor.measuring import Promises
from tests.support.surveyed import a_device, a_python

PROMISES = Promises(sessions=5, most_sessions=40, margin_percent=1.0)

#: A Raspberry Pi 4 on which nothing is to be mended.
CALM = Conditions(
    python="3.11.2", bits=64, virtual=False, clock_step_ns=56, busy_cpus=0.01, stolen_percent=0.0, busiest=[],
    load=0.02, machine=Machine(
        system="Linux", release="6.6", architecture="aarch64", board="Raspberry Pi 4", cpu="Cortex-A72", cores=4,
        memory_mb=3792,
    ),
    memory_available_mb=3400, swap_mb=100, swap_free_mb=100, swapped_pages=0, governors=["performance"],
    driver="cpufreq-dt", clock_mhz=1500.0, lowest_clock_mhz=600.0, highest_clock_mhz=1500.0, boost=None,
    temperatures_c={"thermal_zone0 cpu-thermal": 48.7}, throttled="", throttled_since_boot="",
)  # fmt: skip

HELLO = {
    "backend": "tflite", "runtime": "ai_edge_litert", "runtime_version": "2.3.0", "accelerator": None,
    "timer_overhead_ns": 110.0, "state_before": {"governor": "performance"},
}  # fmt: skip
FACTS = {"executor": "xnnpack", "fallback_operators": 2}


def busy(name: str, process: int, percent: float) -> Busy:
    return Busy(name=name, process=process, percent=percent)


def sessions(
    *medians_ms: float, reason: str = "", hello: dict[str, Any] | None = None, **facts: Any
) -> tuple[Session, ...]:
    return tuple(Session((ms, ms, ms), reason, {**FACTS, **facts}, {**HELLO, **(hello or {})}) for ms in medians_ms)


def loaded(*latencies_ms: float, **told: Any) -> tuple[dict[str, Any], ...]:
    """Timings under load, two seconds each."""
    row = {"clock_mhz": 1500.0, "temperature_c": 62.0, "throttled": "", "device_ms": 2000.0, **told}
    return tuple({"latency_ms": ms, "after_s": 2.0 * i, **row} for i, ms in enumerate(latencies_ms))


def examined(**changed: Any) -> Examination:
    """Return what is found on that board, with some of it changed: fields of the examination, or of its conditions."""
    told = {name: changed.pop(name) for name in list(changed) if name in Conditions.model_fields}
    calm = Examination(
        "pi4", "tflite", "SSH host pi4", ".foxnas/tflite/bin/python", ".foxnas", MeasurementProtocol(),
        a_device(a_python()), CALM.model_copy(update=told), sessions(5.0, 5.01, 4.99, 5.0), loaded(*[5.0] * 8),
    )  # fmt: skip
    return replace(calm, **changed)
