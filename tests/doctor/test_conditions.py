"""What a device says of the conditions on it: what cannot be is not believed, and no word moves the cursor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from foxnas.device.transport import Device, Finished, Implausible
from foxnas.doctor.conditions import Conditions, ask_conditions
from foxnas.errors import FoxnasError
from tests.support.examined import CALM


class FakeBoard:
    """Answers what it is told to."""

    host = "SSH host fake"

    def __init__(self, answer: bytes, status: int = 0) -> None:
        self._done = Finished(status, answer, b"Illegal \x1b[31minstruction")

    def run(self, command: object, stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        return self._done


def told_by(answer: bytes, status: int = 0) -> Conditions:
    device: Any = Device("fake", FakeBoard(answer, status))  # type: ignore[arg-type]
    return ask_conditions(device, "python3", 0.0, None)


HONEST = CALM.model_dump(mode="json")


def test_an_honest_answer_is_believed_and_strange_words_are_one_line() -> None:
    changed = {**HONEST, "driver": "x\x1b[2J\ny", "more": "of a later version"}
    assert told_by(f"greeting\n{json.dumps(changed)}\n".encode()) == CALM.model_copy(update={"driver": "x [2J y"})


@pytest.mark.parametrize(
    "change",
    [
        {"bits": "64"}, {"bits": 0}, {"busy_cpus": -1.0}, {"busy_cpus": 1e300}, {"load": float("nan")},
        {"python": None}, {"temperatures_c": {"a": "hot"}}, {"temperatures_c": [1]}, {"busiest": [{"name": "x"}]},
        {"governors": "powersave"},
        {"clock_step_ns": -1}, {"machine": None}, {"virtual": 1}, {"swap_mb": 1.5}, {"throttled": ["a"]},
    ],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_an_answer_that_cannot_be_is_not_believed(change: dict[str, Any]) -> None:
    with pytest.raises(Implausible, match=r"device fake \(SSH host fake\): answered .*nothing of it is believed"):
        told_by(json.dumps({**HONEST, **change}).encode())


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b"", 132, r"python3 cannot tell about it \(status 132\): Illegal \[31minstruction"),
        (b"[1]", 0, "status 0"),
        (b'{"error": "OSError: no /tmp"}', 0, "OSError: no /tmp"),
        (b"[" * 100_000, 0, "status 0"),
    ],
)
def test_a_program_that_does_not_run_is_one_sentence(answer: bytes, status: int, said: str) -> None:
    with pytest.raises(FoxnasError, match=said):
        told_by(answer, status)
