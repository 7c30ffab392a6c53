"""Small programs that run once on a device under its lock and answer with one JSON object on their last line."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from foxnas.device.text import printable
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError

_log = logging.getLogger(__name__)

#: Between two questions to a device that somebody measures on.
_PAUSE_S = 5.0

#: Runs the program from stdin and leaves nothing on the device; behind it on stdin is what the program is asked.
_FROM_STDIN = """
import runpy, sys, tempfile
with tempfile.NamedTemporaryFile(suffix=".pyz") as file:
    file.write(sys.stdin.buffer.read(int(sys.argv[1])))
    file.flush()
    runpy.run_path(file.name, run_name="__main__")
"""


def ask_program(
    device: Device,
    python: str,
    program: bytes,
    asked: Mapping[str, Any],
    failed: str,
    timeout_s: float,
    more: bytes = b"",
) -> dict[str, Any]:
    """Run a program that is sent to a device for this once, and return its answer.

    Parameters
    ----------
    python
        A Python of the device.
    program
        A Python zip application, as `foxnas.device.archive.archive` packs it.
    asked, more
        What it reads on stdin: one JSON object on a line, and bytes behind it.
    failed
        What is said of it where it does not run, as "cannot tell about the device".

    Raises
    ------
    DeviceLost
        When the device is gone, or the program has not ended after `timeout_s`.
    FoxnasError
        When the program does not run, or answers with an ``error``.
    """
    sent = program + json.dumps(asked).encode() + b"\n" + more
    done = device.transport.run([python, "-c", _FROM_STDIN, str(len(program))], sent, timeout_s)
    answer = last_object(done.stdout)
    if done.status or answer is None or "error" in answer:
        said = answer.get("error") if answer else done.stderr.decode(errors="replace")
        raise FoxnasError(f"{device}: {python} {failed} (status {done.status}): {printable(str(said))}")
    return answer


def last_object(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object on the last line, if there is one."""
    lines = text.decode(errors="replace").strip().splitlines()
    try:
        value = json.loads(lines[-1]) if lines else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def ask_until_free(
    device: Device, ask: Callable[[], dict[str, Any]], waits: Callable[[str], str], gives_up: Callable[[str], str]
) -> dict[str, Any]:
    """Return the first answer that is not ``{"busy": who measures}``.

    Parameters
    ----------
    waits, gives_up
        What is said, given who measures, when the waiting begins and when it has taken `device.busy_s`.

    Raises FoxnasError when somebody measures there for that long.
    """
    begun, told = time.monotonic(), False
    while "busy" in (answer := ask()):
        holder = printable(str(answer["busy"]), 100)
        if time.monotonic() - begun > device.busy_s:
            raise FoxnasError(gives_up(holder))
        if not told:
            _log.info("%s: %s", device, waits(holder))
            told = True
        time.sleep(min(_PAUSE_S, device.busy_s))
    return answer
