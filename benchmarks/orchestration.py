"""What share of a finished run's wall time went to Python start-up and Snakemake, and where the rest went.

Every job's log ends with its start-up and its work in seconds. Core-seconds are wall time times cores; a
job that held the whole machine counts for all cores. What neither work nor start-up explains is
Snakemake itself and cores that waited for the last job of a stage.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path

LINE = re.compile(r"start-up ([\d.]+) s, work ([\d.]+) s")
#: Rules that measure: on this machine, nothing else runs beside them.
WHOLE_MACHINE = (
    "time_subnets", "time_candidates", "time_found", "time_compiled", "time_compiled_candidates", "time_compiled_found",
    "time_named", "time_compiled_named", "confirm_together", "confirm_latency", "confirm_compiled_together",
    "confirm_compiled_latency", "validate_on_device", "time_sustained",
)  # fmt: skip


def main() -> None:
    """Print the table for the run in the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    runs = sorted((options.folder / ".snakemake" / "log").glob("*.log"), key=lambda p: p.stat().st_size)
    stamps = re.findall(r"\[(\w{3} \w{3}\s+\d+ [\d:]+ \d{4})\]", runs[-1].read_text())
    first, last = (datetime.strptime(stamps[i], "%a %b %d %H:%M:%S %Y") for i in (0, -1))
    seconds: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for path in (options.folder / "results" / "logs").rglob("*.log"):
        # Other runs in the folder, such as those of the comparisons, have logs there, too.
        during = first.timestamp() <= path.stat().st_mtime <= last.timestamp() + 1
        if during and (found := LINE.findall(path.read_text())):
            parts = path.relative_to(options.folder / "results" / "logs").with_suffix("").parts
            rule = next(part for part in parts if "_" in part).split("-")[0]
            cores = options.cores if rule in WHOLE_MACHINE else 1
            entry = seconds[rule]
            entry[0] += 1
            entry[1] += cores * float(found[-1][0])
            entry[2] += cores * float(found[-1][1])
    wall_s = (last - first).total_seconds()
    total = wall_s * options.cores
    start_up, work = sum(e[1] for e in seconds.values()), sum(e[2] for e in seconds.values())
    jobs_run = sum(e[0] for e in seconds.values())
    rest = total - work - start_up
    print(f"wall {wall_s:.0f} s on {options.cores} cores = {total:.0f} core-seconds, {jobs_run:.0f} jobs")
    print(f"work {work / total:.1%}, Python start-up {start_up / total:.1%}, Snakemake and waiting {rest / total:.1%}")
    for rule, (jobs, began, worked) in sorted(seconds.items(), key=lambda item: -item[1][2]):
        print(f"  {rule:24} {jobs:4.0f} jobs  start-up {began:7.1f}  work {worked:8.1f} core-s ({worked / total:.1%})")


if __name__ == "__main__":
    main()
