"""Checks of devices that are made of several boards."""

from __future__ import annotations

from collections.abc import Sequence

from foxnas.device.config import DeviceConfig
from foxnas.device.kinds import kind_of
from foxnas.errors import FoxnasError


def check_racks(devices: Sequence[DeviceConfig]) -> None:
    """Raise FoxnasError where `hosts` is of no use, names a board twice, or another first one than `ssh.host`."""
    for i, device in enumerate(devices):
        if device.hosts is None:
            continue
        if kind_of(device.kind).latency in ("estimated", "given"):
            raise FoxnasError(
                f"devices.{i}.hosts: {device.name} is of kind {device.kind}, which nothing is measured on: write null"
            )
        if twice := [host for host in device.hosts if device.hosts.count(host) > 1]:
            raise FoxnasError(f"devices.{i}.hosts lists {twice[0]} twice; a board is listed once")
        if device.ssh and device.ssh.host != device.hosts[0]:
            raise FoxnasError(
                f"devices.{i}.hosts lists the boards of {device.name}, but ssh.host is {device.ssh.host}; remove the "
                "latter"
            )
