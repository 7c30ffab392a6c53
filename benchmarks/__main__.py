"""Run every benchmark: ``make benchmark``. Figures are ratios against a named rival measured in the same run."""

from __future__ import annotations

import subprocess
import sys

for name in ("probe_writing", "evaluation", "delegate", "orchestration", "probe_weights", "repeatability", "rehearsal"):
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
