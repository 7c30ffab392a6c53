"""Times int8 TFLite models on the machine it runs on. One file that a device can run as it is.

Needs Python 3.7, numpy, and ``ai_edge_litert`` or ``tflite_runtime``; nothing of the rest of this
package, because the file alone is sent to a device. It is started with stdin and stdout connected to
the host and speaks frames:

    foxnas <crc32, 8 hex digits> <header: one JSON object with "type" and "size">\n<size raw bytes>

Host to device: ``hello`` (lock, threads, cpu, backend), ``measure`` (id, settings; body: the model),
``state``, ``bye``. Device to host: ``waiting`` (another holds the lock), ``hello`` (the machine),
``result`` (a row, or an ``error``), ``state``, ``fatal``, ``bye``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import hashlib
import json
import os
import platform
import re
import resource
import select
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

RUNNER_VERSION = "1"
MAX_HEADER_BYTES = 1 << 20
MAX_BODY_BYTES = 1 << 30
_MAGIC = b"foxnas "


class FrameError(Exception):
    """What came over the stream is not a frame."""


# ------------------------------------------------------------------------------------------- frames


def encode_frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return one frame. The checksum covers header and body."""
    text = json.dumps(dict(header, size=len(body)), allow_nan=False).encode()
    return b"".join([_MAGIC, b"%08x " % zlib.crc32(body, zlib.crc32(text)), text, b"\n", body])


class FrameReader:
    """Cuts frames out of a stream of bytes that arrives in pieces.

    Until the first frame, lines that are none are kept in `noise` and passed over: a login shell may
    print a greeting. After it, they are an error, since no one can say what was lost.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._begun = False
        self.noise = b""

    def feed(self, data: bytes) -> None:
        self._pending += data

    @property
    def torn(self) -> bool:
        """Whether the stream, if it ended now, would end inside a frame."""
        return bool(self._pending)

    def next_frame(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the next whole frame, None if it has not arrived yet. Raises FrameError."""
        while True:
            end = self._pending.find(b"\n", 0, MAX_HEADER_BYTES)
            if end < 0:
                if len(self._pending) >= MAX_HEADER_BYTES:
                    raise FrameError(f"a line of more than {MAX_HEADER_BYTES} bytes")
                return None
            line = bytes(self._pending[:end])
            if self._begun or line.startswith(_MAGIC):
                break
            self.noise = (self.noise + line + b"\n")[-4096:]
            del self._pending[: end + 1]
        header, checksum, text = self._parse(line)
        size = header["size"]
        if len(self._pending) < end + 1 + size:
            return None
        body = bytes(self._pending[end + 1 : end + 1 + size])
        if zlib.crc32(body, zlib.crc32(text)) != checksum:
            raise FrameError(f"a frame with a wrong checksum, {line[:80]!r}")
        del self._pending[: end + 1 + size]
        self._begun = True
        return header, body

    @staticmethod
    def _parse(line: bytes) -> tuple[dict[str, Any], int, bytes]:
        try:
            magic, checksum, text = line.split(b" ", 2)
            header = json.loads(text)
            if magic + b" " != _MAGIC or not isinstance(header["type"], str):
                raise ValueError
            if type(header["size"]) is not int or not 0 <= header["size"] <= MAX_BODY_BYTES:
                raise ValueError
            return header, int(checksum, 16), text
        except (ValueError, KeyError, TypeError):
            raise FrameError(f"a line that is no frame, {line[:80]!r}") from None


# ---------------------------------------------------------------------------------------- the machine


def _text_of(path: str) -> str | None:
    try:
        return Path(path).read_text().replace("\0", "").strip()
    except (OSError, ValueError):
        return None


def _from_proc(path: str, key: str) -> str | None:
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.+)$", _text_of(path) or "", re.MULTILINE)
    return found.group(1).strip() if found else None


def machine_identity() -> dict[str, Any]:
    """Return what stays the same from boot to boot: system, CPU, memory, and a hash that tells twins apart."""
    cpu = _from_proc("/proc/cpuinfo", "model name") or _from_proc("/proc/cpuinfo", "Model")
    memory_kb = (_from_proc("/proc/meminfo", "MemTotal") or "0 kB").split()[0]
    machine_id = _text_of("/etc/machine-id")
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "board": _text_of("/proc/device-tree/model"),
        "cpu": cpu or platform.processor() or None,
        "cores": os.cpu_count(),
        "memory_mb": int(memory_kb) // 1024 or None,
        "machine": hashlib.sha256(b"foxnas" + machine_id.encode()).hexdigest()[:12] if machine_id else None,
        "python": platform.python_version(),
    }


def machine_state() -> dict[str, Any]:
    """Return what changes while one measures: governor, clock, temperatures, load; None where unknown."""
    cpu = sorted(allowed_cpus() or [0])[0]
    frequency = f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/"
    clock_khz = _text_of(frequency + "scaling_cur_freq")
    clock_mhz = _from_proc("/proc/cpuinfo", "cpu MHz")
    temperatures = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*")):
        value = _text_of(str(zone / "temp"))
        if value and re.match(r"-?\d+$", value):
            temperatures[f"{zone.name} {_text_of(str(zone / 'type'))}"] = int(value) / 1000.0
    return {
        "governor": _text_of(frequency + "scaling_governor"),
        "clock_mhz": float(clock_khz) / 1000 if clock_khz else float(clock_mhz) if clock_mhz else None,
        "temperatures_c": temperatures,
        "load": os.getloadavg()[0],
        "affinity": allowed_cpus(),
    }


