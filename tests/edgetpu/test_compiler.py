"""The road to an Edge TPU behind the check: failures of the compiler survived, nothing compiled twice.

The compiler and the stick cannot be had here: the process that runs is `tests/fake_edgetpu_compiler`.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from foxnas.device.acceptance import COLUMNS as LATENCY_COLUMNS
from foxnas.edgetpu.cache import CompileCache
from foxnas.edgetpu.columns import FIGURES
from foxnas.edgetpu.compiler import Compiler
from foxnas.edgetpu.log import Status
from foxnas.edgetpu.table import compile_models, described
from foxnas.edgetpu.timing import compiled_probes, latency_rows
from foxnas.errors import FoxnasError
from foxnas.int8.probe import ProbeWriter
from tests.support.edited_probe import PROBE, SPACE, Op, code_of, edited, set_code

FAKE = str(Path(__file__).resolve().parents[1] / "support" / "fake_edgetpu_compiler")


def test_a_model_is_compiled_and_read_back() -> None:
    compilation = Compiler(FAKE, 60, 14).compile(PROBE)
    assert compilation.report.status is Status.COMPILED
    assert compilation.report.operators == compilation.report.operators_edgetpu
    assert compilation.content == PROBE  # the fake's way of compiling


def test_what_stays_on_the_cpu_is_counted_by_operator_and_reason() -> None:
    report = Compiler(FAKE, 60, 14).compile(edited(lambda model: set_code(model, Op.ADD, Op.DEQUANTIZE))).report
    assert report.operators == (report.operators_edgetpu or 0) + (report.operators_cpu or 0)
    assert report.operators_cpu == sum(count for _, count, _ in report.unmapped) > 0
    assert "Operation is working on an unsupported data type" in {words for _, _, words in report.unmapped}


@pytest.mark.parametrize(
    ("failure", "status", "words", "calls"),
    [
        ("internal", Status.FAILED, "Internal compiler error", 3),
        ("crash", Status.FAILED, "killed by SIGABRT", 3),
        ("segfault", Status.FAILED, "killed by SIGSEGV", 3),
        ("large", Status.FAILED, "large activation tensors", 1),
        ("timeout", Status.TIMED_OUT, "time limit", 1),
        ("version", Status.FAILED, "Didn't find op", 1),
    ],
)
def test_every_failure_is_a_row_and_only_unexplained_ones_are_tried_again(
    failure: str, status: Status, words: str, calls: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAKE_EDGETPU_FAIL", failure)
    monkeypatch.setenv("FAKE_EDGETPU_CALLS", str(tmp_path / "calls"))
    report = Compiler(FAKE, 60, 14).compile(PROBE).report
    assert (report.status, words in report.reason) == (status, True), report.reason
    lines = (tmp_path / "calls").read_text().splitlines()
    assert len(lines) == calls
    assert "--min_runtime_version 14 --timeout_sec 60" in lines[0]


def test_a_compiler_that_hangs_is_stopped_with_its_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"  # the real one is a shell script that starts a child, too
    wrapper.write_text(f'#!/bin/sh\n{FAKE} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("FAKE_EDGETPU_FAIL", "hang")
    monkeypatch.setattr("foxnas.edgetpu.compiler._GRACE_S", 1)
    compiler = Compiler(str(wrapper), 1, 14)
    report = compiler.compile(PROBE).report
    assert report.status is Status.TIMED_OUT
    deadline = time.monotonic() + 10
    while (left := _running_with(b"FAKE_EDGETPU_FAIL=hang")) and time.monotonic() < deadline:
        time.sleep(0.05)  # a killed process takes a moment to go
    assert not left


def _running_with(setting: bytes) -> list[str]:
    others = (path for path in Path("/proc").glob("[0-9]*/environ") if path.parent.name != str(os.getpid()))
    return [path.parent.name for path in others if setting in _environment(path)]


def _environment(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_an_incompatible_model_never_reaches_the_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE_EDGETPU_CALLS", str(tmp_path / "calls"))
    newer = edited(lambda model: setattr(code_of(model, Op.CONV_2D), "version", 6))
    report = Compiler(FAKE, 60, 14).compile(newer).report
    assert report.status is Status.INCOMPATIBLE
    assert "CONV_2D" in report.reason
    assert not (tmp_path / "calls").exists()


def test_without_a_compiler_the_way_to_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FoxnasError, match="sudo apt-get install edgetpu-compiler"):
        Compiler("no-such-compiler", 60, 14).compile(PROBE)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(FoxnasError, match="x86-64 only and this host is aarch64"):
        Compiler("no-such-compiler", 60, 14).compile(PROBE)
    with pytest.raises(FoxnasError, match="is not the Edge TPU compiler"):
        Compiler("echo", 60, 14).compile(PROBE)


def test_what_does_not_run_here_says_what_it_is(tmp_path: Path) -> None:
    foreign = tmp_path / "edgetpu_compiler"
    foreign.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
    foreign.chmod(0o755)
    with pytest.raises(FoxnasError, match="cannot be started"):
        Compiler(str(foreign), 60, 14).compile(PROBE)


def test_a_model_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE_EDGETPU_CALLS", str(tmp_path / "calls"))
    cache, compiler = CompileCache(tmp_path / "cache"), Compiler(FAKE, 60, 14)
    key, first = cache.compile(PROBE, compiler)
    again, second = cache.compile(PROBE, Compiler(FAKE, 90, 14))
    assert (key, first) == (again, second)
    assert len((tmp_path / "calls").read_text().splitlines()) == 1
    assert cache.read(key) == PROBE
    assert cache.key(PROBE, Compiler(FAKE, 60, 13)) != key
    assert cache.key(PROBE[:-1], compiler) != key


def test_a_damaged_or_missing_file_is_compiled_anew(tmp_path: Path) -> None:
    cache, compiler = CompileCache(tmp_path), Compiler(FAKE, 60, 14)
    key, _ = cache.compile(PROBE, compiler)
    stored = next(tmp_path.rglob("*.xz"))
    stored.write_bytes(stored.read_bytes()[:-100])
    with pytest.raises(FoxnasError, match="delete the table"):
        cache.read(key)
    assert cache.compile(PROBE, compiler)[1].content == PROBE
    assert cache.read(key) == PROBE
    next(tmp_path.rglob("*.json")).write_text("{")
    assert cache.compile(PROBE, compiler)[1].content == PROBE


def test_a_timeout_is_believed_up_to_its_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache = CompileCache(tmp_path)
    monkeypatch.setenv("FAKE_EDGETPU_FAIL", "timeout")
    assert cache.compile(PROBE, Compiler(FAKE, 60, 14))[1].report.status is Status.TIMED_OUT
    monkeypatch.delenv("FAKE_EDGETPU_FAIL")
    assert cache.compile(PROBE, Compiler(FAKE, 60, 14))[1].report.status is Status.TIMED_OUT
    assert cache.compile(PROBE, Compiler(FAKE, 61, 14))[1].report.status is Status.COMPILED


def test_failures_keep_their_place_in_the_latency_table(tmp_path: Path) -> None:
    archs = [SPACE.smallest(16), SPACE.largest(16)]
    newer = edited(lambda model: setattr(code_of(model, Op.CONV_2D), "version", 6))
    models = [(archs[0].id, archs[0].text, lambda: newer), (archs[1].id, archs[1].text, lambda: PROBE)]
    compiled = compile_models(models, Compiler(FAKE, 60, 14), CompileCache(tmp_path))
    assert list(compiled["status"]) == ["incompatible", "compiled"]
    assert "1 of 2 models compiled; 1 incompatible: operator" in described(compiled)
    ((key, arch, read),) = compiled_probes(compiled, CompileCache(tmp_path))
    assert (arch, read()) == (archs[1].text, PROBE)
    row = {"id": key, "arch": arch, "latency_ms": 1.5, "attempts": 2, "usable": True, "reason": ""}
    timed = pd.DataFrame([dict.fromkeys(LATENCY_COLUMNS) | row], columns=list(LATENCY_COLUMNS))
    table = latency_rows(timed, compiled)
    assert list(table.columns) == [*LATENCY_COLUMNS, *FIGURES]
    assert list(table["id"]) == [arch.id for arch in archs]
    assert list(table["usable"]) == [False, True]
    assert "not compiled for the Edge TPU, incompatible" in table["reason"][0]
    assert pd.isna(table["latency_ms"][0])
    assert table["latency_ms"][1] == 1.5
    assert table["on_chip_used_bytes"][1] > 0


def test_a_model_beyond_the_on_chip_memory_shows(tmp_path: Path) -> None:
    wide = replace(SPACE, head_width=2048, classes=6000)
    arch = wide.smallest(16)
    models = [(arch.id, arch.text, lambda: ProbeWriter(wide).write(arch))]
    compiled = compile_models(models, Compiler(FAKE, 60, 14), CompileCache(tmp_path))
    assert compiled["model_bytes"][0] > 12e6
    assert compiled["streamed_bytes"][0] > 4e6
    assert "1 stream parameters from off chip" in described(compiled)
