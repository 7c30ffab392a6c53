"""What is timed on each device, sampled subnets or blocks, and why blocks cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from foxnas.device.config import DeviceConfig
from foxnas.device.kinds import kind_of
from foxnas.errors import FoxnasError
from foxnas.predictor.config import PredictorsConfig
from foxnas.predictor.forms import SUM_OF_LAYERS

Plan = Literal["subnets", "blocks"]


def plan_of(device: DeviceConfig, predictors: PredictorsConfig) -> Plan:
    """Return what is timed on a device.

    `auto` is blocks where nothing is against them, since they are as exact as 300 subnets (docs/evidence/blocks.md).
    """
    if device.latency.plan != "auto":
        return device.latency.plan
    return "subnets" if _against_blocks(device, predictors) else "blocks"


def check_plans(devices: Sequence[DeviceConfig], predictors: PredictorsConfig) -> None:
    """Raise FoxnasError where blocks cannot be timed as asked, or a device is likened to one that times them."""
    blocked = [device.name for device in devices if plan_of(device, predictors) == "blocks"]
    for i, device in enumerate(devices):
        if device.latency.plan == "blocks" and (said := _against_blocks(device, predictors)):
            raise FoxnasError(f"devices.{i}.latency.plan is blocks, but {said}, or write plan: subnets")
        for j, name in enumerate(device.like.devices if device.like else ()):
            if name in blocked:
                raise FoxnasError(
                    f"devices.{i}.like.devices.{j}: {name} times blocks and few subnets (latency.plan); name devices "
                    "that are measured in full"
                )


def _against_blocks(device: DeviceConfig, predictors: PredictorsConfig) -> str:
    """Return why blocks cannot be timed on a device, and what to write for that; empty if nothing is against it."""
    name = device.name
    if not kind_of(device.kind).times_blocks:
        return f"{name} is of kind {device.kind}, which times no blocks; write kind: tflite"
    if device.hosts:
        return f"{name} has hosts, and blocks are timed on one board; write ssh.host: {device.hosts[0]} in their place"
    if device.like:
        return f"{name} is likened to others, which is another way to time few subnets; remove like"
    if predictors.latency_form != SUM_OF_LAYERS:
        return (
            f"predictors.latency_form is {predictors.latency_form}, and a sum of blocks has the form {SUM_OF_LAYERS}; "
            f"write latency_form: {SUM_OF_LAYERS}"
        )
    if columns := [target.column for target in predictors.further_targets if target.table is None]:
        return (
            f"predictors.further_targets has {columns[0]} of the latency tables, in which {name} has few subnets; "
            "remove that target"
        )
    return ""
