"""The pages of README, docs/ and config/ as data: their links, headings, snippets and commands."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "index.md"
PAGES = (ROOT / "README.md", ROOT / "config" / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = "snakemake|python|pytest|make|pip|ssh|scancel|squeue|rm|sudo|docker|apptainer|snakedeploy|vcgencmd"


class Snippet(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


class Command(NamedTuple):
    """A command line of a page, from a fenced block or from within a sentence."""

    page: str
    text: str


def name(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def snippets(page: Path) -> list[Snippet]:
    """Every fenced block of a page, without its indentation."""
    found = _FENCE.findall(page.read_text())
    return [Snippet(name(page), language, textwrap.dedent(text)) for _, language, text in found]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def code(page: Path) -> list[str]:
    """What stands between backticks in sentences and tables."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def commands(page: Path) -> list[Command]:
    """Every command line of a page, comments removed and continued lines joined."""
    lines = [
        line.partition("  #")[0].strip()
        for snippet in snippets(page)
        if snippet.language == "sh"
        for line in re.sub(r"\\\n\s*", "", snippet.text).splitlines()
    ]
    inline = [text for text in code(page) if re.match(rf"(?:{_PROGRAMS}) ", text)]
    return [Command(name(page), line) for line in (*lines, *inline) if line]


def links(page: Path) -> list[tuple[Path, str]]:
    """The files of this repository that a page links to, each with the anchor or ''."""
    text = re.sub(r"`[^`\n]+`", "", prose(page))
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:", target)]
    parts = [target.partition("#") for target in targets]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
