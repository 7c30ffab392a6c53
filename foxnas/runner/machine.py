"""Identity of the machine, and the CPUs that the runner uses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
from pathlib import Path
from typing import Any

#: Arm cores by their part number in /proc/cpuinfo, which does not name them.
_ARM_CORES = {
    "0xc07": "Cortex-A7", "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1",
    "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE",
}  # fmt: skip


def text_of(path: Path) -> str | None:
    """Return a small file's text without ends and zero bytes, None if it cannot be read."""
    try:
        return path.read_text().replace("\0", "").strip()
    except (OSError, ValueError):
        return None


def from_proc(path: Path, key: str) -> str | None:
    """Return the first value of `key` in a file of ``key: value`` lines."""
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.+)$", text_of(path) or "", re.MULTILINE)
    return found.group(1).strip() if found else None


def machine_identity() -> dict[str, Any]:
    """Return what stays the same from boot to boot: system, CPU, memory, and a hash that tells twins apart."""
    memory_kb = (from_proc(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]
    machine_id = text_of(Path("/etc/machine-id"))
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "board": text_of(Path("/proc/device-tree/model")),
        "cpu": cpu_model(Path("/proc/cpuinfo")) or platform.processor() or None,
        "cores": os.cpu_count(),
        "memory_mb": int(memory_kb) // 1024 or None,
        "machine": hashlib.sha256(b"foxnas" + machine_id.encode()).hexdigest()[:12] if machine_id else None,
        "python": platform.python_version(),
    }


def cpu_model(cpuinfo: Path) -> str | None:
    """Return the CPU's name; of an Arm machine every kind of core, which the kernel tells by number only."""
    name = from_proc(cpuinfo, "model name")
    parts = sorted(set(re.findall(r"^CPU part\s*:\s*(\S+)$", text_of(cpuinfo) or "", re.MULTILINE)))
    if name or not parts:
        return name
    return " and ".join(_ARM_CORES.get(part, f"Arm part {part}") for part in parts)


def allowed_cpus() -> list[int] | None:
    """Return the CPUs this process may use, None where the system does not say."""
    get = getattr(os, "sched_getaffinity", None)
    return sorted(get(0)) if get else None


def pin(threads: int, cpu: int | None) -> None:
    """Keep this process on `threads` CPUs: from `cpu` on, or the last ones, which serve fewest interrupts.

    Of a `cpu` that is named the kernel is asked: one that is kept free (isolcpus) is nobody's before it is asked for.
    """
    allowed = allowed_cpus()
    if allowed is None:
        if cpu is not None:
            raise ValueError("this system cannot pin a process to a CPU: leave `cpu` empty")
        return
    chosen = set(allowed[-threads:] if cpu is None else range(cpu, cpu + threads))
    if len(chosen) == threads:
        with contextlib.suppress(OSError, OverflowError):  # there is none of these CPUs
            os.sched_setaffinity(0, chosen)
        if os.sched_getaffinity(0) == chosen:  # the kernel leaves out what it does not allow
            return
        os.sched_setaffinity(0, allowed)
    raise ValueError(f"{threads} thread(s) from CPU {cpu} on: only CPUs {allowed} are allowed here")
