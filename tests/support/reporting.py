"""Order of the tests, and a line for each room at the end."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

#: Files of more than a minute, longest first: started first, so that all workers end together.
LONG_FIRST = (
    "workflow/test_kills.py",
    "workflow/test_slurm.py",
    "workflow/test_remote_storage.py",
    "workflow/test_tiny_run.py",
    "workflow/test_ecosystem.py",
    "workflow/test_invalidation.py",
    "workflow/test_interruptions.py",
    "workflow/test_invalidation_reruns.py",
    "workflow/test_invalidation_code.py",
    "edgetpu/test_edgetpu_run.py",
    "flow/test_resources.py",
)


def room_of(nodeid: str) -> str:
    """Return the room of a test: the folder below tests/, else its file."""
    parts = Path(nodeid.split("::")[0]).parts
    return parts[1].removesuffix(".py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first; the order within a file stays. `--dist loadfile --no-loadscope-reorder` keeps to it."""
    place = {name: number for number, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.split("::")[0].removeprefix("tests/"), len(place)))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write a line for each room: how many tests passed, failed and were skipped, and the seconds they took."""
    counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for kind, reports in terminalreporter.stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                room = counts[room_of(report.nodeid)]
                room[kind or "other"] += report.when == "call" or kind in ("skipped", "error")
                room["seconds"] += report.duration
    if not counts:
        return
    terminalreporter.section("rooms")
    for name, room in sorted(counts.items(), key=lambda item: -item[1]["seconds"]):
        bad = "".join(f", {room[kind]:.0f} {kind}" for kind in ("failed", "error", "skipped") if room[kind])
        terminalreporter.line(f"{name:12}{room['passed']:5.0f} passed{bad}, {room['seconds']:.0f} s")
