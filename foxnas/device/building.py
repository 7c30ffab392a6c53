"""Builds a device and its measuring protocol from a config entry."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from foxnas.device.archive import RunBy
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.layout import board_ready_file, boards_file, ready_file
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.provisioning.readiness import Restored
from foxnas.device.rack import Board, Rack, RackDevice
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from foxnas.files.identity import Identity, digest
from foxnas.settings.section import canonical

_log = logging.getLogger(__name__)


def build_device(
    config: MeasuredConfig,
    access: AccessConfig,
    provisioning: Sequence[str],
    sampled: Sequence[Identity] = (),
    probes: Callable[[], Mapping[str, bytes]] = dict,
) -> tuple[Device, MeasurementProtocol]:
    """Return the device, made ready again at need, and its measurement protocol.

    `provisioning` is the script that provisions, with its options but those that say which device; `sampled` says
    what measured the sample: sessions with another are refused; `probes` makes the models, by name, that the boards
    of a rack are compared by. Raises FoxnasError when the
    protocol contradicts itself.
    """
    device, protocol = connect(config, access)
    device = replace(device, sampled=sampled)
    if isinstance(device, RackDevice):
        boards = [
            replace(board, device=_restored(board.device, config, alone, provisioning, board.host))
            for board, alone in zip(device.rack.boards, _each_alone(access), strict=True)
        ]
        device = replace(device, rack=replace(device.rack, boards=boards, probes=probes))
    return _restored(device, config, access, provisioning), protocol


def _restored(
    device: Device, config: MeasuredConfig, access: AccessConfig, provisioning: Sequence[str], board: str = ""
) -> Device:
    """Return a device, or one board of it, that is provisioned again when its environment has vanished."""
    if access.ssh is None or config.python is not None:
        return device
    tracked = {"kind": config.kind, "ssh": access.ssh, "kind_code": config.code}
    settings = [canonical(tracked), canonical({"device": config, "access": access})]
    ready = ready_file(config.name)
    written = board_ready_file(config.name, board) if board else ready
    command = [sys.executable, *provisioning, "--settings", *settings, "--ready", written]
    return replace(device, transport=Restored(device.transport, Path(ready), command))


def connect(config: MeasuredConfig, access: AccessConfig) -> tuple[Device, MeasurementProtocol]:
    """Return the device as it is, and its measurement protocol; see `build_device`."""
    protocol = MeasurementProtocol(**asdict(config.protocol), torch=config.torch)
    if said := kind_of(config.kind).advice(protocol):
        _log.warning("device %s: %s", config.name, said)
    if access.hosts:
        boards = [
            Board(alone.ssh.host, _connected(config, alone), digest(alone.ssh.model_dump()))
            for alone in _each_alone(access)
            if alone.ssh
        ]
        rack = Rack(boards, Path(boards_file(config.name)), access.max_board_difference, dict, config.code)
        return RackDevice(**vars(boards[0].device), rack=rack), protocol
    return _connected(config, access), protocol


def _each_alone(access: AccessConfig) -> list[AccessConfig]:
    """Return the way to every board of a rack as if it were a device of its own."""
    return [access.model_copy(update={"ssh": board, "hosts": None}) for board in access.boards]


def _connected(config: MeasuredConfig, access: AccessConfig) -> Device:
    ran = RunBy(config.kind, kind_of(config.kind).backend)
    return Device(
        config.name,
        SshTransport(access.ssh, *ran) if access.ssh else LocalTransport(ran=ran),
        backend=config.kind,
        timeout_s=access.patience.silence_s,
        busy_s=60 * access.patience.busy_minutes,
        away_s=60 * access.patience.away_minutes,
    )
