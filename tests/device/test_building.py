"""A device and its protocol of a configuration, and what is said of settings that work against each other."""

from __future__ import annotations

import logging

import pytest

from foxnas.device.building import connect
from foxnas.device.config import AccessConfig, MeasuredConfig, PatienceConfig
from foxnas.device.protocol import Protocol, TorchOptions


@pytest.mark.parametrize(
    ("kind", "threads", "xnnpack", "said"),
    [("tflite", 2, False, True), ("tflite", 1, False, False), ("tflite", 2, True, False), ("torch", 2, False, False)],
)
def test_more_threads_without_xnnpack_are_warned_of(
    kind: str, threads: int, xnnpack: bool, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = MeasuredConfig(
        name="bench", kind=kind, host=None, python=None, torch=TorchOptions() if kind == "torch" else None,
        protocol=Protocol(threads=threads, xnnpack=xnnpack),
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        device, protocol = connect(config, AccessConfig(ssh=None, patience=PatienceConfig()))
    assert (device.name, protocol.threads) == ("bench", threads)
    assert ("small models take 6 to 20 times as long" in caplog.text) == said
