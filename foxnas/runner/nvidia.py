"""What an NVIDIA GPU can say of itself while it measures, asked of nvidia-smi as any user may.

Nothing is set, and nothing is asked during a timing; what a GPU does not tell is None.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

#: Reasons for a lowered clock, by their bits in nvml.h. Not among them: idling, settings, and the limit of power.
_SLOWDOWNS = {
    0x08: "hardware slowdown",
    0x20: "thermal slowdown by the driver",
    0x40: "thermal slowdown by the hardware",
    0x80: "power brake",
}

#: Numbers that nvidia-smi has, by the names that a session's record gives them.
_NUMBERS = {
    "clock_mhz": "clocks.sm",
    "highest_clock_mhz": "clocks.max.sm",
    "memory_clock_mhz": "clocks.mem",
    "temperature_c": "temperature.gpu",
    "power_w": "power.draw",
    "power_limit_w": "power.limit",
    "ecc_errors": "ecc.errors.uncorrected.volatile.total",
}
_WORDS = {"performance_state": "pstate", "persistence": "persistence_mode", "ecc": "ecc.mode.current"}
#: The reasons' name since driver 535, and before.
_REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")


class NvidiaGpu:
    """One GPU, by the UUID that nvidia-smi lists (``GPU-...``); None, or no nvidia-smi, and nothing is told."""

    def __init__(self, uuid: str | None) -> None:
        self._uuid, self._smi = uuid, shutil.which("nvidia-smi")
        self._reasons = next((name for name in _REASONS if self._ask([name])), _REASONS[0])

    def sample(self) -> dict[str, Any]:
        """Return what belongs beside one timing, under the names that `Sensors.sample` has."""
        told = self._ask(["clocks.sm", "temperature.gpu", self._reasons])
        return {
            "clock_mhz": _number(told.get("clocks.sm")),
            "temperature_c": _number(told.get("temperature.gpu")),
            "throttled": _slowdowns(told.get(self._reasons)),
        }

    def state(self) -> dict[str, Any]:
        """Return what belongs beside a session, names with units."""
        told = self._ask([*_NUMBERS.values(), *_WORDS.values(), self._reasons])
        found: dict[str, Any] = {name: _number(told.get(query)) for name, query in _NUMBERS.items()}
        found.update({name: told.get(query) for name, query in _WORDS.items()})
        found["throttled"] = _slowdowns(told.get(self._reasons))
        return found

    def _ask(self, queries: list[str]) -> dict[str, str]:
        """Return the answers to some queries; none at all where one of them is unknown to this nvidia-smi."""
        if self._uuid is None or self._smi is None:
            return {}
        command = [self._smi, "-i", self._uuid, "--query-gpu=" + ",".join(queries), "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return {}
        answers = [word.strip() for word in done.stdout.decode("utf-8", "replace").strip().split(",")]
        if done.returncode or len(answers) != len(queries):
            return {}
        return {query: answer for query, answer in zip(queries, answers) if answer[:1] != "["}  # noqa: B905 - Python 3.7


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _slowdowns(text: str | None) -> str | None:
    try:
        reasons = None if text is None else int(text, 16)
    except ValueError:
        return None
    return None if reasons is None else ", ".join(name for bit, name in _SLOWDOWNS.items() if reasons & bit)
