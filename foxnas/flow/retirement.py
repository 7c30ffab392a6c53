"""Journals of finished jobs, put aside: what runs again then, because somebody wants it to, is measured again.

By the process of the run and not by the jobs: a job's files count only once Snakemake has recorded them, and what was
killed a moment before that continues from its journal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foxnas.files.journal import retire
from foxnas.flow import snakemake_private
from foxnas.flow.snakemake_private import logger

#: Rules of one budget each, whose sessions are held in common by another rule before.
CONFIRMING = ("confirm_latency", "confirm_compiled_latency")


def retire_journals(workflow: Any) -> None:
    """Put aside every journal of a job that has all of its files, when a run starts and when it ends."""
    for path in snakemake_private.finished_journals(workflow):
        try:
            retire(Path(path))
        except OSError as error:
            logger.warning(f"{path}: cannot be put aside ({error.strerror}); delete it to measure again")


def begin_journals(workflow: Any) -> None:
    """Begin the journals of the budgets that this run confirms: by them the job of all budgets knows which they are."""
    for path in map(Path, snakemake_private.journals_to_write(workflow, CONFIRMING)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
