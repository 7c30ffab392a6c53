"""Estimates of many models as rows of tables: those that cannot be believed are flagged, with the reason."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from foxnas.device.acceptance import COLUMNS
from foxnas.device.npu import CAPPED, FIGURES, EstimatedConfig
from foxnas.errors import FoxnasError
from foxnas.ethosu.vela import Compilation, Vela
from foxnas.files.identity import digest
from foxnas.files.journal import Journal, as_text
from foxnas.files.progress import follow
from foxnas.verdict.promises import ESTIMATE

_log = logging.getLogger(__name__)

Model = tuple[str, str, Callable[[], bytes]]
"""(id, architecture text, what builds the model's bytes)"""


def identity(device: EstimatedConfig, vela: Vela) -> dict[str, Any]:
    """Return what stands for the device where a measured one says what it is."""
    return {
        "backend": device.kind,
        "runtime": "Vela",
        "runtime_version": vela.version,
        "accelerator": device.accelerator_config,
        "system": device.system_config,
        "memory_mode": device.memory_mode,
    }


def row_of(identifier: str, arch: str, found: Compilation, accelerator: str, model_bytes: int) -> dict[str, Any]:
    """Return a row of a table of latencies, as `foxnas.device.acceptance.COLUMNS` and `FIGURES` name its columns."""
    estimate = found.estimate
    reason = found.reason if estimate is None else estimate.problem
    row: dict[str, Any] = dict.fromkeys((*COLUMNS, *FIGURES))
    row |= {"id": identifier, "arch": arch, "attempts": 1, "usable": not reason, "reason": reason}
    row |= {"batch": 1, "dtype": "int8", "signedness": "signed", "io_dtype": "uint8", "executor": accelerator}
    row["model_bytes"] = model_bytes
    if estimate is not None and found.content is not None:
        named = asdict(estimate)
        row |= {name: named[name] for name in FIGURES if name in named}
        row["fallbacks"] = json.dumps(dict(sorted(estimate.fallbacks.items()))) if estimate.fallbacks else ""
        row["fallback_operators"] = sum(estimate.fallbacks.values())
        row["latency_ms"] = None if reason else estimate.npu_ms
        row["compiled_bytes"] = len(found.content)
    return row


def over(row: Mapping[str, object], limits: Mapping[str, int]) -> str:
    """Return which caps, by key of `CAPPED`, a row breaks, in words; empty if it keeps them."""
    broken = [(CAPPED[key], limit) for key, limit in limits.items() if int(str(row[CAPPED[key]])) > limit]
    return "; ".join(f"{name} is {row[name]}, above the cap of {limit}" for name, limit in broken)


def as_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows of `row_of` as a table."""
    table = pd.DataFrame(rows, columns=[*COLUMNS, *FIGURES]).astype({"usable": bool, "attempts": int})
    texts = {"id", "arch", "dtype", "signedness", "io_dtype", "executor", "usable", "reason", "fallbacks"}
    for name in set(table) - texts:
        table[name] = pd.to_numeric(table[name])
    return table


def estimate_models(
    models: Sequence[Model], device: EstimatedConfig, vela: Vela, journal: Path, made_from: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return one row per model, in the order given, and what is to be known of the estimates.

    Parameters
    ----------
    journal
        Rows are written here as they are made; a second call compiles only what is missing.
    made_from
        What the models depend on besides their ids, such as a digest of the code that writes them.

    Raises
    ------
    FoxnasError
        When there is no Vela, or what it wrote cannot be believed.
    """
    known_as = identity(device, vela)
    key = {"device": digest({**known_as, "timeout_s": device.timeout_s}), "models": made_from}
    started = as_text(datetime.now(UTC))
    with Journal(journal, key) as book:
        known = {record["row"]["id"]: record for record in book.records}
        todo = [model for model in models if model[0] not in known]
        for identifier, arch, build in follow(todo, len(todo), f"models compiled for {device.name}"):
            content = build()
            row = row_of(identifier, arch, vela.compile(content), device.accelerator_config, len(content))
            known[identifier] = {"row": row, "started": started}
            book.append(known[identifier])
    records = [known[identifier] for identifier, _, _ in models]
    rows = as_table([record["row"] for record in records])
    reasons = rows.loc[~rows["usable"], "reason"]
    if flagged := len(reasons):
        _log.warning("%s: %d of %d models are flagged, the first: %s", device.name, flagged, len(rows), reasons.iloc[0])
    starts = sorted({record["started"] for record in records})
    sessions = [{"started": s, "probes": sum(record["started"] == s for record in records)} for s in starts]
    return rows, {"device": device.name, "identity": known_as, "flagged": flagged, "sessions": sessions}


def described(table: pd.DataFrame, identifier: str) -> dict[str, Any]:
    """Return what Vela says of one model, as plain numbers.

    Raises FoxnasError if it is not there, or its estimate cannot be believed.
    """
    rows = table[table["id"] == identifier]
    if len(rows) != 1:
        raise FoxnasError(f"model {identifier} has {len(rows)} rows in the table of compiled models, expected one")
    row = rows.iloc[0]
    if not row["usable"]:
        raise FoxnasError(f"model {identifier} cannot be deployed: {row['reason']}")
    numbers = {name: int(row[name]) for name in FIGURES if name not in ("npu_ms", "fallbacks")}
    return {"latency_is": ESTIMATE, "estimate_ms": float(row["npu_ms"]), **numbers}
