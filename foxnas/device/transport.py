"""Transports start a runner somewhere and carry its bytes, whatever they mean."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from foxnas.errors import FoxnasError


class DeviceLost(FoxnasError):
    """The runner or the way to it is gone. What was measured before is kept; trying again may help."""


class RunnerDied(DeviceLost):
    """The runner ended by itself or was killed, while the way to it stood.

    `ending` says how; with an exit status of its own, rather than a signal, it is not `killed`.
    """

    def __init__(self, message: str, ending: str, killed: bool) -> None:
        super().__init__(message)
        self.ending, self.killed = ending, killed


class Implausible(DeviceLost):
    """The device answered what cannot be: the session ends, nothing of it is kept, and another one is tried."""


class NotProvisioned(FoxnasError):
    """The device lacks what provisioning puts there, or has lost it."""


@dataclass(frozen=True)
class Ending:
    """How a runner ended: its exit status (negative: the signal that killed it); None where nobody could say."""

    status: int | None

    def __str__(self) -> str:
        if self.status is None:
            return "the connection was cut"
        if self.status >= 0:
            return f"exit status {self.status}"
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-self.status).name}"
        return f"killed by signal {-self.status}"


class Stream(Protocol):
    """A running runner: its stdin, its stdout, and the end of its stderr."""

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write all of `data`. Raises DeviceLost when the other end is gone, TimeoutError when it stalls."""

    def receive(self, timeout_s: float) -> bytes:
        """Return some bytes, none at the end of the stream. Raises TimeoutError."""

    def stderr_tail(self) -> str:
        """Return the last lines that the runner, or what it loaded, wrote to stderr."""

    def ending(self) -> Ending:
        """Return how the process ended, after the stream did."""

    def close(self) -> None:
        """Close both directions and leave no process behind."""


#: Bytes of the end of a program's stderr that are kept.
STDERR_TAIL = 2000

#: Of a command's stdout: ours write some lines, or the listing of a folder.
MOST_OUTPUT = 16 << 20


def require_bounded(host: str, program: str, written: int) -> None:
    """Raise FoxnasError when a command wrote more than `MOST_OUTPUT`."""
    if written > MOST_OUTPUT:
        raise FoxnasError(
            f"{host}: {program} wrote more than {MOST_OUTPUT >> 20} MB; is it the right program, and does the login "
            "shell's start-up write nothing without end?"
        )


@dataclass(frozen=True)
class Finished:
    """How a command on the device ended: its exit status (negative: the signal that killed it) and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


class Transport(Protocol):
    """Starts the runner somewhere, and runs the commands that prepare for it."""

    @property
    def host(self) -> str:
        """How messages name the machine."""

    def start(self) -> Stream:
        """Start one runner. Raises FoxnasError when that is impossible, DeviceLost when it may work later."""

    def run(self, command: Sequence[str], stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        """Run a command in the home folder, its words taken literally by whatever shell is in between.

        A command that ends with an error status is no error of the transport. Raises DeviceLost when the device
        is gone, or when the command has not ended after `timeout_s`, FoxnasError when it writes more than
        `MOST_OUTPUT`. Of its stderr the end is kept.
        """

    def upload(self, content: bytes, path: str, timeout_s: float = 60.0) -> None:
        """Write a file on the device, whole or not at all, with the folder it lies in.

        A relative path starts at the home folder. Raises FoxnasError with the device's own words when it cannot
        be written, DeviceLost when the device is gone.
        """

    def close(self) -> None:
        """Give up whatever is kept open; the next use opens it anew."""


@dataclass(frozen=True)
class Device:
    """Something to measure on.

    Parameters
    ----------
    name
        Names it in config and files.
    transport
        The way to it.
    backend
        Which of the runner's backends times the models.
    lock
        Devices of one machine that share this name are never measured at once.
    timeout_s
        Longest silence, beyond the time that measuring itself may take, before the device counts as lost.
    busy_s
        Longest wait while another session measures there.
    away_s
        How long a lost device is tried again without any progress; 0 gives up at once.
    sampled
        Identities of what measured the sample. A session with anything else is refused.
    checked
        Whether answers are held to `foxnas.device.schema`, which needs pydantic. False only for a runner of this very
        process' own making, where nothing else is installed.
    """

    name: str
    transport: Transport
    backend: str = "tflite"
    lock: str = "machine"
    timeout_s: float = 60.0
    busy_s: float = 3600.0
    away_s: float = 0.0
    sampled: Sequence[Mapping[str, Any]] = ()
    checked: bool = True

    def __str__(self) -> str:
        return f"device {self.name} ({self.transport.host})"

    def hands_over(self) -> bool:
        """Return whether the session that was just lost can be repeated at once, on another board."""
        return False
