"""Snakemake, whose Slurm plugin looks at its jobs every second: python -m tests.support.prompt_slurm, then its words.

By itself, the plugin waits ten seconds longer after each look that finds no job finished: 1, 11, 21 seconds. On a
cluster that spares the controller; here most of a test was that wait. Jobs start the plain Snakemake.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda _: 1, lambda *_: None)

if __name__ == "__main__":
    sys.exit(main())
