"""The device's end of a conversation.

Host to device: ``hello`` (lock, holder, idle_s, threads, cpu, backend), ``measure`` (id, settings,
unpacked_bytes; body: the model, packed; it is never stored), ``open`` (settings; body: the model),
``predict`` (body: images for the model that is open), ``state``, ``bye``. Device to host: ``waiting`` (another holds
the lock), ``hello`` (the machine), ``result`` (a row, or an ``error``), ``opened`` (shapes and types, or an
``error``), ``outputs`` (body: raw outputs), ``state``, ``idle`` (the host was silent for idle_s), ``fatal``, ``bye``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from foxnas.runner.backend import Backend
from foxnas.runner.edgetpu import EdgeTpuBackend
from foxnas.runner.frames import FrameError, FrameReader, encode_frame
from foxnas.runner.lock import acquire_lock
from foxnas.runner.machine import machine_identity, pin
from foxnas.runner.packing import unpack
from foxnas.runner.predicting import Predictor
from foxnas.runner.pytorch import TorchBackend
from foxnas.runner.sensors import Sensors
from foxnas.runner.tflite import TfliteBackend
from foxnas.runner.timing import measure, timer_overhead_ns

RUNNER_VERSION = "2"
BACKENDS: dict[str, Callable[[], Backend]] = {"tflite": TfliteBackend, "edgetpu": EdgeTpuBackend, "torch": TorchBackend}


class Server:
    """One session over a pair of file descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink, self._reader = source, sink, FrameReader()
        self._backend: Any = None
        self._sensors = Sensors()
        self._lock: BinaryIO | None = None
        self._idle_s: float | None = None
        self._predictor: Predictor | None = None

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
            if not select.select([self._source], [], [], self._idle_s)[0]:
                # The way to the host may have died without a word; the next session must not wait for ours.
                self.send({"type": "idle"})
                return
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
        self._idle_s = asked.get("idle_s")
        self._lock = acquire_lock(asked["lock"], asked.get("holder", "someone"), self._announce)
        pin(asked["threads"], asked["cpu"])
        self._backend = BACKENDS[asked["backend"]]()
        gc.freeze()  # what is imported by now stays: collecting before each timing then costs nothing
        return {
            "type": "hello",
            "runner": RUNNER_VERSION,
            "backend": asked["backend"],
            "runtime": self._backend.runtime,
            "runtime_version": self._backend.version,
            "accelerator": self._backend.accelerator,
            "peak_memory_of": "probe" if self._backend.reset_peak_memory() else "session",
            "timer_overhead_ns": timer_overhead_ns(),
            "machine": machine_identity(),
            "state": self._state(),
        }

    def _state(self) -> dict[str, Any]:
        return dict(self._sensors.state(), **(self._backend.state() if self._backend else {}))

    def _open(self, model: bytes, threads: int, xnnpack: bool) -> dict[str, Any]:
        self._predictor = None
        try:
            self._predictor = Predictor(self._backend.open(model, threads, xnnpack))
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"[:500]}
        return self._predictor.description()

    def serve(self) -> None:
        for header, body in self.frames():
            if header["type"] == "hello":
                self.send(self.hello(header))
            elif header["type"] == "measure":
                answer = {"type": "result", "id": header["id"]}
                try:
                    model = unpack(body, header["unpacked_bytes"])
                    answer.update(measure(self._backend, model, header["settings"], self._sensors))
                except Exception as error:  # a bad model costs its own row, not the session
                    answer["error"] = f"{type(error).__name__}: {error}"[:500]
                self.send(answer)
            elif header["type"] == "open":
                self.send(dict(self._open(body, **header["settings"]), type="opened"))
            elif header["type"] == "predict" and self._predictor:
                self.send({"type": "outputs"}, self._predictor.answer(body))
            elif header["type"] == "state":
                self.send(dict(self._state(), type="state"))
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
