"""Checks of each device's section against its kind."""

from __future__ import annotations

from collections.abc import Sequence

from foxnas.device.config import DeviceConfig
from foxnas.device.kinds import kind_of, our_kinds
from foxnas.errors import FoxnasError


def check_devices(devices: Sequence[DeviceConfig]) -> None:
    """Raise FoxnasError where a device lacks what its kind needs, or has what only another kind has."""
    owners = {key: name for name in our_kinds() for key in kind_of(name).own_keys}
    for i, device in enumerate(devices):
        kind, a_device = kind_of(device.kind), f"{'an' if device.kind[0] in 'aeiou' else 'a'} {device.kind} device"
        for key, owner in owners.items():
            if device.kind != owner and getattr(device, key) is not None:
                raise FoxnasError(
                    f"devices.{i}.{key} is for {owner} devices, {device.name} is {device.kind}: write null"
                )
        for key, value in kind.needs.items():
            if getattr(device, key) is None:
                raise FoxnasError(f"devices.{i}.{key} is null, but {device.name} is {a_device}: write {value}")
        if kind.no_ssh and device.ssh is not None:
            raise FoxnasError(f"devices.{i}.ssh: {device.name} is {a_device}, {kind.no_ssh}: write null")
        if device.ssh and device.ssh.python is None and kind.pins is None and device.kind not in our_kinds():
            runtimes = " or ".join(sorted(kind.packages)) or "its runtime"
            raise FoxnasError(
                f"devices.{i}.ssh.python is null, but kind {device.kind} has no pins of what to install on a device: "
                f"write the path of a Python there that has {runtimes}"
            )
