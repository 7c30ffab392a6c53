"""A device whose latencies, spread and interruptions a test scripts; and real settings for quick measurements."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device, Ending
from foxnas.runner.frames import FrameReader, encode_frame
from foxnas.runner.server import RUNNER_VERSION

MODEL = (Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes()
QUICK = MeasurementProtocol(
    warm_up_ms=0,
    min_runs=10,
    min_time_ms=0.5,
    repeats=1,
    reference_every=4,
    max_relative_mad=50,
    max_preempted=1,
    max_drift=50,
    max_disagreement=50,
)
ONCE = MeasurementProtocol(repeats=1, reference_every=5, max_attempts=3)


@dataclass
class FakeDeviceStream:
    """Answers as a runner does, with latencies that a test scripts; counts what it is asked."""

    latency_ms: Callable[[str, int], float]
    spread: Callable[[str], float]
    preempted: Callable[[str], float]
    cpu: str
    log: list[str]
    kernel: str = "6.1"
    governor: str | None = None
    machine: str | None = None
    frames: FrameReader = field(default_factory=FrameReader)
    answers: bytes = b""

    def send(self, data, timeout_s):
        self.frames.feed(data)
        while frame := self.frames.next_frame():
            self.answers += encode_frame(self.answer(*frame))

    def answer(self, header, body):
        if header["type"] == "hello":
            machine = {"cpu": self.cpu, "release": self.kernel, "machine": self.machine}
            versions = {"runner": RUNNER_VERSION, "backend": "tflite", "runtime": "fake", "runtime_version": "0"}
            return {"type": "hello", "machine": machine, "state": {"governor": self.governor}, **versions}
        if header["type"] != "measure":
            return {"type": header["type"]}
        latency = self.latency_ms(header["id"], len(self.log))
        self.log.append(header["id"])
        row = {
            "latency_ms": latency,
            "p10_ms": latency,
            "p90_ms": latency,
            "mad_ms": latency * self.spread(header["id"]),
        }
        return {
            "type": "result",
            "id": header["id"],
            "runs": 50,
            "preempted_percent": self.preempted(header["id"]),
            "fallback_operators": 0,
            "peak_memory_mb": 9.0,
            **row,
        }

    def receive(self, timeout_s):
        data, self.answers = self.answers, b""
        return data

    def stderr_tail(self):
        return ""

    def ending(self):
        return Ending(0)

    def close(self):
        pass


@dataclass
class FakeTransport:
    """Its clock is the number of timings so far."""

    latency_ms: Callable[[str, int], float] = lambda identifier, now: 1.0
    spread: Callable[[str], float] = lambda identifier: 0.01
    preempted: Callable[[str], float] = lambda identifier: 2.0
    cpu: str = "fake"
    log: list[str] = field(default_factory=list)
    kernel: str = "6.1"
    governor: str | None = None
    host: str = "nowhere"
    machine: str | None = None

    def start(self):
        return FakeDeviceStream(
            self.latency_ms,
            self.spread,
            self.preempted,
            self.cpu,
            self.log,
            self.kernel,
            self.governor,
            self.machine,
        )

    def close(self):
        pass


def probes(n, build=lambda: MODEL):
    return [(f"p{i:02d}", f"arch {i}", build) for i in range(n)]


def run(fake, protocol, journal, n=20, seed=0, sampled=(), **options):
    device = Device("bench", fake, sampled=sampled)
    return measure_probes(device, protocol, probes(n), b"reference", journal, np.random.default_rng(seed), **options)
