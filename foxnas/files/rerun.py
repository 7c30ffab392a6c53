"""Commands that make files anew, as messages print them."""

from __future__ import annotations

from pathlib import Path


def rerun(*what: Path | str) -> str:
    """Return how to make files anew, or those of a rule: ``the same command with `--forcerun time_subnets```.

    Every file becomes a target, so what is named has to be of the current config: `*` for a space or an image size
    also finds what no rule makes any more.
    """
    return f"the same command with `--forcerun {' '.join(map(_typed, what))}`"


def _typed(what: Path | str) -> str:
    """Return a file as one types it: the copy of a file in a remote storage is asked for without its prefix."""
    parts = Path(what).parts
    if parts[:2] != (".snakemake", "storage"):
        return str(what)
    return str(Path(*parts[parts.index("results") :])) if "results" in parts else str(what)
