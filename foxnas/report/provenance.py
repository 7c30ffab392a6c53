"""What made the run: devices, versions, settings, and how calm the measurements were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from foxnas.files.identity import changes
from foxnas.report.data import DeviceRun, FittedSpace, MadeBy


@dataclass(frozen=True)
class Calm:
    """How well the subnets of one image size could be timed."""

    image_size: int
    subnets: int
    flagged: int
    fastest_ms: float
    median_ms: float
    slowest_ms: float
    spread_percent: float
    disagreement_percent: float
    drift_percent: float
    timings: float
    most_timings: int


@dataclass(frozen=True)
class Timed:
    """Subnets that were timed as the same kind of thing, and how the machine fared; ranges are None where unknown."""

    subnets: int
    batch: int
    dtype: str
    signedness: str
    io_dtype: str
    executor: str
    fallback_operators: tuple[float, float] | None
    clock_mhz: tuple[float, float] | None
    temperature_c: tuple[float, float] | None


@dataclass(frozen=True)
class Artefact:
    """What made one kind of artefact."""

    script: str
    code: str
    settings: str


def calm(device: DeviceRun) -> list[Calm]:
    """Return one line per image size."""
    lines = []
    for size, rows in device.subnets.groupby("image_size", sort=True):
        used = rows[rows["usable"]]
        lines.append(
            Calm(
                int(str(size)), len(rows), int((~rows["usable"]).sum()),
                float(used["latency_ms"].min()), float(used["latency_ms"].median()), float(used["latency_ms"].max()),
                float((100 * used["mad_ms"] / used["latency_ms"]).median()),
                float(used["disagreement_percent"].median()), float(used["drift_percent"].abs().max()),
                float(rows["attempts"].mean()), int(rows["attempts"].max()),
            )
        )  # fmt: skip
    return lines


def timed(device: DeviceRun) -> list[Timed]:
    """Return what was timed: one line, if all is well."""
    names = ["batch", "dtype", "signedness", "io_dtype", "executor"]
    lines = []
    for _, rows in device.subnets.groupby(names, sort=True):
        what = rows.iloc[0]
        lines.append(
            Timed(
                len(rows), int(what["batch"]), what["dtype"], what["signedness"], what["io_dtype"], what["executor"],
                _range(rows["fallback_operators"]), _range(rows["clock_mhz"]), _range(rows["temperature_c"]),
            )
        )  # fmt: skip
    return lines


def _range(values: pd.Series) -> tuple[float, float] | None:
    known = values.dropna()
    return (float(known.min()), float(known.max())) if len(known) else None


def flagged(device: DeviceRun) -> pd.DataFrame:
    """Return the subnets that could not be timed well enough, with the reason."""
    return device.subnets[~device.subnets["usable"]]


def identities(device: DeviceRun) -> list[Mapping[str, Any]]:
    """Return every different machine the latencies were measured on: one, if all is well.

    Of shards that do not differ, but for what older ones do not tell, what the one says that tells the most.
    """
    found: list[Mapping[str, Any]] = []
    for identity in sorted(_different(device, lambda made_by: made_by.get("identity")), key=len, reverse=True):
        if all(changes(one, identity) for one in found):
            found.append(identity)
    return found


def protocols(device: DeviceRun) -> list[Mapping[str, Any]]:
    """Return every different protocol of the latencies: one, if all is well."""
    return _different(device, lambda made_by: made_by.get("settings", {}).get("device", {}).get("protocol"))


def _different(device: DeviceRun, part: Callable[[MadeBy], Any]) -> list[Mapping[str, Any]]:
    """Return the different values that a part of what made the latencies has, where it is there."""
    values = [part(made_by) for shards in device.made_by.values() for made_by in shards]
    return list({json.dumps(value, sort_keys=True): value for value in values if value}.values())


def versions(run: FittedSpace) -> Mapping[str, str]:
    """Return the version of every package; several, if artefacts were made with different ones."""
    found: dict[str, set[str]] = {}
    for made_by in _all(run):
        for package, version in made_by.get("versions", {}).items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(seen)) for package, seen in found.items()}


def artefacts(run: FittedSpace) -> list[Artefact]:
    """Return every different way in which an artefact of the run was made."""
    found: dict[tuple[str, str, str], None] = {}
    for made_by in _all(run):
        if "script" in made_by:
            settings = json.dumps(_shareable(made_by.get("settings", {})), indent=1, sort_keys=True)
            found[(made_by["script"], made_by.get("code", ""), settings)] = None
    return [Artefact(*key) for key in sorted(found)]


def _shareable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without what names somebody's machines and folders on them: a page is shared."""
    device, given = settings.get("device"), settings.get("given")
    if isinstance(given, Mapping):  # a table of the user's
        return {**settings, "given": {**given, "file": Path(given["file"]).name}}
    if not isinstance(device, Mapping):
        return dict(settings)
    return {**settings, "device": {name: value for name, value in device.items() if name not in ("host", "python")}}


def _all(run: FittedSpace) -> Iterator[MadeBy]:
    for fits in run.accuracy.values():
        yield fits.made_by
    for device in run.devices:
        for shards in device.made_by.values():
            yield from shards
        for fits in device.latency.values():
            yield fits.made_by
        for budget in device.budgets:
            yield from budget.made_by.values()
        if isinstance(device, DeviceRun):
            yield device.baselines["made_by"]
