"""From a device's config entry to what measures on it."""

from __future__ import annotations

from foxnas.config.devices import DeviceConfig
from foxnas.devices.local import LocalTransport
from foxnas.devices.protocol import MeasurementProtocol
from foxnas.devices.transport import Device


def build_device(config: DeviceConfig) -> tuple[Device, MeasurementProtocol]:
    """Return the device and its measurement protocol. Raises FoxnasError when the protocol contradicts itself."""
    protocol = MeasurementProtocol(**config.protocol.model_dump())
    return Device(config.name, LocalTransport()), protocol
