"""What Snakemake itself takes as the work grows: dry runs of nothing done and of all done, and the growth law.

Three projects are made, of 1, 10 and 100 times the paper's work, by an umbrella workflow that uses this one as a
module once a search space. Nothing is computed: every output is an empty file, and Snakemake's metadata are what it
writes after a real job, through its own persistence. Seconds are of the command's processor time, since the machine
may be shared; wall time stands beside them. What a job of each rule leaves on the disk, and its processor time, are
read off the last run in `results/` and scaled by the jobs of each rule. Orchestration is the dry run and Snakemake's
handling of as many jobs that do nothing, by the scheduler of our profiles; the rival is its default one.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support import plans
from tests.support.configs import written_out

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Scale:
    """How much there is to do."""

    name: str
    subnets: int
    """A size."""
    spaces: int
    devices: int
    budgets: int
    """A device."""


SCALES = (Scale("1x", 300, 1, 1, 3), Scale("10x", 1000, 1, 3, 10), Scale("100x", 3000, 2, 10, 50))

MODULE = """
with open("space-{i}.yaml") as file:
    settings_{i} = yaml.safe_load(file)

module space_{i}:
    snakefile: "{root}/Snakefile"
    config: settings_{i}
    prefix: "space-{i}"

use rule * from space_{i} as space_{i}_*
"""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    said: str


def write_project(folder: Path, scale: Scale) -> None:
    """Write the umbrella workflow and a config a space, with devices that nobody has to reach."""
    folder.mkdir(parents=True)
    config = written_out("config")
    coral = written_out("coral")["devices"][0]
    board = copy.deepcopy(config["devices"][0])
    config["sampling"]["subnets"] = scale.subnets
    config["devices"] = [
        board | {"name": f"board-{i}", "ssh": coral["ssh"] | {"host": f"board-{i}"}} for i in range(scale.devices)
    ]
    config["budgets"] = [f"p{5 + 90 * i / max(1, scale.budgets - 1):.3g}" for i in range(scale.budgets)]
    text = "import yaml\n"
    for i in range(scale.spaces):
        one = config | {"space": {"base": "mini", "name": f"mini-{i}"}}
        (folder / f"space-{i}.yaml").write_text(yaml.safe_dump(one))
        text += MODULE.format(i=i, root=ROOT)
    inputs = ", ".join(f"rules.space_{i}_all.input" for i in range(scale.spaces))
    (folder / "Snakefile").write_text(f"{text}\nrule everything:\n    default_target: True\n    input: {inputs}\n")


def run(folder: Path, *command: str) -> Cost:
    """Run a command of this interpreter to its end. Raises RuntimeError with what it said."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - began
        output.seek(0)
        said = output.read()
    if status:
        raise RuntimeError(said[-3000:])
    return Cost(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 1024, said)


def dry_run(folder: Path) -> Cost:
    """Ask what would run, as a user does."""
    profile = ["--workflow-profile", str(ROOT / "profiles" / "default")]
    return run(folder, "-m", "snakemake", "--dry-run", "--cores", "1", *profile)


def jobs_of(said: str) -> Counter[str]:
    """Return the jobs of each rule, by our own names, from what a dry run said."""
    counts: Counter[str] = Counter()
    for rule, jobs in re.findall(r"^space_\d+_(\w+) +(\d+)$", said[said.rindex("Job stats:") :], re.MULTILINE):
        counts[rule] += int(jobs)
    return counts


def finish(folder: Path) -> None:
    """Bring a project to where all has run, with empty outputs; this process is then of no further use."""
    threshold = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())["max-checksum-file-size"]
    with plans.planned(folder / "Snakefile", folder, max_checksum_file_size=threshold) as workflow:
        began, jobs = time.process_time(), [job for job in plans.reasons(workflow) if job.output]
        plans.pretend_finished(
            workflow, jobs, lambda path, is_folder: path.mkdir(exist_ok=True) if is_folder else path.write_text("")
        )
        print(f"metadata of {len(jobs)} jobs in {time.process_time() - began:.1f} s")


