"""Clock, temperature, throttling, energy and power, read from a fake sysfs of boards that are not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from foxnas.device.acceptance import verdict
from foxnas.device.protocol import MeasurementProtocol
from foxnas.runner import sensors
from foxnas.runner.machine import cpu_model
from foxnas.runner.sensors import Sensors
from tests.support.fake_sysfs import fake_sysfs


@pytest.fixture
def one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is pinned to CPU 3."""
    monkeypatch.setattr(sensors, "allowed_cpus", lambda: [3])


@pytest.mark.usefixtures("one_cpu")
def test_a_fake_raspberry_pi_tells_clock_temperature_and_throttling(tmp_path: Path) -> None:
    # Values and files as a Raspberry Pi 4 has them; 0x50005: bits 0, 2, 16 and 18 of get_throttled.
    root = fake_sysfs(
        tmp_path,
        {
            "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "1500000",
            "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor": "ondemand",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000",
            "sys/class/thermal/thermal_zone0/temp": "81300",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/apex/apex_0/temp": "64500",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005",
        },
    )
    fake = Sensors(root)
    assert fake.sample() == {"clock_mhz": 1500.0, "temperature_c": 81.3, "throttled": "under-voltage, throttled"}
    state = fake.state()
    assert state["governor"] == "ondemand"
    assert state["temperatures_c"] == {"thermal_zone0 cpu-thermal": 81.3, "apex_0": 64.5}
    assert state["throttled_since_boot"] == "under-voltage, throttled"
    assert state["power_w"] is None


def test_vcgencmd_is_asked_where_the_kernel_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "vcgencmd"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x80000\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=":")
    state = Sensors(tmp_path).state()
    assert (state["throttled"], state["throttled_since_boot"]) == ("", "soft temperature limit")
    fake.write_text("#!/bin/sh\necho VCHI initialization failed >&2\nexit 255\n")
    assert Sensors(tmp_path).sample()["throttled"] is None


def test_a_timing_under_throttling_is_not_believed() -> None:
    row = {"latency_ms": 1.0, "mad_ms": 0.0, "preempted_percent": 0.0, "runs": 50, "throttled": "under-voltage"}
    assert verdict(row, 0.0, MeasurementProtocol())[0] == "the board reports: under-voltage"
    assert verdict({**row, "throttled": ""}, 0.0, MeasurementProtocol())[0] == ""


def test_energy_counters_add_up_and_may_wrap(tmp_path: Path) -> None:
    files = {}
    for package in (0, 1):
        zone = f"sys/class/powercap/intel-rapl:{package}"
        files |= {f"{zone}/name": f"package-{package}", f"{zone}/energy_uj": "1000000"}
        files |= {f"{zone}/max_energy_range_uj": "5000000"}
    files |= {"sys/class/powercap/intel-rapl:0:0/name": "core", "sys/class/powercap/intel-rapl:0:0/energy_uj": "7"}
    files |= {"sys/class/powercap/intel-rapl:2/name": "psys", "sys/class/powercap/intel-rapl:2/energy_uj": "7"}
    fake = Sensors(fake_sysfs(tmp_path, files))
    before = fake.energy_j()
    assert before == (1.0, 1.0)
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").write_text("1500000\n")
    (tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj").write_text("500000\n")
    assert fake.energy_between_j(before, fake.energy_j()) == pytest.approx(0.5 + 4.5)
    (tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj").unlink()
    assert fake.energy_between_j(before, fake.energy_j()) is None


@pytest.mark.parametrize(
    ("files", "watts"),
    [
        ({"name": "ina226", "power1_input": "5250000"}, 5.25),
        ({"name": "ina3221", "in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "1200",
          "in2_label": "VDD_CPU", "in2_input": "5000", "curr2_input": "300"}, 6.0),
        ({"name": "ina3221", "in1_input": "5000", "curr1_input": "1", "in2_input": "5000", "curr2_input": "2"}, None),
        ({"name": "coretemp", "power1_input": "1"}, None),
    ],
    ids=["one channel", "labelled input", "no channel is the whole", "no INA"],
)  # fmt: skip
def test_power_of_a_fake_ina(tmp_path: Path, files: dict[str, str], watts: float | None) -> None:
    fake_sysfs(tmp_path, {f"sys/class/hwmon/hwmon2/{name}": text for name, text in files.items()})
    assert Sensors(tmp_path).power_w() == watts


def test_a_machine_without_sensors_has_none(tmp_path: Path) -> None:
    bare = Sensors(tmp_path)
    assert bare.energy_j() is None
    assert bare.energy_between_j(None, None) is None
    state = bare.state()
    assert [state[name] for name in ("governor", "clock_mhz", "power_w", "temperatures_c")] == [None, None, None, {}]


def test_arm_cores_get_their_names(tmp_path: Path) -> None:
    lines = [f"processor\t: {i}\nCPU implementer\t: 0x41\nCPU part\t: {part}" for i, part in enumerate(
        ["0xd05", "0xd05", "0xd0b", "0xfff"])]  # fmt: skip
    (tmp_path / "cpuinfo").write_text("\n\n".join(lines) + "\nModel\t\t: A board\n")
    assert cpu_model(tmp_path / "cpuinfo") == "Cortex-A55 and Cortex-A76 and Arm part 0xfff"
