"""Findings are judged by tables: what was found, how bad that is, and the command that mends it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from foxnas.device.config import SshConfig
from foxnas.doctor.diagnosis import diagnose
from foxnas.doctor.finding import Finding, sentence, verdict
from foxnas.doctor.measuring import Promises
from foxnas.doctor.page import as_object, as_text
from foxnas.doctor.way import Way
from tests.support.examined import PROMISES, busy, examined, loaded, sessions
from tests.support.surveyed import a_device, a_python

PI4 = Way(SshConfig(host="pi4"), "snakemake --cores 1 results/devices/pi4/ready.json --configfile mine.yaml")
HERE = Way(None)


def test_a_calm_board_is_ready() -> None:
    found = examined()
    findings = diagnose(found, PI4, PROMISES)
    assert (verdict(findings), sentence(findings)) == ("ready", "ready")
    assert {finding.level for finding in findings} == {"ok"}
    assert not any(finding.mend for finding in findings)
    told = as_object(found, findings, PROMISES)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert as_text(found, findings).endswith("\nready")
    assert [finding.topic for finding in findings] == [
        "connection", "system", "disk", "board", "userland", "governor", "frequency", "throttling", "temperature",
        "other load", "memory", "delegate", "clock grain", "timings", "noise", "smallest difference", "load", "pace",
        "clock",
    ]  # fmt: skip


def test_the_smallest_difference_is_told_for_the_first_and_the_last_look() -> None:
    findings = diagnose(examined(sessions=sessions(5.0, 5.05, 4.95)), PI4, PROMISES)
    (told,) = [one.text for one in findings if one.topic == "smallest difference"]
    # Of a spread of 1%: all of 5 normal sessions, or 30 of 40, lie below the budget 9 times in 10.
    assert told.endswith("9 times in 10: 2.04% within 5 sessions, 0.90% within 40 sessions")
    none = diagnose(examined(), PI4, Promises(sessions=3, most_sessions=4, margin_percent=1.0))
    (said,) = [one for one in none if one.level != "ok"]
    assert (said.topic, said.level) == ("smallest difference", "advice")
    assert "within validation.most_sessions (4)" in said.text


CASES: list[tuple[dict[str, Any], str, str, str, str]] = [
    # What is changed, and of the one finding that is not ok: level, topic, words of the text, words of what mends it.
    ({"governors": ["powersave"]}, "advice", "governor", "powersave, which keeps the clock at its lowest (600 MHz)",
     "ssh -t pi4 'echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor'"),
    ({"governors": ["powersave"], "driver": "intel_pstate"}, "advice", "governor", "changes the clock while", "tee"),
    ({"governors": ["ondemand", "performance"]}, "advice", "governor", "ondemand, performance, which changes", "tee"),
    ({"bits": 32}, "advice", "userland", "of 32 bits, on a 64-bit kernel", "64-bit system"),
    ({"throttled": "under-voltage"}, "blocking", "throttling", "reports under-voltage at rest", "power supply"),
    ({"throttled": "throttled"}, "blocking", "throttling", "reports throttled at rest", "heat sink"),
    ({"throttled_since_boot": "under-voltage"}, "advice", "throttling", "has met: under-voltage", "sudo reboot"),
    ({"temperatures_c": {"a": 48.0, "b": 71.2}}, "advice", "temperature", "71 °C at rest", "fan"),
    ({"busy_cpus": 0.97, "busiest": [busy("yes", 1234, 97.0)]}, "advice", "other load",
     "0.97 of 4 CPUs busy: yes (process 1234) 97%", "ssh pi4 'kill 1234"),
    ({"busy_cpus": 0.5}, "advice", "other load", "0.50 of 4 CPUs busy", "ssh pi4 'top -b"),
    ({"stolen_percent": 3.0}, "advice", "host", "took 3.0% of its time", "neighbours"),
    ({"swapped_pages": 12}, "advice", "memory", "it swapped 12 pages within two seconds", "swapoff -a"),
    ({"memory_available_mb": 80, "swap_free_mb": 40}, "advice", "memory", "80 MiB of memory are available", "swap"),
    ({"survey": a_device(a_python(), free_mb=90)}, "advice", "disk", "only 90 MiB free", "df -h"),
    ({"survey": a_device(a_python(), writable=False)}, "blocking", "disk", "pi may not write to .foxnas", "ssh.folder"),
    ({"clock_step_ns": 15_000}, "advice", "clock grain", "15000 ns apart, and the reference takes 5 ms", "larger"),
    ({"sessions": sessions(5.0, 5.2, 4.8, 5.0)}, "advice", "noise",
     "spread by 3.27% (n = 4, 95% interval 1.85 to 12.18%)", "verification: {margin_percent: 12.2}"),
    ({"sessions": sessions(*[5.0] * 3, reason="runs spread by 30.0% (limit 10%)")}, "blocking", "timings",
     "timings of 3 of 3 sessions are not believed: runs spread by 30.0%", "calm the machine"),
    ({"sessions": (*sessions(*[5.0] * 3), *sessions(5.0, reason="spread"))}, "advice", "timings", "1 of 4", "calm"),
    ({"sessions": sessions(5.0, 5.0, hello={"state_before": {"gpu": {"persistence": "Disabled"}}})}, "advice", "GPU",
     "persistence mode Disabled", "nvidia-smi --persistence-mode=1"),
    ({"loaded": loaded(*[5.0] * 4, temperature_c=81.0)}, "advice", "load", "81 °C after 8 s of load", "heat sink"),
    ({"loaded": loaded(*[5.0] * 4, throttled="throttled")}, "blocking", "load", "reports throttled within 8 s", "fan"),
    ({"loaded": loaded(5.0, 5.0, 5.2, 5.4)}, "advice", "pace", "takes +8.0% after 8 s", "fan"),
    ({"loaded": loaded(5.0, 5.0, 5.4, 5.6)}, "blocking", "pace", "takes +12.0% after 8 s of load, beyond", "fan"),
    ({"loaded": (*loaded(5.0), *loaded(5.0, clock_mhz=1200.0))}, "advice", "clock", "between 1200 and 1500", "boost"),
    ({"loaded": loaded(5.0, clock_mhz=600.0)}, "advice", "clock", "was 600 MHz under load, of 1500", "supply"),
    ({"failed": "environment", "failure": "has no Python"}, "blocking", "environment", "has no Python",
     "snakemake --cores 1 results/devices/pi4/ready.json --configfile mine.yaml"),
    ({"failed": "runtime", "failure": "it crashed"}, "blocking", "runtime", "it crashed", "snakemake --cores 1"),
    ({"failed": "connection", "failure": "no route"}, "blocking", "connection", "no route", "ssh pi4 true"),
    ({"failed": "conditions", "failure": "no Python"}, "blocking", "conditions", "no Python", "install python3"),
    ({"failed": "reference", "failure": "no compiler"}, "blocking", "reference", "no compiler", ""),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "level", "topic", "text", "mend"), CASES, ids=lambda one: str(one)[:40])
def test_a_finding_says_what_it_means_and_what_mends_it(
    changed: dict[str, Any], level: str, topic: str, text: str, mend: str
) -> None:
    found = examined(**changed)
    findings = diagnose(found, PI4, PROMISES)
    (bad,) = [finding for finding in findings if finding.level != "ok"]
    assert (bad.level, bad.topic) == (level, topic)
    assert text in bad.text
    assert mend in bad.mend
    assert "{" not in bad.mend.replace("{margin_percent", "")
    said = "ready, but" if level == "advice" else "not ready because"
    assert sentence(findings) == f"{said} {bad.text}"
    assert as_object(found, findings, PROMISES)["verdict"] == {"advice": "ready, but", "blocking": "not ready"}[level]


def test_sessions_that_are_not_believed_do_not_count_for_the_spread() -> None:
    disturbed = sessions(9.0, reason="another process took the CPU")
    found = examined(sessions=(*sessions(5.0, 5.0, 5.0), *disturbed))
    findings = {one.topic: one for one in diagnose(found, PI4, PROMISES)}
    assert findings["noise"].text.startswith("sessions of the reference spread by 0.00% (n = 3")
    assert findings["timings"].level == "advice"
    told = as_object(found, list(findings.values()), PROMISES)["reference"]
    assert (told["sessions"], told["session_medians_ms"], len(told["not_believed"])) == (4, [5.0] * 3, 1)


def test_root_and_this_machine_need_neither_sudo_nor_ssh() -> None:
    findings = diagnose(examined(governors=["ondemand"]), Way(None, root=True), PROMISES)
    (bad,) = [finding for finding in findings if finding.mend]
    assert bad.mend.startswith("echo performance | tee /sys/")


def test_where_the_owner_decides_about_the_runtime_pip_mends_it() -> None:
    found = examined(failed="runtime", failure="tflite-runtime is installed in this Python", kind="tflite")
    assert diagnose(found, HERE, PROMISES)[-1].mend == ".foxnas/tflite/bin/python -m pip install ai-edge-litert"
    assert diagnose(examined(failed="runtime", failure="the model crashed"), HERE, PROMISES)[-1].mend == ""


def test_ssh_commands_take_the_way_of_the_config() -> None:
    ssh = SshConfig(host="pi4", user="me", port=2222, config_file="/etc/my config")
    assert Way(ssh).login() == "ssh -F '/etc/my config' -l me -p 2222 pi4 true"


def test_what_does_not_tell_is_no_fault() -> None:
    names = "busy_cpus stolen_percent memory_available_mb swapped_pages clock_mhz throttled clock_step_ns"
    untold = dict.fromkeys(names.split())
    found = examined(
        **untold, governors=[], temperatures_c={}, virtual=True, loaded=loaded(5.0, clock_mhz=None, temperature_c=None)
    )
    assert sentence(diagnose(found, PI4, PROMISES)) == "ready"


def test_blocking_reasons_stand_alone_in_the_last_line() -> None:
    findings = [Finding("a", "advice", "A"), Finding("b", "blocking", "B"), Finding("c", "blocking", "C")]
    assert sentence(findings) == "not ready because B; C"


def test_what_was_not_reached_is_not_told() -> None:
    found = examined(survey=None, conditions=None, sessions=(), loaded=(), failed="connection", failure="no route")
    findings = diagnose(found, PI4, PROMISES)
    assert [finding.topic for finding in findings] == ["connection"]
    told = as_object(found, findings, PROMISES)
    assert (told["conditions"], told["reference"], told["load"]) == (None, None, [])
