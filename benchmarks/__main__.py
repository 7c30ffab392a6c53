"""Run every benchmark: ``make benchmark``. Figures are ratios against a named rival measured in the same run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
    if '__name__ == "__main__"' in path.read_text():
        print(f"== {path.stem}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{path.stem}"], check=True)
