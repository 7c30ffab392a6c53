"""The runner as a real process on this machine, and its frames."""

import ast
import dataclasses
import getpass
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from foxnas import code
from foxnas.config.space import read_space, shipped_spaces
from foxnas.devices.archive import archive, runner_archive
from foxnas.devices.client import Runner
from foxnas.devices.local import LocalTransport
from foxnas.devices.protocol import MeasurementProtocol
from foxnas.devices.runner import server
from foxnas.devices.runner.backend import by_wall_clock
from foxnas.devices.runner.frames import FrameError, FrameReader, encode_frame
from foxnas.devices.runner.lock import acquire_lock, lock_path
from foxnas.devices.runner.packing import pack, unpack
from foxnas.devices.runner.timing import involuntary_switches, time_runs
from foxnas.devices.transport import Device, DeviceLost
from foxnas.errors import FoxnasError
from foxnas.tflite.probe import ProbeWriter

# QUANTIZE, CONV_2D, CONV_2D, DEPTHWISE_CONV_2D, CONV_2D, ADD, MEAN, FULLY_CONNECTED, QUANTIZE; uint8 in and
# out, 16x16x1, written by TensorFlow 2.21's converter from an untrained Keras model.
MODEL = (Path(__file__).parent / "data" / "tiny_int8.tflite").read_bytes()
QUICK = MeasurementProtocol(
    warm_up_ms=0, min_runs=30, min_time_ms=1, repeats=1, max_relative_mad=50, max_preempted=2, max_drift=50
)


@pytest.fixture
def device():
    """This machine under a lock of its own, so that tests and real measurements do not wait for each other."""
    name = f"test-{uuid.uuid4().hex}"
    yield Device("bench", LocalTransport(), lock=name, timeout_s=20)
    lock_path(name).unlink(missing_ok=True)


