"""What Snakemake overlooks beside inputs that are `ancient`.

Measurements take their upstream tables as ancient, so that a comment in the sampling's code measures nothing
again. When such an upstream job runs, Snakemake (9.27.1) takes everything downstream for settled and looks no
further, not even for changed params or code, although the run then stops at the ancient input. What had a reason
of its own to run stays as it was, and the command says that all is done; a second one would find it. A changed
`sampling.seed` sampled anew and kept the measurements of the old subnets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial, wraps
from typing import Any

from snakemake.dag import DAG

_original = DAG.update_needrun


@wraps(_original)
async def _update_needrun(dag: Any, *arguments: Any, **named: Any) -> None:
    """Do as Snakemake does, with another answer to what a running job carries along."""
    dag.bfs = partial(_carried_along, dag)
    try:
        await _original(dag, *arguments, **named)
    finally:
        del dag.bfs


def _carried_along(dag: Any, direction: Mapping[Any, Mapping[Any, set[Any]]], *jobs: Any) -> Iterator[Any]:
    """Yield the jobs and all that run because these run: not what takes their files as ancient."""
    waiting, seen = list(jobs), set(jobs)
    while waiting:
        job = waiting.pop()
        yield job
        for other, files in direction[job].items():
            if other not in seen and not all(file.is_ancient for file in files):
                seen.add(other)
                waiting.append(other)


def look_past_ancient_inputs() -> None:
    """Let this process' Snakemake see changes downstream of ancient inputs. Twice is as good as once."""
    DAG.update_needrun = _update_needrun
