"""A rack of fake boards: each is as fast as a test says, and is cut off, stays away or comes back when told to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foxnas.device.rack import Board, Rack, RackDevice
from foxnas.device.transport import Device, DeviceLost, Ending
from tests.support.fake_device import FakeDeviceStream, FakeTransport


@dataclass
class FakeBoardStream(FakeDeviceStream):
    """The same, until its board is cut off."""

    board: Any = None

    def receive(self, timeout_s: float) -> bytes:
        if self.board.cut or self.board.away:
            self.board.cut = False
            raise DeviceLost("the connection was cut")
        return super().receive(timeout_s)

    def ending(self) -> Ending:
        return Ending(None)


@dataclass
class FakeBoard(FakeTransport):
    """The way to one board; `slowness` multiplies its latencies."""

    slowness: float = 1.0
    away: bool = False
    cut: bool = False

    def start(self) -> FakeBoardStream:
        if self.away:
            raise DeviceLost(f"{self.host}: cannot be reached")
        return FakeBoardStream(
            lambda identifier, now: self.slowness * self.latency_ms(identifier, now), self.spread, self.preempted,
            self.cpu, self.log, self.kernel, self.governor, self.machine, board=self,
        )  # fmt: skip


def fake_rack(record: Path, boards: Sequence[FakeBoard], max_difference: float = 0.1, **more: Any) -> RackDevice:
    """Return the boards as one device named pi4; their hosts are pi4-a, pi4-b and so on, each a machine of its own."""
    made = []
    for letter, fake in zip("abcdefgh", boards, strict=False):
        fake.host, fake.machine = f"pi4-{letter}", fake.machine or letter
        made.append(Board(fake.host, Device("pi4", fake, **more), f"test-{uuid.uuid4().hex[:12]}"))
    probes = {"largest": b"largest", "smallest": b"smallest", "random": b"random"}
    return RackDevice("pi4", boards[0], rack=Rack(made, record, max_difference, lambda: probes), **more)
