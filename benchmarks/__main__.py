"""Run every benchmark: ``make benchmark``. Figures are ratios against a named rival measured in the same run."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "probe_writing", "evaluation", "delegate", "hard_swish", "predictors", "search", "orchestration", "probe_weights",
    "repeatability", "rehearsal", "caps", "lookup", "scale", "bias_correction",
)  # fmt: skip

for name in NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
