"""Conditions on the machine it runs on that a measurement meets, with nothing of ours at work there.

Needs Python 3.7. Asked on stdin, it answers on the last line of stdout, each one JSON object:

    {"lock", "holder", "watch_s", "cpu", "root"}
    {"python", "bits", ...}, see `conditions`, or {"busy": who measures} or {"error"}

It only reads, and holds the machine's lock meanwhile, so that no measurement is taken for other load.
"""

from __future__ import annotations

import json
import os
import platform
import re
import struct
import sys
import time
from pathlib import Path
from typing import Any

from foxnas.runner.lock import acquire_lock
from foxnas.runner.machine import allowed_cpus, from_proc, machine_identity, text_of
from foxnas.runner.sensors import Sensors

#: Other programs that are named, and the share of one CPU, in percent, from which on they are.
_NAMED, _WORTH_NAMING = 3, 5.0


class _Busy(Exception):
    pass


def _refuse(holder: str) -> None:
    raise _Busy(holder)


def conditions(root: Path, watch_s: float, cpu: int | None) -> dict[str, Any]:
    """Return what the machine is and does, watched for `watch_s`; None where it does not tell.

    `root` is ``/`` but in tests. The clock's range is that of `cpu`, else of the last CPU, where a runner measures.
    Load, `busy_cpus`, is in CPUs; that of the programs named `busiest` in percent of one.
    """
    before, began = _counters(root), time.monotonic()
    time.sleep(watch_s)
    after, spent_s = _counters(root), time.monotonic() - began
    told = {
        "python": platform.python_version(),
        "bits": 8 * struct.calcsize("P"),
        "machine": machine_identity(),
        "virtual": "hypervisor" in (from_proc(root / "proc/cpuinfo", "flags") or "").split(),
        "clock_step_ns": _clock_step_ns(),
        "swapped_pages": _swapped(root, before["vmstat"], after["vmstat"]),
        "busiest": _busiest(before["processes"], after["processes"], spent_s),
    }
    told.update(_shares(before["stat"], after["stat"]))
    told.update(_memory(root))
    told.update(_clock(root, (allowed_cpus() or [0])[-1] if cpu is None else cpu))
    sensed = Sensors(root).state()
    told["clock_mhz"] = told["clock_mhz"] or sensed["clock_mhz"]
    told.update({name: sensed[name] for name in ("temperatures_c", "throttled", "throttled_since_boot", "load")})
    return told


def _counters(root: Path) -> dict[str, Any]:
    processes = {}
    for file in (root / "proc").glob("[0-9]*/stat"):
        name, _, rest = (text_of(file) or "").rpartition(")")
        words = rest.split()
        if name and len(words) > 12 and int(file.parent.name) != os.getpid():
            processes[int(file.parent.name)] = (name.partition("(")[2], int(words[11]) + int(words[12]))
    return {
        "stat": [int(word) for word in (text_of(root / "proc/stat") or "").partition("\n")[0].split()[1:]],
        "vmstat": text_of(root / "proc/vmstat") or "",
        "processes": processes,
    }


def _shares(before: list[int], after: list[int]) -> dict[str, Any]:
    """Return how many CPUs were busy, and the percent of their time that a virtual machine's host took."""
    spent = [late - early for early, late in zip(before, after)]  # noqa: B905 - Python 3.7
    total = sum(spent[:8])
    if len(spent) < 8 or total <= 0:
        return {"busy_cpus": None, "stolen_percent": None}
    idle, stolen = spent[3] + spent[4], spent[7]
    return {
        "busy_cpus": max(total - idle - stolen, 0) / total * (os.cpu_count() or 1),
        "stolen_percent": 100 * max(stolen, 0) / total,
    }


def _busiest(before: dict[int, Any], after: dict[int, Any], spent_s: float) -> list[dict[str, Any]]:
    ticks = os.sysconf("SC_CLK_TCK") * max(spent_s, 1e-3)
    used = [
        {"name": name, "process": number, "percent": 100 * (late - before.get(number, (name, late))[1]) / ticks}
        for number, (name, late) in after.items()
    ]
    used = [one for one in used if one["percent"] >= _WORTH_NAMING]
    return sorted(used, key=lambda one: -one["percent"])[:_NAMED]


def _swapped(root: Path, before: str, after: str) -> int | None:
    """Return the pages that went to swap or came from it."""
    counts = [sum(map(int, re.findall(r"^pswp(?:in|out) (\d+)$", text, re.MULTILINE))) for text in (before, after)]
    return counts[1] - counts[0] if after else None


def _memory(root: Path) -> dict[str, int | None]:
    kinds = {"memory_available_mb": "MemAvailable", "swap_mb": "SwapTotal", "swap_free_mb": "SwapFree"}
    told = {name: from_proc(root / "proc/meminfo", kind) for name, kind in kinds.items()}
    return {name: int(text.split()[0]) // 1024 if text else None for name, text in told.items()}


def _clock(root: Path, cpu: int) -> dict[str, Any]:
    """Return the governors of all CPUs, and how one's clock is set."""
    every = root / "sys/devices/system/cpu"
    governors = {text_of(file) for file in every.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    own = every / f"cpu{cpu}/cpufreq"
    khz = {name: text_of(own / f"scaling_{name}_freq") for name in ("cur", "min", "max")}
    mhz = {name: int(text) / 1000 if text and text.isdigit() else None for name, text in khz.items()}
    boost, no_turbo = text_of(every / "cpufreq/boost"), text_of(every / "intel_pstate/no_turbo")
    return {
        "governors": sorted(name for name in governors if name),
        "driver": text_of(own / "scaling_driver"),
        "clock_mhz": mhz["cur"],
        "lowest_clock_mhz": mhz["min"],
        "highest_clock_mhz": mhz["max"],
        "boost": {"1": True, "0": False}.get(boost or {"0": "1", "1": "0"}.get(no_turbo or "", "")),
    }


def _clock_step_ns() -> int | None:
    """Return the shortest step that was seen of the clock that timings are taken with."""
    read = time.perf_counter_ns
    times = [read() for _ in range(2000)]
    steps = [late - early for early, late in zip(times, times[1:]) if late > early]  # noqa: B905, RUF007 - Python 3.7
    return min(steps, default=None)


def main() -> int:
    try:
        asked = json.loads(sys.stdin.read())
        with acquire_lock(asked["lock"], asked["holder"], _refuse):
            answer = conditions(Path(asked["root"]), asked["watch_s"], asked["cpu"])
    except _Busy as busy:
        answer = {"busy": str(busy)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    return 0
