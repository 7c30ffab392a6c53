"""What the machine is, and how it fares."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from pathlib import Path
from typing import Any


def text_of(path: str) -> str | None:
    try:
        return Path(path).read_text().replace("\0", "").strip()
    except (OSError, ValueError):
        return None


def from_proc(path: str, key: str) -> str | None:
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.+)$", text_of(path) or "", re.MULTILINE)
    return found.group(1).strip() if found else None


def machine_identity() -> dict[str, Any]:
    """Return what stays the same from boot to boot: system, CPU, memory, and a hash that tells twins apart."""
    cpu = from_proc("/proc/cpuinfo", "model name") or from_proc("/proc/cpuinfo", "Model")
    memory_kb = (from_proc("/proc/meminfo", "MemTotal") or "0 kB").split()[0]
    machine_id = text_of("/etc/machine-id")
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "board": text_of("/proc/device-tree/model"),
        "cpu": cpu or platform.processor() or None,
        "cores": os.cpu_count(),
        "memory_mb": int(memory_kb) // 1024 or None,
        "machine": hashlib.sha256(b"foxnas" + machine_id.encode()).hexdigest()[:12] if machine_id else None,
        "python": platform.python_version(),
    }


def machine_state() -> dict[str, Any]:
    """Return what changes while one measures: governor, clock, temperatures, load; None where unknown."""
    cpu = sorted(allowed_cpus() or [0])[0]
    frequency = f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/"
    clock_khz = text_of(frequency + "scaling_cur_freq")
    clock_mhz = from_proc("/proc/cpuinfo", "cpu MHz")
    temperatures = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*")):
        value = text_of(str(zone / "temp"))
        if value and re.match(r"-?\d+$", value):
            temperatures[f"{zone.name} {text_of(str(zone / 'type'))}"] = int(value) / 1000.0
    return {
        "governor": text_of(frequency + "scaling_governor"),
        "clock_mhz": float(clock_khz) / 1000 if clock_khz else float(clock_mhz) if clock_mhz else None,
        "temperatures_c": temperatures,
        "load": os.getloadavg()[0],
        "affinity": allowed_cpus(),
    }


def allowed_cpus() -> list[int] | None:
    """Return the CPUs this process may use, None where the system does not say."""
    get = getattr(os, "sched_getaffinity", None)
    return sorted(get(0)) if get else None


def pin(threads: int, cpu: int | None) -> None:
    """Keep this process on `threads` CPUs: from `cpu` on, or the last ones, which serve fewest interrupts."""
    allowed = allowed_cpus()
    if allowed is None:
        if cpu is not None:
            raise ValueError("this system cannot pin a process to a CPU: leave `cpu` empty")
        return
    chosen = set(allowed[-threads:] if cpu is None else range(cpu, cpu + threads))
    if len(chosen) < threads or not chosen <= set(allowed):
        raise ValueError(f"{threads} thread(s) from CPU {cpu} on: only CPUs {allowed} are allowed here")
    os.sched_setaffinity(0, chosen)
