"""Column names for what the Edge TPU compiler reports of a model."""

from __future__ import annotations

#: What the compiler says of a model, for the tables of compiled models and of latencies alike.
FIGURES = (
    "operators",
    "operators_edgetpu",
    "operators_cpu",
    "subgraphs",
    "model_bytes",
    "compiled_bytes",
    "on_chip_used_bytes",
    "on_chip_remaining_bytes",
    "streamed_bytes",
)

#: Columns of a table of compiled models. `key` is the model's place in the cache.
COLUMNS = ("id", "arch", "status", "reason", *FIGURES, "compile_ms", "key")
