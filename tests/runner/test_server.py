"""The runner as a real process on this machine: what it is, what it times, what it refuses."""

import ast
import dataclasses
import io
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from foxnas.device.archive import archive, runner_archive
from foxnas.device.client import Runner
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device, DeviceLost
from foxnas.errors import FoxnasError
from foxnas.files import closures
from foxnas.int8.probe import ProbeWriter
from foxnas.runner import server
from foxnas.runner.backend import by_wall_clock
from foxnas.runner.timing import involuntary_switches, time_runs
from foxnas.space.config import read_space

# QUANTIZE, CONV_2D, CONV_2D, DEPTHWISE_CONV_2D, CONV_2D, ADD, MEAN, FULLY_CONNECTED, QUANTIZE; uint8 in and
# out, 16x16x1, written by TensorFlow 2.21's converter from an untrained Keras model.
MODEL = (Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes()
QUICK = MeasurementProtocol(
    warm_up_ms=0, min_runs=30, min_time_ms=1, repeats=1, max_relative_mad=50, max_preempted=1, max_drift=50
)


def test_the_runner_is_valid_python_3_7_and_needs_nothing_but_the_interpreter():
    foreign = set()
    for path in closures.closure(Path(server.__file__)):
        tree = ast.parse(path.read_text(), str(path), feature_version=(3, 7))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        foreign |= {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert foreign == {"foxnas", "numpy", "ai_edge_litert", "tflite_runtime", "pycoral", "torch"}


def test_the_archive_holds_the_runner_and_nothing_else():
    with zipfile.ZipFile(io.BytesIO(runner_archive())) as archived:
        names = archived.namelist()
    assert {n for n in names if not n.startswith("foxnas/runner/")} == {"__main__.py", "foxnas/__init__.py"}
    assert runner_archive() == archive.__wrapped__(Path(server.__file__))
    assert len(runner_archive()) < 100_000


def test_a_real_measurement_and_what_is_recorded_of_the_machine(here):
    with Runner(here, QUICK) as session:
        row = session.measure("tiny", MODEL)
        hello, state = session.hello, session.state()
    assert set(row) == {
        "latency_ms", "p10_ms", "p90_ms", "mad_ms", "runs", "preempted_percent", "fallback_operators", "peak_memory_mb",
        "batch", "dtype", "signedness", "io_dtype", "executor", "energy_mj", "clock_mhz", "temperature_c", "throttled",
        "device_ms",
    }  # fmt: skip
    assert [row[name] for name in ("batch", "dtype", "signedness", "io_dtype")] == [1, "int8", "signed", "uint8"]
    assert (row["executor"], row["fallback_operators"]) == ("xnnpack", 2)
    assert 0 < row["p10_ms"] <= row["latency_ms"] <= row["p90_ms"]
    assert row["runs"] >= 30
    assert row["peak_memory_mb"] > 10
    assert hello["runtime"] == "ai_edge_litert"
    assert hello["machine"]["architecture"] == os.uname().machine
    assert hello["machine"]["cores"] == os.cpu_count()
    assert state["affinity"] == [max(os.sched_getaffinity(0))]
    assert 0 < hello["timer_overhead_ns"] < 100_000


def test_operators_outside_the_delegate_are_counted(here):
    # XNNPACK leaves the two uint8 QUANTIZE of the ends to the runtime. An ADD whose output scale is out of
    # range against its inputs' (above 2^8) falls out of the delegate as well; nothing in the file shows it.
    model = schema.ModelT.InitFromPackedBuf(MODEL, 0)
    graph = model.subgraphs[0]
    codes = [model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators]
    add = graph.operators[codes.index(schema.BuiltinOperator.ADD)]
    graph.tensors[add.outputs[0]].quantization.scale = np.array([1e-6], np.float32)
    builder = Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    with Runner(here, QUICK) as session:
        assert session.measure("whole", MODEL)["fallback_operators"] == 2
        assert session.measure("split", bytes(builder.Output()))["fallback_operators"] == 3


@pytest.mark.parametrize("model", [b"", b"not a model", MODEL[: len(MODEL) // 2]], ids=["empty", "text", "cut"])
def test_a_bad_model_costs_its_own_row_only(here, model):
    with Runner(here, QUICK) as session:
        assert "Error" in session.measure("bad", model)["error"]
        assert session.measure("good", MODEL)["latency_ms"] > 0


def test_runs_stop_at_the_cap():
    durations = time_runs(by_wall_clock(lambda: time.sleep(0.01)), least=1000, floor_ms=0, cap_ms=30)
    assert 1 <= len(durations) <= 3


def test_a_pin_that_is_not_there_is_refused_with_what_there_is(here):
    with (
        pytest.raises(FoxnasError, match=r"start-up.*CPU 4096 on: only CPUs \[0"),
        Runner(here, MeasurementProtocol(cpu=4096)),
    ):
        pass


def test_a_python_without_the_runtime_says_so(here, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    bare.chmod(0o755)
    poor = Device("poor", LocalTransport(str(bare)), lock=here.lock)
    with (
        pytest.raises(FoxnasError, match=r"device poor.*neither ai-edge-litert nor tflite-runtime"),
        Runner(poor, QUICK),
    ):
        pass
    with pytest.raises(FoxnasError, match="cannot be started"):
        LocalTransport(str(tmp_path / "missing")).start()


def test_a_program_that_is_no_runner_is_reported_with_its_last_words(here, tmp_path):
    chatter = tmp_path / "python"
    chatter.write_text("#!/bin/sh\necho hello there\necho no such module >&2\nexit 3\n")
    chatter.chmod(0o755)
    with (
        pytest.raises(FoxnasError, match=r"exit status 3; its last words: hello there no such module"),
        Runner(Device("odd", LocalTransport(str(chatter)), lock=here.lock), QUICK),
    ):
        pass


def test_a_silent_runner_is_given_up(here, tmp_path):
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    with (
        pytest.raises(DeviceLost, match="silent for 0 s"),
        Runner(Device("mute", LocalTransport(str(silent)), lock=here.lock, timeout_s=0.2), QUICK),
    ):
        pass


def test_a_process_that_shares_its_cpu_notices():
    # A busy neighbour on the same CPU: the scheduler must take the CPU from us within 0.3 s.
    cpu = max(os.sched_getaffinity(0))
    neighbour = subprocess.Popen(["taskset", "-c", str(cpu), sys.executable, "-c", "while True: pass"])
    before, allowed = involuntary_switches(), os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {cpu})
        time_runs(by_wall_clock(lambda: sum(range(1000))), least=1, floor_ms=300, cap_ms=1000)
    finally:
        os.sched_setaffinity(0, allowed)
        neighbour.kill()
        neighbour.wait()
    assert involuntary_switches() > before


def test_the_runner_keeps_no_model(here):
    space = read_space("cpu")
    model = ProbeWriter(space).write(space.largest(128))
    protocol = dataclasses.replace(QUICK, min_runs=1, warm_up_runs=1, xnnpack=False)
    with Runner(here, protocol) as session:
        peaks = [session.measure(f"probe{i}", model)["peak_memory_mb"] for i in range(16)]
    # The allocator settles within a few; from then on no further model stays.
    assert max(peaks[8:]) - max(peaks[:8]) < len(model) / 2**20
    assert session.hello["peak_memory_of"] == "probe"
