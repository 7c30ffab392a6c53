"""Which files a job reads: what an artefact records of them, and what a rule would read now."""

from __future__ import annotations

import hashlib
from typing import Any

#: Named inputs of a rule that its script is not told of: itself, and that its device is ready.
NO_OPTIONS = ("script", "code", "ready")

_OURS = "results/"


def named_files(input: Any) -> list[tuple[str, list[Any]]]:
    """Return the files that a rule's script is told of, by name. An input that is only waited for has no name."""
    named = [(name, files) for name, files in input.items() if name not in NO_OPTIONS]
    return [(name, [files] if isinstance(files, str) else list(files)) for name, files in named]


def input_sets(input: Any) -> dict[str, str]:
    """Return, by name, how many files of this workflow's own making a job reads, and a digest of which.

    They go by their place below the results, wherever those are; the user's own files go by their content.
    """
    sets = {}
    for name, files in named_files(input):
        places = sorted(place for file in files for _, found, place in [str(file).rpartition(_OURS)] if found)
        sets[name] = f"{len(places)} files {hashlib.sha256(' '.join(places).encode()).hexdigest()[:8]}"
    return sets
