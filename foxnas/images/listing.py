"""The list of a folder's image files as the workflow writes it, for those who need nothing but what it says."""

from __future__ import annotations

from pathlib import Path

from foxnas.files.tables import read_provenance


def listed_classes(listing: Path | None) -> list[str]:
    """Return the classes' names, in the order of their numbers, of a list of images as the workflow writes it.

    There are none where there is no list. Raises FoxnasError when it is damaged.
    """
    return list(read_provenance(listing)["classes"]) if listing else []
