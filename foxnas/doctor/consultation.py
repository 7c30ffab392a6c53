"""A device of the config, examined and judged."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from foxnas.device.building import connect
from foxnas.device.config import DeviceConfig
from foxnas.device.kinds import kind_of
from foxnas.device.layout import ready_file
from foxnas.device.local import LocalTransport
from foxnas.device.ssh.transport import SshTransport
from foxnas.doctor.diagnosis import diagnose
from foxnas.doctor.examination import Extent, examine
from foxnas.doctor.finding import Finding, sentence, verdict
from foxnas.doctor.measuring import Promises
from foxnas.doctor.page import as_object, as_text
from foxnas.doctor.way import Way
from foxnas.errors import FoxnasError
from foxnas.space.space import SearchSpace
from foxnas.verdict.config import ValidationConfig


@dataclass(frozen=True)
class Consultation:
    """What a doctor has to say: findings, as text and as an object for programs."""

    findings: list[Finding]
    text: str
    told: dict[str, Any]


def consult(
    device: DeviceConfig,
    space: SearchSpace,
    validation: ValidationConfig,
    margin_percent: float,
    *,
    configfile: str | None,
    load_s: float,
    sessions: int,
    root: str = "/",
) -> Consultation:
    """Examine and judge a device of the config; of a rack, every board.

    Parameters
    ----------
    configfile
        As the user names it in commands; None where the workflow finds it by itself.
    root
        Where the device's files on clock and temperature are looked for; ``/`` but in tests.

    Raises
    ------
    FoxnasError
        When it is no device that anything runs on.
    """
    if said := kind_of(device.kind).no_board(device):
        raise FoxnasError(f"device {device.name}: {said}")
    promises = Promises(validation.sessions, validation.most_sessions, margin_percent)
    extent = Extent(sessions, validation.spread_s, load_s)
    if not device.hosts:
        return _examined(device, space, promises, configfile, extent, root)
    alone = [device.model_copy(update={"hosts": None, "ssh": board}) for board in device.access.boards]
    return _of_boards(device, [_examined(one, space, promises, configfile, extent, root) for one in alone])


def _of_boards(device: DeviceConfig, found: Sequence[Consultation]) -> Consultation:
    """Return what is said of the boards of a rack as what is said of the device."""
    findings = [
        replace(finding, text=f"board {host}: {finding.text}")
        for host, one in zip(device.hosts or (), found, strict=True)
        for finding in one.findings
    ]
    text = "\n\n".join([*(one.text for one in found), f"{device.name}: {sentence(findings)}"])
    told = {"device": device.name, "kind": device.kind, "verdict": verdict(findings), "sentence": sentence(findings)}
    return Consultation(findings, text, {**told, "boards": [one.told for one in found]})


def _examined(
    device: DeviceConfig, space: SearchSpace, promises: Promises, configfile: str | None, extent: Extent, root: str
) -> Consultation:
    """Examine one machine."""
    target, protocol = connect(device.measured, device.access)
    transport = target.transport
    assert isinstance(transport, SshTransport | LocalTransport)
    folder = transport.folder if isinstance(transport, SshTransport) else "."
    reference = partial(kind_of(device.kind).reference_to_examine, device, space)
    try:
        found = examine(target, protocol, transport.python, folder, reference, extent, root)
    finally:
        transport.close()
    root_there = bool(found.survey and found.survey.root)
    findings = diagnose(found, Way(device.ssh, _provision(device, configfile), root_there), promises)
    return Consultation(findings, as_text(found, findings), as_object(found, findings, promises))


def _provision(device: DeviceConfig, configfile: str | None) -> str:
    """Return the command that makes a device ready; empty where that installs nothing."""
    if device.ssh is None or device.ssh.python is not None:
        return ""
    config = ["--configfile", configfile] if configfile else []
    return shlex.join(["snakemake", "--cores", "1", ready_file(device.name), *config])
