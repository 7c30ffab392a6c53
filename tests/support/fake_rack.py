"""A rack of fake boards: each is as fast as a test says, and is cut off, stays away or comes back when told to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.rack import Board, Rack, RackDevice
from foxnas.device.session import Probe, measure_probes
from foxnas.device.transport import Device, DeviceLost, Ending
from tests.support.fake_device import MODEL, ONCE, FakeDeviceStream, FakeTransport


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


REFERENCE = b"reference"

#: What one session costs besides probes: two rounds of three reference probes to compare a board by.
COMPARING = 6


def measure(
    device: Device, journal: Path, made: list[Probe], protocol: MeasurementProtocol = ONCE, **more: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    return measure_probes(device, protocol, made, REFERENCE, journal, np.random.default_rng(0), **more)


def latency_ms(identifier: str, now: int = 0) -> float:
    """What a model takes on a board of slowness 1; the reference probes differ as models of a space do."""
    fixed = {"reference": 8.0, "reference probe largest": 8.0, "reference probe smallest": 2.0}
    return fixed.get(identifier, 3.0 + sum(map(ord, identifier)) % 17 / 4)


def boards(*slowness: float) -> list[FakeBoard]:
    return [FakeBoard(latency_ms, slowness=one) for one in slowness]


def of(device: RackDevice) -> list[FakeBoard]:
    return [board.device.transport for board in device.rack.boards]  # type: ignore[misc]


def numbered(shard: int, n: int, during: Callable[[int], None] = lambda i: None) -> list[Probe]:
    built = iter(range(10**6))

    def build() -> bytes:
        during(next(built))
        return MODEL

    return [(f"s{shard}p{i:03d}", f"arch {shard} {i}", build) for i in range(n)]


def check(table: pd.DataFrame, slowness: dict[str, float]) -> None:
    """Every latency is the first board's, and says what it was on which board."""
    for row in table.itertuples():
        assert row.latency_ms == pytest.approx(latency_ms(row.id), rel=1e-9)
        per_board = [slowness[board] * latency_ms(row.id) for board in row.board.split()]
        assert row.board_latency_ms == pytest.approx(np.mean(per_board), rel=1e-9)
