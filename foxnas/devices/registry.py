"""From a device's config entry to what measures on it."""

from __future__ import annotations

from foxnas.config.devices import DeviceConfig
from foxnas.devices.local import LocalTransport
from foxnas.devices.protocol import MeasurementProtocol, TorchOptions
from foxnas.devices.ssh.transport import SshTransport
from foxnas.devices.transport import Device


def build_device(config: DeviceConfig) -> tuple[Device, MeasurementProtocol]:
    """Return the device and its measurement protocol. Raises FoxnasError when the protocol contradicts itself."""
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
