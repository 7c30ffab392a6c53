"""What is said of a file's text: of one that is none, and of one that a message repeats."""

from __future__ import annotations


def not_utf8(error: UnicodeDecodeError) -> str:
    """Return the sentence without the file's name."""
    return f"is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"


def quoted(text: str, longest: int = 300) -> str:
    """Return a text of a file as a message repeats it: in quotes, without control characters, cut where long."""
    return repr(text) if len(text) <= longest else f"{text[:longest]!r}..."


def shown(text: str, longest: int = 300) -> str:
    """Return the same without quotes, where it is short and one could print it."""
    return text if text.isprintable() and len(text) <= longest else quoted(text, longest)
