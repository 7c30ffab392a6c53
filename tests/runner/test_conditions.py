"""What a machine says of the conditions on it: fake files of boards that are not here, and this machine's own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from foxnas.device.archive import archive
from foxnas.files import closures
from foxnas.runner import conditions
from foxnas.runner.lock import acquire_lock
from tests.support.fake_sysfs import fake_sysfs

CPU = "sys/devices/system/cpu"


def test_it_is_valid_python_3_7_and_needs_nothing_but_the_standard_library() -> None:
    for path in closures.closure(Path(conditions.__file__)):
        tree = ast.parse(path.read_text(), str(path), feature_version=(3, 7))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, "foxnas"}


def test_a_fake_board_tells_governors_clock_memory_and_throttling(tmp_path: Path) -> None:
    root = fake_sysfs(tmp_path, {
        f"{CPU}/cpu0/cpufreq/scaling_governor": "ondemand",
        f"{CPU}/cpu3/cpufreq/scaling_governor": "powersave",
        f"{CPU}/cpu3/cpufreq/scaling_cur_freq": "600000",
        f"{CPU}/cpu3/cpufreq/scaling_min_freq": "600000",
        f"{CPU}/cpu3/cpufreq/scaling_max_freq": "1800000",
        f"{CPU}/cpu3/cpufreq/scaling_driver": "cpufreq-dt",
        f"{CPU}/cpufreq/boost": "0",
        "sys/class/thermal/thermal_zone0/temp": "48686",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50000",
        "proc/meminfo": "MemTotal: 3884532 kB\nMemAvailable: 102400 kB\nSwapTotal: 204800 kB\nSwapFree: 102400 kB",
        "proc/cpuinfo": "flags : fpu hypervisor",
        "proc/vmstat": "pswpin 7\npswpout 8",
        "proc/stat": "cpu 1 2 3 4 5 6 7 8 0 0",
    })  # fmt: skip
    told = conditions.conditions(root, 0.0, 3)
    assert told["governors"] == ["ondemand", "powersave"]
    assert (told["clock_mhz"], told["lowest_clock_mhz"], told["highest_clock_mhz"]) == (600, 600, 1800)
    assert (told["driver"], told["boost"], told["virtual"]) == ("cpufreq-dt", False, True)
    assert (told["memory_available_mb"], told["swap_mb"], told["swap_free_mb"]) == (100, 200, 100)
    assert told["swapped_pages"] == 0
    assert (told["throttled"], told["throttled_since_boot"]) == ("", "under-voltage, throttled")
    assert told["temperatures_c"] == {"thermal_zone0 cpu-thermal": 48.686}
    assert (told["busy_cpus"], told["busiest"]) == (None, [])  # its counters stand still


def test_what_a_machine_does_not_tell_is_none(tmp_path: Path) -> None:
    told = conditions.conditions(tmp_path, 0.0, None)
    untold = {name for name, value in told.items() if value is None}
    assert untold == {
        "busy_cpus", "stolen_percent", "swapped_pages", "memory_available_mb", "swap_mb", "swap_free_mb", "driver",
        "clock_mhz", "lowest_clock_mhz", "highest_clock_mhz", "boost", "throttled", "throttled_since_boot",
    }  # fmt: skip
    assert (told["governors"], told["busiest"]) == ([], [])


@pytest.mark.parametrize(("turbo", "boost"), [("0", True), ("1", False)])
def test_intels_driver_says_boost_the_other_way_round(tmp_path: Path, turbo: str, boost: bool) -> None:
    assert (
        conditions.conditions(fake_sysfs(tmp_path, {f"{CPU}/intel_pstate/no_turbo": turbo}), 0.0, 0)["boost"] is boost
    )


def test_shares_are_those_of_the_kernels_counters() -> None:
    # user, nice, system, idle, iowait, irq, softirq, steal: of 400 ticks 100 at work, 240 idle, 20 waiting, 40 stolen.
    before, after = [0] * 10, [50, 10, 30, 240, 20, 4, 6, 40, 0, 0]
    shares = conditions._shares(before, after)
    assert shares["stolen_percent"] == 10
    assert shares["busy_cpus"] == pytest.approx(0.25 * (psutil.cpu_count() or 1))


def test_a_busy_program_is_named_with_its_share_and_one_that_measures_is_heeded(tmp_path: Path, own_lock: str) -> None:
    (tmp_path / "program.pyz").write_bytes(archive(Path(conditions.__file__)))
    asked = {"lock": own_lock, "holder": "test", "watch_s": 0.6, "cpu": None, "root": "/"}
    command = [sys.executable, "-S", "-I", str(tmp_path / "program.pyz")]

    def answer() -> dict:
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        try:
            told = answer()
        finally:
            busy.kill()
    mine = next(one for one in told["busiest"] if one["process"] == busy.pid)
    assert mine["name"] == "sh"
    assert 10 < mine["percent"] < 130
    assert told["busy_cpus"] > 0.1
    with acquire_lock(own_lock, "somebody else", lambda holder: None):
        assert answer()["busy"].startswith("somebody else, process")
    asked["root"] = None
    assert answer()["error"].startswith("TypeError")
