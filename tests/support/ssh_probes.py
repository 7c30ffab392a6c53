"""Probes that are measured on a real board over SSH, and a check of every number against what the board sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import Probe, measure_probes
from foxnas.device.transport import Device
from tests.support.sshd import Sshd

MODEL = (Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes()

#: One timing of 30 ms a probe and never a second one for its spread, so that attempts count the faults alone.
BRIEF = MeasurementProtocol(
    warm_up_ms=0, min_runs=10, min_time_ms=30, max_time_ms=500, repeats=1, reference_every=5,
    max_relative_mad=50, max_preempted=1, max_drift=50, max_disagreement=50,
)  # fmt: skip


def probes(n: int, during: Callable[[int], None] = lambda i: None) -> list[Probe]:
    """`n` probes; when the i-th one is built, `during(i)` happens."""
    built = iter(range(1_000_000))

    def build() -> bytes:
        during(next(built))
        return MODEL

    return [(f"p{i:02d}", f"arch {i}", build) for i in range(n)]


def measure(board: Device, made: Sequence[Probe], journal: Path, protocol: MeasurementProtocol = BRIEF) -> pd.DataFrame:
    return measure_probes(board, protocol, made, MODEL, journal, np.random.default_rng(0))[0]


def check(table: pd.DataFrame, n: int, journal: Path, server: Sshd) -> None:
    """Every probe once; every number one that the device sent for that probe, and nothing sent twice."""
    assert list(table["id"]) == [f"p{i:02d}" for i in range(n)]
    assert table["usable"].all(), table.loc[~table["usable"], ["id", "reason"]]
    sent = server.rows_sent()
    assert len(sent) >= n
    for identifier, row in table.set_index("id").iterrows():
        of_probe = [one["latency_ms"] for one in sent if one["id"] == identifier]
        assert row["latency_ms"] in of_probe
        assert row["latency_ms"] > 0
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    kept = [record for record in records if record["kind"] == "probe" and "error" not in record["row"]]
    assert [(r["id"], r["row"]["latency_ms"]) for r in kept] == [
        (r["id"], r["row"]["latency_ms"])
        for r in kept
        if any(r["row"]["latency_ms"] == one["latency_ms"] for one in sent)
    ]
    assert len({record["id"] for record in kept}) == len(kept) == n


def once(at: int, fault: Callable[[], None]) -> Callable[[int], None]:
    return lambda i: fault() if i == at else None


def later(seconds: float, work: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
