"""Devices that are likened to others: which others, and of which kinds."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from foxnas.device.config import DeviceConfig
from foxnas.errors import FoxnasError
from foxnas.predictor.config import FurtherTargetConfig

#: Kinds whose latencies are not timed probe by probe from the config's own subnets.
_NOT_LIKENED = {
    "edgetpu": "is measured in full: what its compiler does to a model is no mix of other devices",
    "ethos-u": "is estimated on this host, which needs no device's time",
    "table": "has the latencies of a table",
}


def check_likes(devices: Sequence[DeviceConfig], targets: Sequence[FurtherTargetConfig]) -> None:
    """Raise FoxnasError when a device is likened to one that cannot be, or cannot be likened at all."""
    names = [device.name for device in devices]
    likened = [device.name for device in devices if device.like]
    for i, device in enumerate(devices):
        if not device.like:
            continue
        if said := _NOT_LIKENED.get(device.kind):
            raise FoxnasError(
                f"devices.{i}.like: {device.name} is a device of kind {device.kind}, and {said}; remove it"
            )
        for j, name in enumerate(device.like.devices):
            key = f"devices.{i}.like.devices.{j}"
            if name not in names:
                near = difflib.get_close_matches(name, names, 1, 0.5)
                fix = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
                raise FoxnasError(f"{key}: there is no device {name!r}; {fix}")
            if name in likened:
                what = "the device itself" if name == device.name else "itself likened to others"
                raise FoxnasError(f"{key}: {name} is {what}; name devices that are measured in full")
            if name in device.like.devices[:j]:
                raise FoxnasError(f"{key}: {name} is listed twice; remove one")
    for j, target in enumerate(targets):
        if likened and target.table is None:
            raise FoxnasError(
                f"predictors.further_targets.{j}.column is {target.column} of the latency tables, but on {likened[0]}, "
                "which is likened to others, few subnets are timed; give the target a table of its own, or remove it, "
                f"or devices.{names.index(likened[0])}.like"
            )
