"""A device's text, made fit for a terminal, a log and a page."""

from __future__ import annotations

import unicodedata

#: Longest text that is kept of a device's; what a compiler or a traceback says is longer, and ends in what matters.
LONGEST_TEXT = 600


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a device's text as one line that moves no cursor and colours nothing, its end where it is long."""
    line = " ".join(
        "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text[-4 * longest :]).split()
    )
    return line if len(line) <= longest else f"...{line[-longest:]}"
