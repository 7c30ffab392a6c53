"""A full-scale rehearsal: 300 probes of the paper's CPU space at 224 px over SSH to this machine, in one go.

    python -m benchmarks.rehearsal

The server is a real sshd on loopback with keys of its own. Overhead is what the host costs beyond the time in
which the device loads, warms up and times models: wall time that passes meanwhile, and CPU time of the host's
process. Probes are not written while another is timed, because here both would share the machine, so none of
the host's work hides behind the device's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import measure_probes
from foxnas.device.ssh.stream import SshStream
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from foxnas.int8.probe import ProbeWriter
from foxnas.space.config import read_space
from tests.support.sshd import Sshd


class CountingTransport(SshTransport):
    """Over SSH, counting what is sent to runners."""

    sent_bytes = 0

    def start(self) -> SshStream:
        """Start one runner."""
        stream = super().start()
        send = stream.send

        def counted(data: bytes, timeout_s: float) -> None:
            self.sent_bytes += len(data)
            send(data, timeout_s)

        stream.send = counted  # type: ignore[method-assign]
        return stream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="cpu", help="a shipped space (default: cpu)")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--subnets", type=int, default=300)
    parser.add_argument("--runs", type=int, default=25, help="timed runs of each of two timings (default: 25)")
    options = parser.parse_args()
    space = read_space(options.space)
    writer, rng = ProbeWriter(space), np.random.default_rng(0)
    sample = space.sample(options.size, rng)
    archs = [next(sample) for _ in range(options.subnets)]
    protocol = MeasurementProtocol(min_runs=options.runs, xnnpack=False)
    with tempfile.TemporaryDirectory() as name:
        server = Sshd(Path(name) / "sshd", sys.executable).start()
        try:
            transport = CountingTransport(server.client(), "tflite")
            device = Device("rehearsal", transport, lock=f"rehearsal-{os.getpid()}", timeout_s=120)
            journal = Path(name) / "journal.jsonl"
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            table, _ = measure_probes(
                device,
                protocol,
                [(arch.id, arch.text, partial(writer.write, arch)) for arch in archs],
                writer.write(space.largest(space.image_sizes[0])),
                journal,
                rng,
            )
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
            transport.close()
            records = [json.loads(line) for line in journal.read_text().splitlines()]
        finally:
            server.kill()
    rows = [record["row"] for record in records if record["kind"] in ("probe", "reference")]
    device_s = sum(row["device_ms"] for row in rows) / 1000
    beyond_s, n = wall_s - device_s, len(table)
    print(f"{n} subnets of {space.name} at {options.size} px, {len(rows)} timings with the reference's")
    print(f"total {wall_s:.0f} s wall, of which the device's own {device_s:.0f} s")
    print(f"usable {table['usable'].sum()} of {n}, median latency {table['latency_ms'].median():.2f} ms")
    print(f"beyond the device: {1000 * beyond_s / n:.1f} ms wall a subnet ({beyond_s / device_s:.1%})")
    print(f"host CPU: {1000 * cpu_s / n:.1f} ms a subnet ({cpu_s / device_s:.1%})")
    print(
        f"sent: {transport.sent_bytes / len(rows) / 1000:.1f} kB a timing, {transport.sent_bytes / 1e6:.1f} MB in all"
    )
    print(f"model files would be {np.mean([len(writer.write(arch)) for arch in archs[:20]]) / 1e6:.2f} MB each")


if __name__ == "__main__":
    main()
