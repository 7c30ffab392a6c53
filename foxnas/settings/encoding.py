"""What is said of a file that is read as text and is none."""

from __future__ import annotations


def not_utf8(error: UnicodeDecodeError) -> str:
    """Return the sentence without the file's name."""
    return f"is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
