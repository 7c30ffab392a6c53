"""A rack of loopback boards: each a real OpenSSH server behind a proxy that breaks, and a real runner.

What the runner runs is fake (`tests/support/fake_litert`): a model is a number of milliseconds to sleep, times the
slowness of the board. So a board takes no CPU while it measures, and many find room on one machine.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from foxnas.device.config import SshConfig
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.rack import Board, Rack, RackDevice
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from tests.support.faults import FaultyProxy
from tests.support.sshd import Sshd

_LITERT = Path(__file__).parent / "fake_litert"

#: The models that boards are compared by.
PROBES = {"largest": b"60", "smallest": b"20", "random": b"40"}
REFERENCE = b"60"

#: One timing a probe: some sleeps, none of them too noisy.
SLEEPING = MeasurementProtocol(
    warm_up_runs=1, warm_up_ms=0, min_runs=4, min_time_ms=0, repeats=1, reference_every=20, max_relative_mad=0.5,
    max_preempted=1, max_disagreement=0.5,
)  # fmt: skip


class LoopbackBoard:
    """One board and the way to it."""

    def __init__(self, folder: Path, host: str, slowness: float, proxy: FaultyProxy, server: Sshd) -> None:
        self.host, self.proxy, self.server, self._slowness = host, proxy, server, folder / "slowness"
        self.set_slowness(slowness)
        server.set_prelude(f"export PYTHONPATH='{_LITERT}' FAKE_LITERT_SLOWNESS='{self._slowness}'")
        self.ssh: SshConfig = server.client(proxy.port, name=host)

    def set_slowness(self, slowness: float) -> None:
        """Make the board as many times as slow as its models say."""
        fresh = self._slowness.with_suffix(".new")
        fresh.write_text(str(slowness))
        fresh.replace(self._slowness)


@contextlib.contextmanager
def loopback_boards(folder: Path, slowness: Sequence[float]) -> Iterator[list[LoopbackBoard]]:
    """Start a board per slowness, named pi4-a, pi4-b and so on."""
    with contextlib.ExitStack() as stack:
        boards = []
        for letter, one in zip("abcdefgh", slowness, strict=False):
            server = Sshd(folder / letter, sys.executable).start()
            stack.callback(server.kill)
            proxy = stack.enter_context(FaultyProxy(server.port))
            boards.append(LoopbackBoard(folder / letter, f"pi4-{letter}", one, proxy, server))
        yield boards


def loopback_rack(folder: Path, boards: Sequence[SshConfig], **more: Any) -> RackDevice:
    """Return the device that they are, as a job of the workflow has it; each has a lock of its own on this machine."""
    made = []
    for ssh in boards:
        lock = f"{folder.name}-{ssh.host}"
        made.append(Board(ssh.host, Device("pi4", SshTransport(ssh, "tflite"), lock=lock, **more), lock))
    return RackDevice(**vars(made[0].device), rack=Rack(made, folder / "boards.jsonl", 0.1, lambda: PROBES))
