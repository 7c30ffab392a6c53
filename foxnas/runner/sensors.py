"""What a machine can say of itself while it measures: clock, temperature, throttling, power.

All of it is read between timings, never during one; what a machine does not tell is None.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from foxnas.runner.machine import allowed_cpus, text_of

#: Bits of the Raspberry Pi firmware's ``get_throttled``; the same again from bit 16 on: it has been so since boot.
_THROTTLING = ("under-voltage", "clock capped", "throttled", "soft temperature limit")


class Sensors:
    """Reads the files of `root`, which is ``/`` but in tests."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._vcgencmd = shutil.which("vcgencmd")
        self._packages = [
            zone
            for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
            if zone.name.count(":") == 1 and (text_of(zone / "name") or "").startswith("package")
        ]

    def sample(self) -> dict[str, Any]:
        """Return what belongs beside one timing: clock in MHz, hottest temperature in degrees Celsius, throttling."""
        flags = self._throttle_flags()
        return {
            "clock_mhz": self.clock_mhz(),
            "temperature_c": max(self.temperatures_c().values(), default=None),
            "throttled": None if flags is None else _in_words(flags),
        }

    def state(self) -> dict[str, Any]:
        """Return what belongs beside a session, names with units."""
        flags = self._throttle_flags()
        cpu = sorted(allowed_cpus() or [0])[0]
        return {
            "governor": text_of(self._root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"),
            "clock_mhz": self.clock_mhz(),
            "temperatures_c": self.temperatures_c(),
            "throttled": None if flags is None else _in_words(flags),
            "throttled_since_boot": None if flags is None else _in_words(flags >> 16),
            "power_w": self.power_w(),
            "load": os.getloadavg()[0],
            "affinity": allowed_cpus(),
        }

    def clock_mhz(self) -> float | None:
        """Return the clock of the first CPU that this process may use."""
        cpu = sorted(allowed_cpus() or [0])[0]
        khz = text_of(self._root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq")
        if khz and khz.isdigit():
            return int(khz) / 1000
        clocks = re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", text_of(self._root / "proc/cpuinfo") or "", re.MULTILINE)
        return float(clocks[cpu]) if cpu < len(clocks) else None

    def temperatures_c(self) -> dict[str, float]:
        """Return every thermal zone's temperature, and that of an Edge TPU on PCIe."""
        files = {
            f"{zone.name} {text_of(zone / 'type')}": zone / "temp"
            for zone in sorted((self._root / "sys/class/thermal").glob("thermal_zone*"))
        }
        files.update({chip.name: chip / "temp" for chip in sorted((self._root / "sys/class/apex").glob("apex_*"))})
        values = {name: text_of(path) for name, path in files.items()}
        return {name: int(text) / 1000 for name, text in values.items() if text and re.match(r"-?\d+$", text)}

    def _throttle_flags(self) -> int | None:
        text = text_of(self._root / "sys/devices/platform/soc/soc:firmware/get_throttled")
        if text is None and self._vcgencmd:
            try:
                answer = subprocess.run([self._vcgencmd, "get_throttled"], stdout=subprocess.PIPE, timeout=5)
            except (OSError, subprocess.SubprocessError):
                return None
            text = answer.stdout.decode("utf-8", "replace").strip().split("=")[-1]
        try:
            return None if text is None else int(text, 16)
        except ValueError:
            return None

    def energy_j(self) -> tuple[float, ...] | None:
        """Return the energy counter of every CPU package (RAPL); None without, or without leave to read it."""
        counters = [text_of(zone / "energy_uj") for zone in self._packages]
        return tuple(int(text) / 1e6 for text in counters if text) if counters and all(counters) else None

    def energy_between_j(self, before: tuple[float, ...] | None, after: tuple[float, ...] | None) -> float | None:
        """Return the energy used between two readings, each counter having wrapped once at most."""
        if before is None or after is None:
            return None
        total = 0.0
        for number, zone in enumerate(self._packages):
            used = after[number] - before[number]
            total += used if used >= 0 else used + int(text_of(zone / "max_energy_range_uj") or 0) / 1e6
        return total

    def power_w(self) -> float | None:
        """Return what the board draws by its INA sensor now, averaged over the sensor's own conversion time.

        A sensor with several channels counts by the one that its board labels as the input; without such a
        label no channel is known to be the whole.
        """
        channels = {}
        for chip in sorted((self._root / "sys/class/hwmon").glob("hwmon*")):
            if (text_of(chip / "name") or "").startswith("ina"):
                channels.update(_channels_w(chip))
        named = [watts for label, watts in channels.items() if label in ("VDD_IN", "POM_5V_IN")]
        if named:
            return named[0]
        return next(iter(channels.values())) if len(channels) == 1 else None


def _channels_w(chip: Path) -> dict[str, float]:
    found = {}
    for file in sorted(chip.glob("power*_input")):  # ina219, ina226: microwatts
        text = text_of(file)
        if text and text.isdigit():
            found[f"{chip.name} {file.name}"] = int(text) / 1e6
    if found:
        return found
    for file in sorted(chip.glob("curr*_input")):  # ina3221: milliamperes, beside millivolts
        number = file.name[len("curr") : -len("_input")]
        current, voltage = text_of(file), text_of(chip / f"in{number}_input")
        if current and voltage and current.isdigit() and voltage.isdigit():
            label = text_of(chip / f"in{number}_label") or f"{chip.name} channel {number}"
            found[label] = int(current) * int(voltage) / 1e6
    return found


def _in_words(flags: int) -> str:
    return ", ".join(name for bit, name in enumerate(_THROTTLING) if flags >> bit & 1)
