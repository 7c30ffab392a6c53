"""Table of compiled models: one row each, failures included."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from foxnas.edgetpu.cache import CompileCache
from foxnas.edgetpu.columns import COLUMNS, FIGURES
from foxnas.edgetpu.compiler import Compilation, Compiler
from foxnas.edgetpu.log import Status
from foxnas.errors import FoxnasError
from foxnas.files.progress import follow

_log = logging.getLogger(__name__)

Model = tuple[str, str, Callable[[], bytes]]
"""(id, architecture text, what builds the model's bytes)"""


def compile_models(models: Sequence[Model], compiler: Compiler, cache: CompileCache) -> pd.DataFrame:
    """Return one row per model, in the order given, with the columns `COLUMNS`; failures are rows too.

    Raises FoxnasError when there is no compiler.
    """
    rows = []
    for identifier, arch, build in follow(models, len(models), "models compiled"):
        content = build()
        key, compilation = cache.compile(content, compiler)
        rows.append({"id": identifier, "arch": arch, **_row(compilation, len(content)), "key": key})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in (*FIGURES, "compile_ms"):
        table[name] = table[name].astype("Int64")
    _log.info("%s", described(table))
    return table


def _row(compilation: Compilation, model_bytes: int) -> dict[str, Any]:
    report = compilation.report
    row = {name: getattr(report, name, None) for name in COLUMNS[2:-1]}
    compiled_bytes = len(compilation.content) if compilation.content is not None else None
    return row | {"status": str(report.status), "model_bytes": model_bytes, "compiled_bytes": compiled_bytes}


def compiled(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a compiled model."""
    return table[table["status"] == Status.COMPILED]


def failed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without a compiled model."""
    return table[table["status"] != Status.COMPILED]


def described(table: pd.DataFrame) -> str:
    """Return in one line how many were compiled, fall back to the CPU in part, stream parameters, or failed and why."""
    lost = failed(table)
    parts = [f"{len(table) - len(lost)} of {len(table)} models compiled"]
    if partly := int((table["operators_cpu"] > 0).sum()):
        parts.append(f"{partly} keep operators on the CPU")
    if streaming := int((table["streamed_bytes"] > 0).sum()):
        parts.append(f"{streaming} stream parameters from off chip")
    reasons = Counter(f"{row.status}: {row.reason}" for row in lost.itertuples())
    parts += [f"{count} {reason}" for reason, count in reasons.most_common()]
    return "; ".join(parts)


def summary_of(table: pd.DataFrame, identifier: str) -> dict[str, Any]:
    """Return what the compiler says of one model, as plain numbers and text. Raises FoxnasError if it is not there."""
    rows = table[table["id"] == identifier]
    if len(rows) != 1:
        raise FoxnasError(f"model {identifier} has {len(rows)} rows in the table of compiled models, expected one")
    row = rows.iloc[0]
    figures = {name: None if pd.isna(row[name]) else int(row[name]) for name in (*FIGURES, "compile_ms")}
    return {"status": str(row["status"]), **figures}
