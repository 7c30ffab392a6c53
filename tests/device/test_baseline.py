"""What the reference model usually takes, from the sessions that sampled a device."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foxnas.device.baseline import baseline_ms
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device
from foxnas.files.tables import write_json
from tests.support.fake_device import FakeTransport, probes

PROTOCOL = MeasurementProtocol(repeats=1, reference_every=1)


def sampled(path: Path, reference_ms: float, protocol: MeasurementProtocol = PROTOCOL, made_from: str = "code") -> Path:
    """Write what the sampling of a device says of its sessions, as `time_subnets` does."""
    device = Device("bench", FakeTransport(lambda identifier, now: reference_ms if identifier == "reference" else 1.0))
    rng, journal = np.random.default_rng(0), path.with_suffix(".jsonl")
    _, info = measure_probes(device, protocol, probes(3), b"reference", journal, rng, made_from=made_from)
    write_json(path, info)
    return path


def test_it_is_the_median_of_all_references_of_all_shards(tmp_path: Path) -> None:
    shards = [sampled(tmp_path / f"{n}.json", ms) for n, ms in enumerate((2.0, 3.0, 3.0))]
    assert baseline_ms(shards, "code", PROTOCOL) == 3.0


def test_another_reference_or_protocol_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = replace(PROTOCOL, xnnpack=False)
    shards = [sampled(tmp_path / "0.json", 2.0, made_from="old code"), sampled(tmp_path / "1.json", 4.0, other)]
    assert baseline_ms(shards, "code", PROTOCOL) is None
    assert "what is usual there is unknown" in caplog.text
    assert baseline_ms(shards, "code", other) == 4.0