def test_the_runner_is_valid_python_3_7_and_needs_nothing_but_the_interpreter():
    foreign = set()
    for path in code.closure(Path(server.__file__)):
        tree = ast.parse(path.read_text(), str(path), feature_version=(3, 7))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        foreign |= {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert foreign == {"foxnas", "numpy", "ai_edge_litert", "tflite_runtime", "pycoral", "torch"}


def test_the_archive_holds_the_runner_and_nothing_else():
    with zipfile.ZipFile(io.BytesIO(runner_archive())) as archived:
        names = archived.namelist()
    assert {n for n in names if not n.startswith("foxnas/devices/runner/")} == {
        "__main__.py", "foxnas/__init__.py", "foxnas/devices/__init__.py",
    }  # fmt: skip
    assert runner_archive() == archive.__wrapped__(Path(server.__file__))
    assert len(runner_archive()) < 100_000


def test_frames_survive_any_cutting():
    rng = np.random.default_rng(0)
    sent = [({"type": "a", "n": i, "text": "line\nbreak"}, rng.bytes(int(rng.integers(0, 300)))) for i in range(50)]
    stream = b"".join(encode_frame(header, body) for header, body in sent)
    reader, got, position = FrameReader(), [], 0
    while position < len(stream):
        step = int(rng.integers(1, 40))
        reader.feed(stream[position : position + step])
        position += step
        while frame := reader.next_frame():
            got.append(frame)
    assert [({k: v for k, v in h.items() if k != "size"}, b) for h, b in got] == sent
    assert not reader.torn


def test_a_greeting_before_the_first_frame_is_passed_over_and_kept_as_noise():
    reader = FrameReader()
    reader.feed(b"Welcome to raspberrypi\nLast login: today\n" + encode_frame({"type": "hello"}))
    assert reader.next_frame() == ({"type": "hello", "size": 0}, b"")
    assert b"Last login" in reader.noise


@pytest.mark.parametrize(
    "garbage",
    [
        b"WARNING: something printed\n",
        b'{"type": "result", "size": 0}\n',
        b'foxnas zzzzzzzz {"type": "result", "size": 0}\n',
        b'foxnas 00000000 {"type": "result", "size": -1}\n',
        b'foxnas 00000000 {"type": "result", "size": 0}\n',
        b"foxnas 00000000 []\n",
        b"\xff\xfe\x00" * (1 << 19),
    ],
)
def test_garbage_between_frames_is_an_error(garbage):
    reader = FrameReader()
    reader.feed(encode_frame({"type": "hello"}))
    reader.next_frame()
    reader.feed(garbage)
    with pytest.raises(FrameError):
        reader.next_frame()


def test_no_flipped_bit_goes_unnoticed():
    frame = encode_frame({"type": "result", "latency_ms": 1.25}, b"body")
    hello = encode_frame({"type": "hello"})
    for place in range(len(frame)):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[place] ^= 1 << bit
            reader = FrameReader()
            reader.feed(hello)
            reader.next_frame()
            reader.feed(bytes(damaged))
            try:
                got = reader.next_frame()
            except FrameError:
                continue
            # Not an error yet: a frame that waits for more (its newline or size was hit), or an equal value
            # (the case of a checksum's hexadecimal digit).
            assert got is None or got[0]["latency_ms"] == 1.25, (place, bit)


def test_a_real_measurement_and_what_is_recorded_of_the_machine(device):
    with Runner(device, QUICK) as session:
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


def test_operators_outside_the_delegate_are_counted(device):
    # XNNPACK leaves the two uint8 QUANTIZE of the ends to the runtime. An ADD whose output scale is out of
    # range against its inputs' (above 2^8) falls out of the delegate as well; nothing in the file shows it.
    model = schema.ModelT.InitFromPackedBuf(MODEL, 0)
    graph = model.subgraphs[0]
    codes = [model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators]
    add = graph.operators[codes.index(schema.BuiltinOperator.ADD)]
    graph.tensors[add.outputs[0]].quantization.scale = np.array([1e-6], np.float32)
    builder = Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    with Runner(device, QUICK) as session:
        assert session.measure("whole", MODEL)["fallback_operators"] == 2
        assert session.measure("split", bytes(builder.Output()))["fallback_operators"] == 3


@pytest.mark.parametrize("model", [b"", b"not a model", MODEL[: len(MODEL) // 2]], ids=["empty", "text", "cut"])
def test_a_bad_model_costs_its_own_row_only(device, model):
    with Runner(device, QUICK) as session:
        assert "Error" in session.measure("bad", model)["error"]
        assert session.measure("good", MODEL)["latency_ms"] > 0


def test_runs_stop_at_the_cap():
    durations = time_runs(by_wall_clock(lambda: time.sleep(0.01)), least=1000, floor_ms=0, cap_ms=30)
    assert 1 <= len(durations) <= 3


def test_a_pin_that_is_not_there_is_refused_with_what_there_is(device):
    with (
        pytest.raises(FoxnasError, match=r"start-up.*CPU 4096 on: only CPUs \[0"),
        Runner(device, MeasurementProtocol(cpu=4096)),
    ):
        pass


def test_a_python_without_the_runtime_says_so(device, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    bare.chmod(0o755)
    poor = Device("poor", LocalTransport(str(bare)), lock=device.lock)
    with (
        pytest.raises(FoxnasError, match=r"device poor.*neither ai-edge-litert nor tflite-runtime"),
        Runner(poor, QUICK),
    ):
        pass
    with pytest.raises(FoxnasError, match="cannot be started"):
        LocalTransport(str(tmp_path / "missing")).start()


def test_a_program_that_is_no_runner_is_reported_with_its_last_words(device, tmp_path):
    chatter = tmp_path / "python"
    chatter.write_text("#!/bin/sh\necho hello there\necho no such module >&2\nexit 3\n")
    chatter.chmod(0o755)
    with (
        pytest.raises(FoxnasError, match=r"exit status 3; its last words: hello there no such module"),
        Runner(Device("odd", LocalTransport(str(chatter)), lock=device.lock), QUICK),
    ):
        pass


def test_a_silent_runner_is_given_up(device, tmp_path):
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    with (
        pytest.raises(DeviceLost, match="silent for 0 s"),
        Runner(Device("mute", LocalTransport(str(silent)), lock=device.lock, timeout_s=0.2), QUICK),
    ):
        pass


def test_two_sessions_never_measure_at_once(device, caplog):
    caplog.set_level("INFO")
    first = device.transport.start()
    ask = {"type": "hello", "lock": device.lock, "threads": 1, "cpu": None, "backend": "tflite"}
    first.send(encode_frame(ask), 5)
    assert b'"hello"' in first.receive(20)
    second = device.transport.start()
    second.send(encode_frame(ask), 5)
    said = second.receive(20)
    assert b'"waiting"' in said
    assert f"process {first.pid} since".encode() in said
    os.kill(first.pid, signal.SIGKILL)  # the lock dies with its holder, however it dies
    while b'"hello"' not in said:
        said += second.receive(20)
    with (
        pytest.raises(DeviceLost, match="silent"),
        Runner(Device("bench", LocalTransport(), lock=device.lock, timeout_s=0), QUICK),
    ):
        pass
    second.close()
    first.close()
    with Runner(device, QUICK) as session:
        assert session.hello["backend"] == "tflite"


def test_waiting_for_another_says_whom_and_has_an_end(device, caplog):
    caplog.set_level("INFO")
    impatient = dataclasses.replace(device, busy_s=1)
    with Runner(device, QUICK):
        me = rf"{getpass.getuser()} on {re.escape(socket.gethostname())}, process \d+ since 20\d\d-"
        with (
            pytest.raises(FoxnasError, match=rf"another session still measures there after 0 minutes: {me}"),
            Runner(impatient, QUICK),
        ):
            pass
    assert re.search(rf"waiting, another session measures there: {me}.*; giving up after 0 minutes more", caplog.text)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_the_lock_is_one_for_all_users(device):
    """Whoever made the file, and whatever his umask, the other waits for him and has it after him."""
    for owner, waiter in ((0, 65534), (65534, 0)):
        lock_path(device.lock).unlink(missing_ok=True)
        (held, tell), (told, release) = os.pipe(), os.pipe()

        def hold(owner=owner, tell=tell, told=told):
            os.umask(0o077)
            os.setuid(owner)
            kept = acquire_lock(device.lock, "owner", print)
            os.write(tell, b"x")
            os.read(told, 1)
            kept.close()

        def wait(waiter=waiter, release=release):
            notes = []
            os.setuid(waiter)
            acquire_lock(device.lock, "waiter", lambda note: (notes.append(note), os.write(release, b"x")))
            assert notes[0].startswith("owner, process ")

        holder = forked(hold)
        os.read(held, 1)
        assert os.waitpid(forked(wait), 0)[1] == os.waitpid(holder, 0)[1] == 0


def forked(work):
    """Start `work` in a child, which ends with status 0 if it returns."""
    if child := os.fork():
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def test_a_planted_link_is_no_lock(device, tmp_path):
    (tmp_path / "precious").write_text("text")
    lock_path(device.lock).symlink_to(tmp_path / "precious")
    with (
        pytest.raises(FoxnasError, match=r"is a symbolic link, which no lock of ours is: remove it"),
        Runner(device, QUICK),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "text"


def test_a_runner_whose_host_went_silent_frees_the_lock(device):
    """The way to the host may die without a word: nobody closes the runner's stdin, and it ends all the same."""
    ask = {"type": "hello", "lock": device.lock, "idle_s": 0.3, "threads": 1, "cpu": None, "backend": "tflite"}
    stream = device.transport.start()
    stream.send(encode_frame(ask), 5)
    said = b""
    while data := stream.receive(20):
        said += data
    assert b'"hello"' in said
    assert b'"idle"' in said
    assert stream.ending().status == 0
    stream.close()


def test_a_waiting_or_idle_runner_ends_with_its_host(device, tmp_path):
    script = tmp_path / "runner.pyz"
    script.write_bytes(runner_archive())
    ask = encode_frame({"type": "hello", "lock": device.lock, "threads": 1, "cpu": None, "backend": "tflite"})
    holder, waiter = (
        subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    )
    for process, word in ((holder, b"hello"), (waiter, b"waiting")):
        process.stdin.write(ask)
        process.stdin.flush()
        assert re.search(rb'"type": "%s"' % word, process.stdout.readline())
    for process in (waiter, holder):
        process.stdin.close()
        assert process.wait(timeout=10) == 0
        process.stdout.close()


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


@pytest.mark.parametrize("name", [name for name in shipped_spaces() if name != "mini"])
def test_a_full_scale_probe_is_at_most_100_kilobytes_on_the_wire(name):
    space = read_space(name)
    writer, rng = ProbeWriter(space), np.random.default_rng(0)
    archs = [space.largest(224), space.smallest(224), space.draw(224, rng)]
    sent = []

    class CountingStream:
        """Sends nothing anywhere."""

        def send(self, data, timeout_s):
            sent.append(len(data))
            raise TimeoutError

        def stderr_tail(self):
            return ""

    session = Runner(Device("bench", LocalTransport()), QUICK)
    session._stream = CountingStream()
    for arch in archs:
        with pytest.raises(DeviceLost):
            session.measure(arch.id, writer.write(arch))
    assert len(writer.write(archs[0])) > 5_000_000
    assert max(sent) < 60_000


def test_the_runner_keeps_no_model(device):
    space = read_space("cpu")
    model = ProbeWriter(space).write(space.largest(128))
    protocol = dataclasses.replace(QUICK, min_runs=1, warm_up_runs=1, xnnpack=False)
    with Runner(device, protocol) as session:
        peaks = [session.measure(f"probe{i}", model)["peak_memory_mb"] for i in range(16)]
    # The allocator settles within a few; from then on no further model stays.
    assert max(peaks[8:]) - max(peaks[:8]) < len(model) / 2**20
    assert session.hello["peak_memory_of"] == "probe"


@pytest.mark.parametrize(
    ("body", "size", "message"),
    [
        (b"junk", 4, "arrived damaged"),
        (zlib.compress(b"junk"), 4, "arrived damaged"),
        (pack(b"x" * 100), 99, "not of the size"),
        (pack(b"x" * 100), 101, "not of the size"),
        (pack(bytes(1 << 20))[:-5], 1 << 20, "not of the size"),
        (zlib.compress(bytes(1 << 20)), 100, "not of the size"),
    ],
    ids=["junk", "junk inside", "longer", "shorter", "cut", "bomb"],
)
def test_a_model_that_is_not_what_was_announced_is_refused(body, size, message):
    for model in (MODEL, b"", np.random.default_rng(0).bytes(1 << 20)):
        assert unpack(pack(model), len(model)) == model
    with pytest.raises(ValueError, match=message):
        unpack(body, size)