def left_behind(results: Path) -> dict[str, tuple[float, float, float]]:
    """Return, by rule, the files and bytes a job leaves, logs and metadata among them, and its processor seconds."""
    files: dict[str, list[int]] = defaultdict(list)
    jobs: dict[str, dict[str, float]] = defaultdict(dict)
    for output, path, record in plans.records(results.parent):
        rule, log = record["rule"], (record["log"] or [""])[0]
        inside = [p for p in output.rglob("*") if p.is_file()] if output.is_dir() else [output]
        files[rule] += [*(p.stat().st_size for p in inside), path.stat().st_size]
        if log and log not in jobs[rule]:
            timing = results.parent / log.replace("results/logs/", "results/benchmarks/").replace(".log", ".tsv")
            jobs[rule][log] = _cpu_s(timing) if timing.exists() else 0.0
            files[rule] += [p.stat().st_size for p in (results.parent / log, timing) if p.exists()]
    return {
        rule: (len(sizes) / n, sum(sizes) / n, sum(jobs[rule].values()) / n)
        for rule, sizes in files.items()
        if (n := len(jobs[rule]))
    }


def _cpu_s(timing: Path) -> float:
    """Return a job's processor time from Snakemake's benchmark file; the time on the clock where it was too short."""
    heads, values = (line.split("\t") for line in timing.read_text().splitlines()[:2])
    row = dict(zip(heads, values, strict=True))
    return float(row["s"] if row["cpu_time"] in ("-", "NA") else row["cpu_time"])


def handled(jobs: int, scheduler: str) -> float:
    """Return how many jobs that do nothing, all ready at once, Snakemake runs in a second, two at a time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Snakefile").write_text(
            f'rule all:\n    input: expand("{{i}}.txt", i=range({jobs}))\n'
            'rule one:\n    output: "{i}.txt"\n    resources: mem_mb=500, runtime=5\n    shell: ": > {output}"\n'
        )
        command = ("-m", "snakemake", "--cores", "2", "--scheduler", scheduler)
        nothing = run(folder, *command, "0.txt")
        return (jobs - 1) / (run(folder, *command).wall_s - nothing.wall_s)


def main() -> None:
    """Print the table, the law, and what a finished run of each size leaves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finish", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--scales", nargs="+", default=[scale.name for scale in SCALES])
    options = parser.parse_args()
    if options.finish:
        finish(options.finish)
        return
    left = left_behind(options.results.resolve())
    fresh_law, done_law = [], []
    for ready in (150, 600):
        rate, rival = handled(ready, "greedy"), handled(ready, "ilp")
        print(
            f"{ready} ready jobs that do nothing: {rate:.0f}/s, {rate / rival:.1f} times as many as by integer programs"
        )
    print(
        "scale    jobs  fresh: CPU s (wall)  MB   nothing to do: CPU s (wall)  MB   files     GB   work, core-hours"
        "   orchestration"
    )
    with tempfile.TemporaryDirectory() as name:
        for scale in (scale for scale in SCALES if scale.name in options.scales):
            folder = Path(name) / scale.name
            write_project(folder, scale)
            parsing = run(folder, "-m", "snakemake", "--list-rules").cpu_s
            fresh = dry_run(folder)
            jobs = jobs_of(fresh.said)
            run(folder, "-m", "benchmarks.scale", "--finish", str(folder))
            done = dry_run(folder)
            assert "Nothing to be done" in done.said, done.said[-3000:]
            kept = [left[rule] for rule in jobs.elements() if rule in left]
            missing = sum(n for rule, n in jobs.items() if rule not in left)
            n = jobs.total()
            work_s = sum(k[2] for k in kept)
            orchestration_s = fresh.cpu_s + n / rate
            fresh_law.append((n, fresh.cpu_s - parsing))
            done_law.append((n, done.cpu_s - parsing))
            print(
                f"{scale.name:5} {n:7,} {fresh.cpu_s:10.1f} ({fresh.wall_s:.0f}) {fresh.peak_mb:9.0f}"
                f" {done.cpu_s:17.1f} ({done.wall_s:.0f}) {done.peak_mb:12.0f}"
                f" {sum(k[0] for k in kept):9,.0f} {sum(k[1] for k in kept) / 1e9:6.2f}"
                f" {work_s / 3600:10.1f} {orchestration_s / (orchestration_s + work_s):14.1%}"
                + (f"   (without {missing} jobs of rules that the run in results/ had none of)" if missing else "")
            )
            print(f"      reading the rules {parsing:.1f} s; by rule: {dict(jobs.most_common(8))}", flush=True)
    for what, law in (("fresh", fresh_law), ("nothing to do", done_law)):
        if len(law) > 1:
            (few, before), (many, after) = law[-2:]
            exponent = math.log(after / before) / math.log(many / few)
            per_thousand = 1000 * (after - before) / (many - few)
            print(f"{what}, {few:,} to {many:,} jobs: exponent {exponent:.2f}, {per_thousand:.2f} s a thousand jobs")


if __name__ == "__main__":
    main()
