"""Run the benchmarks: ``make benchmark``. Figures are ratios against a named rival measured in the same run."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "probe_writing", "evaluation", "evaluation_variants", "evaluation_memory", "decoding", "delegate", "hard_swish",
    "predictors", "search", "orchestration", "probe_weights", "repeatability", "rehearsal", "caps", "lookup", "scale",
    "protocols", "racing", "exporters", "promise", "common_sessions", "links", "rack", "transfer", "pooling", "blocks",
)  # fmt: skip

#: The first takes as long as all others: 5,000 subnets evaluated and timed. The second needs a finished
#: run, the third a GPU, the fourth draws what that wrote, the fifth needs Vela, the sixth tflite-runtime 2.14 too,
#: the seventh an idle machine for half an hour, the eighth `make frugal`, the ninth evaluates 2,800 designed subnets
#: first, the tenth needs `make demo`, the last four photographs.
BY_ITSELF = (
    "designs", "trees", "gpu", "gpu_figure", "ethos_u", "transfer_measuring", "blocks_measuring", "frugal",
    "acquisition", "asking", "first_recipes", "turning", "small_networks", "correction_photos",
)  # fmt: skip

if __name__ == "__main__":
    for name in NAMES:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
