"""Builds a device and its measuring protocol from a config entry."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from foxnas.device.archive import RunBy
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.layout import ready_file
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.provisioning.readiness import Restored
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from foxnas.files.identity import Identity
from foxnas.settings.section import canonical

_log = logging.getLogger(__name__)


def build_device(
    config: MeasuredConfig, access: AccessConfig, provisioning: Sequence[str], sampled: Sequence[Identity] = ()
) -> tuple[Device, MeasurementProtocol]:
    """Return the device, made ready again at need, and its measurement protocol.

    `provisioning` is the script that provisions, with its options but those that say which device; `sampled` says
    what measured the sample: sessions with another are refused. Raises FoxnasError when the
    protocol contradicts itself.
    """
    device, protocol = connect(config, access)
    device = replace(device, sampled=sampled)
    if access.ssh and config.python is None:
        tracked = {"kind": config.kind, "ssh": access.ssh, "kind_code": config.code}
        settings = [canonical(tracked), canonical({"device": config, "access": access})]
        ready = ready_file(config.name)
        command = [sys.executable, *provisioning, "--settings", *settings, "--ready", ready]
        device = replace(device, transport=Restored(device.transport, Path(ready), command))
    return device, protocol


def connect(config: MeasuredConfig, access: AccessConfig) -> tuple[Device, MeasurementProtocol]:
    """Return the device as it is, and its measurement protocol; see `build_device`."""
    protocol = MeasurementProtocol(**asdict(config.protocol), torch=config.torch)
    kind = kind_of(config.kind)
    if said := kind.advice(protocol):
        _log.warning("device %s: %s", config.name, said)
    ran = RunBy(config.kind, kind.backend)
    device = Device(
        config.name,
        SshTransport(access.ssh, *ran) if access.ssh else LocalTransport(ran=ran),
        backend=config.kind,
        timeout_s=access.patience.silence_s,
        busy_s=60 * access.patience.busy_minutes,
        away_s=60 * access.patience.away_minutes,
    )
    return device, protocol
