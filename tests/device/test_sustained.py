"""A deployed model at work on a device without a pause: here, over SSH, and what goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foxnas.device import answers_of_programs
from foxnas.device.archive import archive
from foxnas.device.config import DeviceConfig
from foxnas.device.sustained import Sustained, run_sustained
from foxnas.device.transport import Device, Finished, Implausible
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json
from foxnas.int8.reading import with_metadata
from foxnas.runner import sustained as program
from foxnas.runner.lock import acquire_lock
from tests.support.fake_device import MODEL, QUICK
from tests.support.scripts import script
from tests.support.sshd import Sshd

TOLD: dict[str, Any] = {
    "loading_ms": 20.0, "first_ms": 5.0, "runs": 900, "p50_ms": 1.0, "p90_ms": 1.2, "p99_ms": 1.5, "slowest_ms": 9.0,
    "windows": [
        {"after_s": 10.0 * (i + 1), "median_ms": 1.0 if i < 20 else 1.5, "clock_mhz": 1800.0 if i < 20 else 1200.0,
         "temperature_c": 50.0 + i, "throttled": "" if i < 20 else "throttled, soft temperature limit"}
        for i in range(30)
    ],
}  # fmt: skip


@pytest.mark.parametrize("where", ["here", "board"])
def test_a_real_model_at_work(where: str, request: pytest.FixtureRequest) -> None:
    device: Device = request.getfixturevalue(where)
    found = run_sustained(device, sys.executable, QUICK, MODEL, 0.2).summary()
    assert found["runs"] > 20
    assert 0 < found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["slowest_ms"]
    assert found["first_ms"] > 0
    assert found["loading_ms"] > 0


def test_heat_shows_in_the_figures() -> None:
    found = Sustained.model_validate(TOLD).summary()
    assert (found["begin_ms"], found["end_ms"], found["seconds"]) == (1.0, 1.5, 300.0)
    assert found["slowdown_percent"] == pytest.approx(50)
    assert (found["begin_temperature_c"], found["highest_temperature_c"], found["lowest_clock_mhz"]) == (50, 79, 1200)
    assert found["throttled"] == "throttled, soft temperature limit"
    assert "windows" not in found


def test_what_a_machine_does_not_tell_is_none() -> None:
    silent = {**TOLD, "windows": [{"after_s": 1.0, "median_ms": 1.0}]}
    found = Sustained.model_validate(silent).summary()
    assert {name for name, value in found.items() if value is None} == {
        "begin_temperature_c", "highest_temperature_c", "lowest_clock_mhz", "throttled",
    }  # fmt: skip
    assert found["slowdown_percent"] == 0


class FakeBoard:
    """Answers what it is told to."""

    host = "SSH host fake"

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    def run(self, command: object, stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        return Finished(0, f"a greeting\n{json.dumps(self._answer)}\n".encode(), b"")


@pytest.mark.parametrize(
    "change",
    [{"p90_ms": 0.5}, {"p99_ms": None}, {"first_ms": 0.0}, {"first_ms": float("nan")}, {"runs": 0}, {"windows": []},
     {"windows": 31 * TOLD["windows"][:1]}, {"windows": [{"after_s": 1.0}]}],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_an_answer_that_cannot_be_is_not_believed(change: dict[str, Any]) -> None:
    board: Any = Device("fake", FakeBoard({**TOLD, **change}))  # type: ignore[arg-type]
    with pytest.raises(Implausible, match=r"device fake \(SSH host fake\): answered .*nothing of it is believed"):
        run_sustained(board, "python3", QUICK, MODEL, 1.0)


def test_a_model_that_cannot_be_run_is_one_sentence(here: Device) -> None:
    with pytest.raises(FoxnasError, match=r"device bench .* cannot run the model \(status 0\): ValueError: "):
        run_sustained(here, sys.executable, QUICK, MODEL[:200], 0.1)


def test_the_script_has_one_board_of_a_rack_do_it(server: Sshd, tmp_path: Path) -> None:
    boards = {**server.client(name="pi-a pi-b").model_dump(), "host": "pi-a"}
    device = DeviceConfig.model_validate({"name": "rack", "kind": "tflite", "ssh": boards, "hosts": ["pi-a", "pi-b"]})
    (tmp_path / "model.tflite").write_bytes(with_metadata(MODEL, {}))
    script("time_sustained")(
        device=device.measured, access=device.access, provisioning=[], seconds=0.2, sampled=[],
        winner=tmp_path / "winner.json", model=tmp_path / "model.tflite", result=tmp_path / "sustained.json",
    )  # fmt: skip
    found = read_json(tmp_path / "sustained.json")
    assert found["board"] in ("pi-a", "pi-b")
    assert found["made_by"]["identity"]["runtime"] == "ai_edge_litert"
    assert found["summary"]["runs"] > 1
    assert found["summary"]["seconds"] == found["windows"][-1]["after_s"]


def test_it_ends_when_nobody_listens_any_more(own_lock: str) -> None:
    """A host that was killed leaves no model at work on the board, and no lock."""
    content = archive(Path(program.__file__))
    asked = {
        "lock": own_lock, "holder": "a test", "backend": "tflite", "threads": 1, "cpu": None,
        "settings": QUICK.timing, "seconds": 30,
    }  # fmt: skip
    command = [sys.executable, "-c", answers_of_programs._FROM_STDIN, str(len(content))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(content + json.dumps(asked).encode() + b"\n" + MODEL)
        process.stdin.close()
        lines = iter(process.stdout.readline, b"")
        assert "median_ms" in json.loads(next(line for line in lines if line.startswith(b"{")))
        process.stdout.close()
        process.wait(timeout=20)
    acquire_lock(own_lock, "another", lambda holder: pytest.fail(f"{holder} still has it")).close()
