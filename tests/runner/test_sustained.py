"""A model at work without a pause: a clock that is made up, and what travels to a device."""

from __future__ import annotations

import ast
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foxnas.device.archive import runner_archive
from foxnas.files import closures
from foxnas.runner import sustained
from foxnas.runner.backend import Backend, Loaded
from foxnas.runner.sensors import Sensors
from tests.support.fake_sysfs import fake_sysfs


class FakeBackend(Backend):
    """Says how long an inference took, whatever it took."""

    def __init__(self) -> None:
        self.said_ns: list[int] = []
        self._random = np.random.default_rng(0)

    def load(self, model: bytes, settings: dict[str, Any]) -> Loaded:
        return Loaded(self._timed, {})

    def _timed(self) -> int:
        self.said_ns.append(7_000_000 if not self.said_ns else int(self._random.integers(1_000_000, 2_000_000)))
        return self.said_ns[-1]


def test_every_inference_counts_and_the_first_stands_alone(tmp_path: Path) -> None:
    board = fake_sysfs(tmp_path, {
        "sys/class/thermal/thermal_zone0/temp": "61000", "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "8",
    })  # fmt: skip
    backend, heard = FakeBackend(), list[dict[str, Any]]()
    told = sustained.sustain(backend, b"", {}, 0.03, Sensors(board), heard.append)
    first, *rest = np.array(backend.said_ns) / 1e6
    assert told["first_ms"] == first == 7
    assert told["runs"] == len(rest)
    found = [told[name] for name in ("p50_ms", "p90_ms", "p99_ms", "slowest_ms")]
    np.testing.assert_allclose(found, np.percentile(rest, [50, 90, 99, 100]), rtol=1e-6)
    assert heard == told["windows"]
    assert 1 <= len(heard) <= sustained.WINDOWS
    assert heard[-1]["after_s"] >= 0.03 - 0.03 / sustained.WINDOWS
    assert all(1 <= window["median_ms"] <= 2 for window in heard)
    assert {(w["temperature_c"], w["throttled"]) for w in heard} == {(61.0, "soft temperature limit")}


def test_a_slow_model_has_its_windows_alone() -> None:
    class FakeSlow(FakeBackend):
        def _timed(self) -> int:
            import time

            time.sleep(0.02)
            return super()._timed()

    told = sustained.sustain(FakeSlow(), b"", {}, 0.05, Sensors(Path("/nowhere")), lambda window: None)
    assert told["runs"] == len(told["windows"]) == 3


def test_it_is_valid_python_3_7_and_the_runner_travels_without_it() -> None:
    for path in closures.closure(Path(sustained.__file__)):
        ast.parse(path.read_text(), str(path), feature_version=(3, 7))
    with zipfile.ZipFile(io.BytesIO(runner_archive())) as archived:
        assert "foxnas/runner/sustained.py" not in archived.namelist()


@pytest.mark.parametrize("line", [b"", b"{}\n", b"[1]\n", b'{"lock": 1}\n'])
def test_a_question_that_is_none_is_answered(line: bytes, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
    assert sustained.main() == 0
    assert capsys.readouterr().out.strip().startswith('{"error": "')
