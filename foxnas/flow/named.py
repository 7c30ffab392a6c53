"""Architectures that somebody names: their text is the name of a folder, and so of a target.

Imported while the DAG is built: nothing heavy may be reached from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foxnas.space.space import SearchSpace

#: What the wildcard ``arch`` may be: the text form of an architecture, of which Arch.id is a digest.
ARCH = r"r[1-9]\d*(?:_k\d+e\d+(?:\.k\d+e\d+)*)+"


def at_its_size(space: SearchSpace, pattern: str) -> Callable[[Any], str]:
    """Return the input function of a file of the image size that the wildcard ``arch`` has.

    It raises FoxnasError, naming the knob, for an architecture that is not of the space.
    """
    return lambda wildcards: pattern.replace("{size}", str(space.parse(wildcards.arch).image_size))
