"""From a device's config entry to what measures on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foxnas.config.devices import DeviceConfig
from foxnas.devices.layout import ready_file
from foxnas.devices.local import LocalTransport
from foxnas.devices.protocol import MeasurementProtocol, TorchOptions
from foxnas.devices.readiness import Restored
from foxnas.devices.ssh.transport import SshTransport
from foxnas.devices.transport import Device


def build_device(config: DeviceConfig) -> tuple[Device, MeasurementProtocol]:
    """Return the device, made ready again at need, and its measurement protocol.

    Raises FoxnasError when the protocol contradicts itself.
    """
    device, protocol = connect(config)
    if config.ssh and config.ssh.python is None:
        device = replace(device, transport=Restored(device.transport, Path(ready_file(config.name))))
    return device, protocol


def connect(config: DeviceConfig) -> tuple[Device, MeasurementProtocol]:
    """Return the device as it is, and its measurement protocol; see `build_device`."""
    options = TorchOptions(**config.torch.model_dump()) if config.torch else None
    protocol = MeasurementProtocol(**config.protocol.model_dump(), torch=options)
    device = Device(
        config.name,
        SshTransport(config.ssh, config.kind) if config.ssh else LocalTransport(),
        backend=config.kind,
        timeout_s=config.patience.silence_s,
        busy_s=60 * config.patience.busy_minutes,
        away_s=60 * config.patience.away_minutes,
    )
    return device, protocol
