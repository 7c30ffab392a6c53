"""The CPUs that a measurement is kept on: the kernel says which, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CPUS = sorted(os.sched_getaffinity(0))

PIN = """
import os, sys
from foxnas.runner.machine import pin
os.sched_setaffinity(0, {before})
try:
    pin({threads}, {cpu})
except ValueError as error:
    print(error)
print(sorted(os.sched_getaffinity(0)))
"""


def pinned(before: set[int], threads: int, cpu: int | None) -> list[str]:
    code = PIN.format(before=before, threads=threads, cpu=cpu)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout.split(
        "\n"
    )[:-1]


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
def test_a_cpu_that_is_kept_free_may_be_named() -> None:
    """As isolcpus keeps it: not among those that a process begins with, though the kernel lets it there."""
    assert pinned({CPUS[0]}, 1, CPUS[1]) == [f"[{CPUS[1]}]"]
    assert pinned({CPUS[1]}, 2, CPUS[0]) == [f"[{CPUS[0]}, {CPUS[0] + 1}]"]
    assert pinned({CPUS[0]}, 1, None) == [f"[{CPUS[0]}]"]
    assert pinned({CPUS[0], CPUS[1]}, 1, None) == [f"[{CPUS[1]}]"]


@pytest.mark.parametrize(("threads", "cpu"), [(1, 900), (1, 10**9), (2, CPUS[-1]), (900, None)])
def test_cpus_that_are_not_there_are_refused_and_change_nothing(threads: int, cpu: int | None) -> None:
    said, left = pinned(set(CPUS), threads, cpu)
    assert said == f"{threads} thread(s) from CPU {cpu} on: only CPUs {CPUS} are allowed here"
    assert left == str(CPUS)
