"""Checks across sections where tables of the user's stand for measurements made here."""

from __future__ import annotations

from collections.abc import Sequence

from foxnas.accuracy.config import DevicedEvaluationConfig
from foxnas.device.config import DeviceConfig
from foxnas.device.kinds import kind_of
from foxnas.errors import FoxnasError
from foxnas.predictor.config import PredictorsConfig
from foxnas.rivals.config import OffTheShelfConfig
from foxnas.supernet.finishing_config import FinishingConfig


def check_table_sections(accuracy: DevicedEvaluationConfig, devices: Sequence[DeviceConfig]) -> None:
    """Raise FoxnasError where a table section is missing or of no use, or where not all is of tables."""
    if accuracy.source == "table" and accuracy.table is None:
        value = "{file: mine.csv, column: top1_percent, unit: percent}"
        raise FoxnasError(f"accuracy.table is null, but accuracy.source is table: write {value}")
    if accuracy.source != "table" and accuracy.table is not None:
        raise FoxnasError(f"accuracy.table is for source: table, accuracy.source is {accuracy.source}: write null")
    for i, device in enumerate(devices):
        given = kind_of(device.kind).latency == "given"
        if given and accuracy.source != "table":
            raise FoxnasError(
                f"devices.{i}.kind is table, but accuracy.source is {accuracy.source}: tables stand for accuracy and "
                "latency or for neither; write source: table, and give it the accuracy.csv of a run, or a table of "
                "yours"
            )
        if not given and accuracy.source == "table":
            raise FoxnasError(
                f"devices.{i}.kind is {device.kind}, but accuracy.source is table: tables stand for accuracy and "
                f"latency or for neither; write kind: table, and give it the latency-{device.name}.csv of a run, or a "
                "table of yours"
            )


def check_left_out(predictors: PredictorsConfig, finishing: FinishingConfig, rivals: OffTheShelfConfig) -> None:
    """Raise FoxnasError where a config asks for what a run on tables leaves out."""
    if predictors.accuracy_target != "top1":
        raise FoxnasError(
            f"predictors.accuracy_target is {predictors.accuracy_target}, but accuracy.table has one accuracy of each "
            "architecture; write top1"
        )
    for i, target in enumerate(predictors.further_targets):
        if target.table is None:
            raise FoxnasError(
                f"predictors.further_targets.{i}.column is {target.column}, which is measured on a device, and a table "
                f"device has latencies alone; give the target a table of its own"
            )
    for key, asked in (("finishing.epochs", finishing.on), ("rivals.networks", bool(rivals.networks))):
        if asked:
            raise FoxnasError(f"{key} trains on images, of which a run on tables has none; leave it out")
