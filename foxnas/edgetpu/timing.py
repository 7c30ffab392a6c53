"""Timing compiled probes. Their journal goes by content: what is compiled anew to the same model is not timed anew."""

from __future__ import annotations

import logging
from functools import partial

import pandas as pd

from foxnas.device.session import Probe
from foxnas.edgetpu.cache import CompileCache
from foxnas.edgetpu.columns import FIGURES
from foxnas.edgetpu.table import compiled, described, failed
from foxnas.errors import FoxnasError

_log = logging.getLogger(__name__)


def compiled_probes(models: pd.DataFrame, cache: CompileCache) -> list[Probe]:
    """Return the probes that were compiled, each under its key in the cache, read when its turn comes.

    Raises FoxnasError when there are none.
    """
    usable = compiled(models)
    if usable.empty:
        raise FoxnasError(f"no probe was compiled, so there is nothing to be timed: {described(models)}")
    if len(lost := failed(models)):
        _log.warning("%d of %d probes are not timed: %s", len(lost), len(models), described(models))
    pairs = zip(usable["key"].astype(str), usable["arch"].astype(str), strict=True)
    return [(key, arch, partial(cache.read, key)) for key, arch in pairs]


def reference_model(references: pd.DataFrame, cache: CompileCache) -> bytes:
    """Return the first of the models that may serve as the reference and was compiled. Raises FoxnasError."""
    usable = compiled(references)
    if usable.empty:
        raise FoxnasError(f"no reference model could be compiled: {described(references)}")
    return cache.read(usable["key"].iloc[0])


def comparison_probes(references: pd.DataFrame, cache: CompileCache) -> dict[str, bytes]:
    """Return all models that were compiled as a reference, by id: by them the boards of a rack are compared."""
    usable = compiled(references)
    return {str(name): cache.read(key) for name, key in zip(usable["id"], usable["key"], strict=True)}


def latency_rows(timed: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Return a latency row for every model, in order: timed ones, and the others flagged with the reason.

    Parameters
    ----------
    timed
        What was measured, under the models' keys.
    models
        The table of compiled models; its `FIGURES` are added behind the columns of `timed`.
    """
    columns = list(timed.columns)
    lost = failed(models)
    rows = timed.rename(columns={"id": "key"}).merge(compiled(models)[["id", "key"]], on="key", validate="one_to_one")
    if len(lost):
        reason = "not compiled for the Edge TPU, " + lost["status"] + ": " + lost["reason"].fillna("")
        missing = pd.DataFrame(
            {"id": lost["id"], "arch": lost["arch"], "attempts": 0, "usable": False, "reason": reason}
        )
        rows = pd.concat([rows, missing.reindex(columns=columns)], ignore_index=True)
    rows = models[["id", *FIGURES]].merge(rows, on="id", how="left", validate="one_to_one")
    return rows[[*columns, *FIGURES]].astype({"usable": bool, "attempts": int})
