"""The runtime that a device measures with, as far as this host decides about it: part of what made a measurement.

What a device itself says of its runtime stands beside its measurements, and comes too late for a rule that is not run.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

from foxnas.config.whole import Config
from foxnas.device.config import DeviceConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.npu import EstimatedConfig, NpuSettings
from foxnas.device.provisioning.compatibility import pins_of
from foxnas.flow.checkout import BASE
from foxnas.flow.devices import VELA_PINS, of_kind


def measured(config: Config, name: str) -> MeasuredConfig:
    """Return what a device's measurements depend on: its configuration, the runtime, and the code of its kind."""
    device = config.device(name)
    return of_kind(device).model_copy(update={"runtime": _runtime(device)})


def estimated(config: Config, name: str) -> EstimatedConfig:
    """Return what a device's estimates depend on: its configuration, the Vela that is installed, the kind's code."""
    npu, kind = config.device(name).npu, kind_of(config.device(name).kind)
    assert npu
    lines = [line.strip() for line in VELA_PINS.read_text().splitlines() if line.startswith("ethos-u-vela==")]
    asked = npu.model_dump(include=set(NpuSettings.model_fields))
    return EstimatedConfig(**asked, name=name, runtime=None if npu.executable else lines, code=kind.code())


def measured_donors(config: Config, name: str) -> dict[str, dict[str, Any]]:
    """Return, by name, what the measurements depend on of the devices that one is likened to."""
    like = config.device(name).like
    found: dict[str, dict[str, Any]] = {}
    for donor in map(config.device, like.devices if like else ()):
        asked = estimated if kind_of(donor.kind).latency == "estimated" else measured
        limits = {"limits": donor.compiler.limits} if donor.compiler else {}
        found[donor.name] = {"device": asked(config, donor.name), **limits}
    return found


def _runtime(device: DeviceConfig) -> list[str] | None:
    """Return the versions of this machine's own runtime, or the pins of what is installed on a device.

    None where the device's owner decides: there, a change is met when the next shard is measured, and refused.
    """
    if device.ssh is None:
        return _installed(device.kind)
    return None if device.ssh.python else _pinned(device.kind)


@cache
def _installed(kind: str) -> list[str]:
    found = []
    for package in sorted(kind_of(kind).packages):
        try:
            found.append(f"{package}=={metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _pinned(kind: str) -> list[str]:
    lines = pins_of(kind, BASE / "envs").read_text().splitlines()
    return [" ".join(line.split()) for line in lines if line.partition("==")[0].strip() in kind_of(kind).packages]
