"""Answers that no device can give, one at a time, and the sentence that each gets.

`python -m tests.support.bad_answers` writes docs/evidence/bad-answers.md anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from foxnas.device.schema import checked_hello, checked_opened, checked_row
from foxnas.device.text import printable
from foxnas.device.transport import Implausible
from foxnas.runner.frames import FrameError, FrameReader
from foxnas.runner.server import RUNNER_VERSION
from tests.support.fake_answers import framed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evidence" / "bad-answers.md"

#: Of an honest device.
ROW = {
    "latency_ms": 1.0, "p10_ms": 0.9, "p90_ms": 1.2, "mad_ms": 0.01, "runs": 50, "preempted_percent": 2.0,
    "peak_memory_mb": 9.0, "fallback_operators": 0, "clock_mhz": None, "device_ms": 60.0,
}  # fmt: skip
HELLO = {
    "runner": RUNNER_VERSION, "backend": "tflite", "runtime": "LiteRT", "runtime_version": "2.3", "accelerator": None,
    "timer_overhead_ns": 60, "machine": {"cpu": "Cortex-A72", "cores": 4}, "state": {"temperatures_c": {"cpu": 45.5}},
}  # fmt: skip
OPENED = {
    "image_shape": [16, 16, 1], "image_dtype": "uint8", "output_shape": [10], "output_dtype": "int8", "scale": 0.1,
    "zero_point": -3,
}  # fmt: skip

#: Of a timing: what no timing can be.
HOSTILE: list[tuple[str, Any]] = [
    *(("latency_ms", value) for value in (0, None, "1.0", -1, 1e-300, 4e-5, float("nan"), float("inf"), True, [], {})),
    ("latency_ms", 1e9), ("latency_ms", "x" * 10**6), ("p10_ms", 2.0), ("p10_ms", None), ("p90_ms", 0.5),
    ("mad_ms", -1), ("mad_ms", float("nan")), ("runs", 0), ("runs", 2.5), ("runs", 10**12), ("runs", "50"),
    ("preempted_percent", 101), ("preempted_percent", -1), ("peak_memory_mb", -1), ("peak_memory_mb", 1e300),
    ("energy_mj", float("inf")), ("batch", 0), ("dtype", 3), ("executor", ["x"]), ("fallback_operators", -1),
    ("clock_mhz", -1), ("temperature_c", -1e6), ("temperature_c", 1e6), ("throttled", 1), ("device_ms", 1e9),
    ("device_ms", float("nan")), ("error", None), ("error", ""), ("error", {"deep": 1}),
]  # fmt: skip


#: Fields of a timing without which it is none.
NEEDED = ("latency_ms", "p10_ms", "p90_ms", "mad_ms", "runs", "preempted_percent")

#: Of what a runner says of itself.
HELLOS: list[dict[str, Any]] = [
        {"runtime": None}, {"runtime_version": 2}, {"machine": None}, {"machine": {"cpu": {"a": 1}}},
        {"machine": {"cores": -1}}, {"state": []}, {"state": {"load": float("nan")}},
        {"state": {"temperatures_c": {"cpu": "hot"}}}, {"state": {"affinity": [0.5]}}, {"timer_overhead_ns": -1},
        {"timer_overhead_ns": 1e300}, {"state": {"temperatures_c": {str(n): 1.0 for n in range(300)}}},
    ]  # fmt: skip

#: Of a model that was opened to be asked.
MODELS: list[dict[str, Any]] = [
        {"image_shape": []}, {"image_shape": [0]}, {"image_shape": [10**9]}, {"image_dtype": "object"},
        {"output_dtype": "V8"}, {"output_shape": None}, {"scale": float("nan")}, {"zero_point": 1 << 40},
    ]  # fmt: skip

#: Lines in place of an answer, behind a checksum that is right.
LINES = [
    b'{"type": "result", "id": "p00", "latency_ms": 1e999, "size": 0}',
    b'{"type": "result", "size": 0}',
    b'{"type": "result", "deep": ' + b"[" * 200_000 + b"]" * 200_000 + b', "size": 0}',
    b'{"type": "result", "size": 1000000000}',
    b'{"type": "result", "size": ' + b"9" * 5000 + b"}",
    b'{"type": ["result"], "size": 0}',
    b'{"type": "' + b"y" * 500_000 + b'", "size": 0}',
]  # fmt: skip

_INTRODUCTION = """# Answers that no device can give

What a device answers is held to the possible before it is written down: finite, positive, no shorter than its clock
can tell (here 60 ns), no longer than this host has waited (here 70 ms, and a second of grace). Each of these %d answers
ended the session with the device's name, what it was doing, and the words on the right; no number of it was journalled,
and an honest device went on from what was (`tests/device/test_schema.py`). `python -m tests.support.bad_answers` writes
this page.

| what | answered | said |
|---|---|---|
"""


def refusals() -> Iterator[tuple[str, str, str]]:
    """Yield what was answered to which question, and what is said of it."""
    for name, value in HOSTILE:
        yield "a timing", f"{name}: {_shown(value)}", _said(checked_row, {**ROW, name: value}, 60, 70.0)
    for name in NEEDED:
        without = {other: value for other, value in ROW.items() if other != name}
        yield "a timing", f"no {name}", _said(checked_row, without, 60, 70.0)
    for change in HELLOS:
        yield "itself", _shown(change), _said(checked_hello, {**HELLO, **change})
    for change in MODELS:
        yield "a model", _shown(change), _said(checked_opened, {**OPENED, **change})
    for line in LINES:
        yield "a line", _shown(line.decode()), _of_line(line)


def page() -> str:
    """Return the text of docs/evidence/bad-answers.md."""
    rows = [f"| {what} | `{answered}` | {said} |" for what, answered, said in refusals()]
    return _INTRODUCTION % len(rows) + "\n".join(rows).replace("\\", "\\\\") + "\n"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) and value.startswith("{") else json.dumps(value)
    return (text if len(text) <= 60 else f"{text[:40]}... ({len(text):,} characters)").replace("|", "/")


def _said(check: Callable[..., Any], *asked: Any) -> str:
    try:
        check(*asked)
    except Implausible as refusal:
        return str(refusal)
    raise AssertionError(f"taken: {asked}")


def _of_line(line: bytes) -> str:
    reader = FrameReader(1 << 28)
    reader.feed(framed(line))
    try:
        frame = reader.next_frame()
    except FrameError as refusal:
        return printable(str(refusal))
    return _said(checked_row, frame[0], 60, 70.0) if frame else "waited for, as long as `patience.silence_s` says"


if __name__ == "__main__":
    PAGE.write_text(page())
