"""A device and its protocol of a configuration, and what is said of settings that work against each other."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from foxnas.device.building import build_device, connect
from foxnas.device.config import AccessConfig, MeasuredConfig, PatienceConfig, SshConfig
from foxnas.device.protocol import Protocol, TorchOptions
from foxnas.device.provisioning.readiness import Restored
from foxnas.device.rack import RackDevice


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


def test_the_boards_of_a_rack_are_each_reached_and_made_ready_again_alone() -> None:
    protocol = Protocol()
    config = MeasuredConfig(name="pi4", kind="tflite", host="pi4-a", python=None, torch=None, protocol=protocol)
    ssh = SshConfig(host="pi4-a", user="pi", folder="here")
    access = AccessConfig(ssh=ssh, patience=PatienceConfig(), hosts=["pi4-a", "me@pi4-b:2"], max_board_difference=0.2)
    sampled = [{"machine": "a"}]
    device, _ = build_device(config, access, ["provision.py"], sampled, lambda: {"smallest": b"model"})
    assert isinstance(device, RackDevice)
    assert device.sampled == sampled
    assert device.rack.max_difference == 0.2
    assert device.rack.probes() == {"smallest": b"model"}
    assert device.rack.record == Path("results/devices/pi4/boards.jsonl")
    assert [str(board.device) for board in device.rack.boards] == [
        "device pi4 (SSH host pi4-a)", "device pi4 (SSH host me@pi4-b:2)"
    ]  # fmt: skip
    assert len({board.lock for board in device.rack.boards}) == 2
    assert [board.device.lock for board in device.rack.boards] == ["machine"] * 2
    for board, ready in zip(device.rack.boards, ("ready-pi4-a.json", "ready-me_pi4-b_2.json"), strict=True):
        restored = board.device.transport
        assert isinstance(restored, Restored)
        tracked, further = (json.loads(text) for text in restored._command[3:5])
        assert tracked == {"kind": "tflite", "kind_code": None, "ssh": {**ssh.model_dump(), "host": board.host}}
        assert further["access"]["ssh"]["host"] == board.host
        assert further["access"]["hosts"] is None
        assert restored._command[5:] == ["--ready", f"results/devices/pi4/{ready}"]
        assert restored._ready == Path("results/devices/pi4/ready.json")
    alone, _ = build_device(config, AccessConfig(ssh=ssh, patience=PatienceConfig()), ["provision.py"])
    assert not isinstance(alone, RackDevice)
