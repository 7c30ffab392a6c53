"""Clock, temperature, slowdowns and ECC of an NVIDIA GPU, as a fake nvidia-smi tells them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from foxnas.device.acceptance import verdict
from foxnas.device.protocol import MeasurementProtocol
from foxnas.runner.backend import Backend, Loaded, by_wall_clock
from foxnas.runner.nvidia import NvidiaGpu
from foxnas.runner.sensors import Sensors
from foxnas.runner.timing import measure

UUID = "GPU-6c8e3a52-0000-0000-0000-000000000000"
#: In nvidia-smi's own form: no units, hexadecimal reasons, brackets around what a GPU does not have.
ANSWERS = {
    "clocks.sm": "1980", "clocks.max.sm": "1980", "clocks.mem": "2619", "temperature.gpu": "41", "power.draw": "312.45",
    "power.limit": "700.00", "ecc.errors.uncorrected.volatile.total": "0", "pstate": "P0",
    "persistence_mode": "Enabled", "ecc.mode.current": "[N/A]",
}  # fmt: skip

FAKE = """#!{python}
import sys
answers = {answers!r}
uuid, queries, form = sys.argv[2], sys.argv[3], sys.argv[4]
assert sys.argv[1] == "-i" and form == "--format=csv,noheader,nounits"
names = queries.partition("=")[2].split(",")
unknown = [name for name in names if name not in answers]
if unknown:
    print(f'Field "{{unknown[0]}}" is not a valid field to query.')
    sys.exit(2)
if uuid != {uuid!r}:
    print("No devices were found")
    sys.exit(6)
print(", ".join(answers[name] for name in names))
"""


def fake_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    """Put a fake nvidia-smi on PATH, with answers of more fields."""
    program = folder / "nvidia-smi"
    answers = ANSWERS | {name.replace("__", "."): value for name, value in more.items()}
    program.write_text(FAKE.format(python=sys.executable, answers=answers, uuid=UUID))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize("field", ["clocks_event_reasons__active", "clocks_throttle_reasons__active"])
def test_drivers_old_and_new_tell_clock_temperature_and_slowdowns(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nvml.h: 0x4 is the limit of power, which is no fault; 0x8 a hardware slowdown, 0x40 a thermal one.
    fake_smi(tmp_path, monkeypatch, **{field: "0x000000000000004C"})
    gpu = NvidiaGpu(UUID)
    slow = "hardware slowdown, thermal slowdown by the hardware"
    assert gpu.sample() == {"clock_mhz": 1980.0, "temperature_c": 41.0, "throttled": slow}
    assert gpu.state() == {
        "clock_mhz": 1980.0, "highest_clock_mhz": 1980.0, "memory_clock_mhz": 2619.0, "temperature_c": 41.0,
        "power_w": 312.45, "power_limit_w": 700.0, "ecc_errors": 0.0, "performance_state": "P0",
        "persistence": "Enabled", "ecc": None, "throttled": slow,
    }  # fmt: skip


def test_the_limit_of_power_alone_is_no_slowdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, monkeypatch, clocks_event_reasons__active="0x0000000000000004")
    assert NvidiaGpu(UUID).sample()["throttled"] == ""


def test_what_is_not_told_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"clock_mhz": None, "temperature_c": None, "throttled": None}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert NvidiaGpu(UUID).sample() == nothing, "no nvidia-smi"
    fake_smi(tmp_path, monkeypatch, clocks_event_reasons__active="0x0")
    assert NvidiaGpu(None).sample() == nothing, "PyTorch names no UUID"
    assert NvidiaGpu("GPU-another").sample() == nothing, "a GPU that nvidia-smi does not list"


class FakeGpuBackend(Backend):
    """Does nothing, and has a GPU that is slowed down."""

    def __init__(self, gpu: NvidiaGpu) -> None:
        self.sample = gpu.sample  # type: ignore[method-assign]

    def load(self, model: bytes, settings: dict[str, object]) -> Loaded:
        return Loaded(by_wall_clock(lambda: sum(range(1000))), {})


def test_a_row_has_the_gpus_words_in_place_of_the_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, monkeypatch, clocks_event_reasons__active="0x20")
    protocol = MeasurementProtocol(max_preempted=1.0, max_relative_mad=100.0)
    row = measure(FakeGpuBackend(NvidiaGpu(UUID)), b"", protocol.timing, Sensors(tmp_path))
    assert (row["clock_mhz"], row["temperature_c"]) == (1980.0, 41.0)
    assert verdict(row, 0.0, protocol)[0] == "the board reports: thermal slowdown by the driver"