def allowed_cpus() -> list[int] | None:
    """Return the CPUs this process may use, None where the system does not say."""
    get = getattr(os, "sched_getaffinity", None)
    return sorted(get(0)) if get else None


def pin(threads: int, cpu: int | None) -> None:
    """Keep this process on `threads` CPUs: from `cpu` on, or the last ones, which serve fewest interrupts."""
    allowed = allowed_cpus()
    if allowed is None:
        if cpu is not None:
            raise ValueError("this system cannot pin a process to a CPU: leave `cpu` empty")
        return
    chosen = set(allowed[-threads:] if cpu is None else range(cpu, cpu + threads))
    if len(chosen) < threads or not chosen <= set(allowed):
        raise ValueError(f"{threads} thread(s) from CPU {cpu} on: only CPUs {allowed} are allowed here")
    os.sched_setaffinity(0, chosen)


def lock_path(name: str) -> Path:
    """Return the lock's file: in /tmp whatever TMPDIR says, since two jobs may well have different ones."""
    folder = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    return folder / f"foxnas-{re.sub('[^A-Za-z0-9_.-]', '_', name)}.lock"


def acquire_lock(name: str, waiting: Callable[[str], None]) -> BinaryIO:
    """Return a file that holds the machine's lock until this process ends, by whatever death.

    `waiting` is called with the holder's note at once and then every two seconds.
    """
    path = lock_path(name)
    while True:
        try:  # without O_CREAT first: the kernel may refuse that for another user's file in a sticky folder
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
                path.chmod(0o666)  # whatever the umask: other users must be able to wait for it
            continue
        file = os.fdopen(handle, "r+b", buffering=0)
        announced = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            if time.monotonic() - announced > 2:
                announced = time.monotonic()
                waiting(os.pread(file.fileno(), 200, 0).decode("utf-8", "replace").strip())
            time.sleep(0.1)
        with contextlib.suppress(OSError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                file.truncate(0)
                note = f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
                os.pwrite(file.fileno(), note.encode(), 0)
                return file
        file.close()  # someone removed the file while we waited: what we hold is not what others will see


# ----------------------------------------------------------------------------------------- the runtime


class TfliteBackend:
    """LiteRT or tflite-runtime, whichever is installed, with or without its XNNPACK delegate."""

    def __init__(self) -> None:
        try:
            import ai_edge_litert as package
            from ai_edge_litert import interpreter
        except ImportError:
            try:
                import tflite_runtime as package
                from tflite_runtime import interpreter
            except ImportError:
                raise RuntimeError("neither ai-edge-litert nor tflite-runtime is installed in this Python") from None
        self._module = interpreter
        self.runtime = package.__name__
        self.version = str(getattr(package, "__version__", "unknown"))

    def load(self, model: bytes, threads: int, xnnpack: bool, seed: int) -> tuple[Callable[[], None], int | None]:
        """Return what runs one inference, and the number of operators outside the delegate."""
        import numpy as np

        interpreter = open_interpreter(self._module, model, threads, xnnpack)
        random = np.random.RandomState(seed)
        for tensor in interpreter.get_input_details():
            dtype, shape = np.dtype(tensor["dtype"]), tuple(tensor["shape"])
            if dtype.kind in "iu":
                limits = np.iinfo(dtype)
                value = random.randint(limits.min, int(limits.max) + 1, size=shape, dtype=dtype)
            else:
                value = random.random_sample(shape).astype(dtype)
            interpreter.set_tensor(tensor["index"], value)
        return interpreter.invoke, fallback_operators(interpreter)


BACKENDS = {"tflite": TfliteBackend}


def open_interpreter(module: Any, model: bytes, threads: int, xnnpack: bool) -> Any:
    """Return an allocated interpreter of a runtime's `interpreter` module.

    Without the XNNPACK delegate the runtime's own optimised kernels run every operator.
    """
    kernels = module.OpResolverType
    interpreter = module.Interpreter(
        model_content=model,
        num_threads=threads,
        experimental_op_resolver_type=kernels.AUTO if xnnpack else kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter


def fallback_operators(interpreter: Any) -> int | None:
    """Return how many operators run outside a delegate, None if this runtime does not tell.

    A delegate's node is appended to the graph's and takes over the tensors it writes, so the last node
    that writes a tensor is the one that runs. Walking back from the outputs meets what is executed,
    and nothing that a delegate has swallowed.
    """
    try:
        nodes = interpreter._get_ops_details()
    except AttributeError:
        return None
    writers = {tensor: node for node in nodes for tensor in node["outputs"] if tensor >= 0}
    wanted = [tensor["index"] for tensor in interpreter.get_output_details()]
    seen: set[int] = set()
    outside = 0
    while wanted:
        node = writers.get(wanted.pop())
        if node is None or node["index"] in seen:
            continue
        seen.add(node["index"])
        name = node["op_name"].lower()
        outside += not ("delegate" in name or name == "edgetpu-custom-op")
        wanted.extend(node["inputs"])
    return outside


# ------------------------------------------------------------------------------------------ measuring


def time_runs(invoke: Callable[[], None], least: int, floor_ms: float, cap_ms: float) -> list[int]:
    """Return durations in ns of `invoke` alone: at least so many, for at least so long, never past the cap."""
    clock = time.perf_counter_ns
    durations: list[int] = []
    begin = clock()
    while True:
        start = clock()
        invoke()
        end = clock()
        durations.append(end - start)
        spent_ms = (end - begin) / 1e6
        if spent_ms >= cap_ms or (len(durations) >= least and spent_ms >= floor_ms):
            return durations


def involuntary_switches() -> int:
    """Return how often the system has taken the CPU from this process in favour of another."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def reset_peak_memory() -> None:
    """Begin a new high-water mark where Linux allows it; elsewhere the mark is the process's own."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float | None:
    """Return the most memory this process has held since `reset_peak_memory`, in MiB."""
    peak = _from_proc("/proc/self/status", "VmHWM")
    if peak:
        return int(peak.split()[0]) / 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024.0 * (1024 if sys.platform == "darwin" else 1))


def measure(backend: Any, model: bytes, settings: dict[str, Any]) -> dict[str, Any]:
    """Return one row: load, warm up, time. Times in ms."""
    import numpy as np

    reset_peak_memory()
    invoke, outside = backend.load(model, settings["threads"], settings["xnnpack"], settings["seed"])
    cap_ms = settings["max_time_ms"]
    time_runs(invoke, settings["warm_up_runs"], settings["warm_up_ms"], cap_ms)
    gc.collect()
    gc.disable()
    preempted = -involuntary_switches()
    try:
        runs = np.array(time_runs(invoke, settings["min_runs"], settings["min_time_ms"], cap_ms)) / 1e6
    finally:
        gc.enable()
    preempted += involuntary_switches()
    low, median, high = np.percentile(runs, [10, 50, 90])
    return {
        "latency_ms": float(median),
        "p10_ms": float(low),
        "p90_ms": float(high),
        "mad_ms": float(np.median(np.abs(runs - median))),
        "runs": len(runs),
        "preempted_percent": min(100.0 * preempted / len(runs), 100.0),
        "fallback_operators": outside,
        "peak_memory_mb": peak_memory_mb(),
    }


def timer_overhead_ns() -> int:
    """Return the median duration in ns that is reported for doing nothing."""
    return sorted(time_runs(lambda: None, 1001, 0, 1000))[500]


# ------------------------------------------------------------------------------------------- serving


class Server:
    """One session over a pair of file descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink, self._reader = source, sink, FrameReader()
        self._backend: Any = None
        self._lock: BinaryIO | None = None

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        view = memoryview(encode_frame(header, body))
        while view:
            view = view[os.write(self._sink, view) :]

    def frames(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        while True:
            frame = self._reader.next_frame()
            if frame is not None:
                yield frame
                continue
            data = os.read(self._source, 1 << 20)
            if not data:
                return
            self._reader.feed(data)

    def _announce(self, holder: str) -> None:
        # The host sends nothing before our hello, so anything readable now is its end.
        if select.select([self._source], [], [], 0)[0]:
            raise SystemExit(0)
        self.send({"type": "waiting", "holder": holder})

    def hello(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._lock = acquire_lock(asked["lock"], self._announce)
        pin(asked["threads"], asked["cpu"])
        self._backend = BACKENDS[asked["backend"]]()
        gc.freeze()  # what is imported by now stays: collecting before each timing then costs nothing
        return {
            "type": "hello",
            "runner": RUNNER_VERSION,
            "backend": asked["backend"],
            "runtime": self._backend.runtime,
            "runtime_version": self._backend.version,
            "timer_overhead_ns": timer_overhead_ns(),
            "machine": machine_identity(),
            "state": machine_state(),
        }

    def serve(self) -> None:
        for header, body in self.frames():
            if header["type"] == "hello":
                self.send(self.hello(header))
            elif header["type"] == "measure":
                answer = {"type": "result", "id": header["id"]}
                try:
                    answer.update(measure(self._backend, body, header["settings"]))
                except Exception as error:  # a bad model costs its own row, not the session
                    answer["error"] = f"{type(error).__name__}: {error}"[:500]
                self.send(answer)
            elif header["type"] == "state":
                self.send(dict(machine_state(), type="state"))
            elif header["type"] == "bye":
                self.send({"type": "bye"})
                return
            else:
                raise FrameError(f"a frame of unknown type {header['type']!r}")


def main() -> int:
    # The runtime prints to stdout when it pleases: keep the stream for ourselves and send the rest to stderr.
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    server = Server(source, sink)
    try:
        server.serve()
    except BrokenPipeError:
        return 1
    except Exception as error:
        with contextlib.suppress(OSError):
            server.send({"type": "fatal", "error": f"{type(error).__name__}: {error}"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
