"""Several boards of one kind as one device: a session runs on a board that is free, and others replace a lost one."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from foxnas.device.board_session import BoardRefused, BoardSession, Comparison, reference_probes
from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device, DeviceLost, RunnerDied
from foxnas.errors import FoxnasError
from foxnas.runner.lock import lock_path

_log = logging.getLogger(__name__)

#: A lost board is passed over for a second, twice as long each time that it is lost before a timing of its session
#: counts, up to five minutes; a refused one for five minutes at once. So where a model is what no board survives, all
#: boards are out at last, and patience ends.
FIRST_OUT_S = 1.0
LONGEST_OUT_S = 300.0

_POLL_S = 0.2


@dataclass(frozen=True)
class Board:
    """One board of a rack.

    Parameters
    ----------
    host
        What messages and tables call it.
    device
        The way to it alone.
    lock
        Names the file of this host that a process locks while it measures there.
    """

    host: str
    device: Device
    lock: str


@dataclass
class Rack:
    """The boards of a device, and what this process knows about them.

    Parameters
    ----------
    boards
        Latencies are stated as the first one's.
    record
        The file in which every board's times for the reference probes are kept; these lie beside it.
    max_difference
        Share by which a board's reference probes may deviate from the first board's.
    probes
        Makes the reference probes, by name, where `code` has none yet: all jobs have those of the first one.
    code
        Digest of the code of the device's kind, in which two times must agree.
    """

    boards: Sequence[Board]
    record: Path
    max_difference: float
    probes: Callable[[], Mapping[str, bytes]]
    code: str | None = None
    _out: dict[str, _Out] = field(default_factory=dict)
    _wanted: Callable[[], Sequence[Board]] = list
    _left: bool = False
    _next: int = 0

    def comparison(self, protocol: MeasurementProtocol) -> Comparison:
        """Return what the boards are compared by. Raises FoxnasError."""
        first = self.boards[0]
        # Code that has changed may write models of another form, and read no others.
        name = "-".join(filter(None, ["probes", first.device.backend, self.code]))
        probes = reference_probes(self.record.parent / name, self.probes)
        return Comparison(self.record, first.host, probes, protocol, self.code, self.max_difference)

    def hands_over(self) -> bool:
        """Return whether a board was just passed over and another one can repeat its session; true once per board."""
        left, self._left = self._left, False
        return left and any(self._is_in(board) for board in self._wanted())

    @contextlib.contextmanager
    def take(self, wanted: Callable[[], Sequence[Board]]) -> Iterator[Board]:
        """Hold one of the boards that are `wanted`, which no other process of this host measures on; wait for one.

        Boards take turns, so that the sessions of one model are spread over them. While all are out, the one that has
        been out longest is tried. Raises FoxnasError when none is left that trying again may help.
        """
        self._wanted = wanted
        board, lock = self._free_one()
        self._next = self.boards.index(board) + 1
        with lock:
            yield board

    def put_out(self, board: Board, reason: FoxnasError, timings: int = 0) -> None:
        """Pass a board over for a while; `timings` says how many of the session that ended so count."""
        before = self._out.get(board.host)
        pause_s = FIRST_OUT_S if before is None or timings else min(2 * before.pause_s, LONGEST_OUT_S)
        out = _Out(time.monotonic(), pause_s if _may_return(reason) else LONGEST_OUT_S, reason)
        self._out[board.host], self._left = out, True
        board.device.transport.close()
        _log.warning("%s. Board %s is passed over for %.0f s", str(reason).rstrip("."), board.host, out.pause_s)

    def take_back(self, board: Board) -> None:
        """Trust a board again, which has made a whole session."""
        self._out.pop(board.host, None)

    def _is_in(self, board: Board) -> bool:
        out = self._out.get(board.host)
        return out is None or time.monotonic() >= out.since + out.pause_s

    def _free_one(self) -> tuple[Board, BinaryIO]:
        begun, said = time.monotonic(), False
        while True:
            wanted = self._wanted()
            for board in self._in_turn(wanted):
                if lock := _locked(board.lock):
                    return board, lock
            waited_s, busy_s = time.monotonic() - begun, self.boards[0].device.busy_s
            name = self.boards[0].device.name
            if waited_s > busy_s:
                raise FoxnasError(
                    f"device {name}: other jobs still measure on all of its boards after {busy_s / 60:.0f} minutes; "
                    "wait for them, or end them, and run again"
                )
            if not said:
                said = True
                _log.info("device %s: waiting, other jobs measure on %s", name, ", ".join(b.host for b in wanted))
            time.sleep(_POLL_S)

    def _in_turn(self, wanted: Sequence[Board]) -> Sequence[Board]:
        """Return the boards to try, the next in turn first. Raises FoxnasError."""
        turn = self._next % len(self.boards)
        order = [board for board in (*self.boards[turn:], *self.boards[:turn]) if board in wanted]
        if ready := [board for board in order if self._is_in(board)]:
            return ready
        if lost := [board for board in order if _may_return(self._out[board.host].reason)]:
            return sorted(lost, key=lambda board: self._out[board.host].since)[:1]
        reasons = "; ".join(str(self._out[board.host].reason) for board in order)
        raise FoxnasError(f"device {self.boards[0].device.name}: no board is left: {reasons}")


@dataclass(frozen=True, kw_only=True)
class RackDevice(Device):
    """The boards of a rack as one device; `transport` leads to the first."""

    rack: Rack

    def hands_over(self) -> bool:
        """Return whether another board takes over."""
        return self.rack.hands_over()


class _Out(NamedTuple):
    """Since when, for how long and why a board is passed over."""

    since: float
    pause_s: float
    reason: FoxnasError


def _may_return(reason: FoxnasError) -> bool:
    return isinstance(reason, DeviceLost) and not isinstance(reason, BoardRefused)


def _locked(name: str) -> BinaryIO | None:
    """Return a file that holds a lock of this host until it is closed; None while another process has it."""
    # Of this user's own: whoever else measures there is met at the lock on the board itself.
    path = lock_path(f"board-{os.getuid()}-{name}")
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextlib.contextmanager
def open_session(device: Device, protocol: MeasurementProtocol, compared: bool = False) -> Iterator[Runner]:
    """Start a session on a device: of a rack, on a board that is free.

    Parameters
    ----------
    compared
        Whether latencies are measured: a rack's board is then compared with the first one.

    Raises
    ------
    DeviceLost
        When the device, or the board, is gone; `retrying.persist` turns to another board.
    """
    if not isinstance(device, RackDevice):
        with Runner(device, protocol) as runner:
            yield runner
        return
    rack, first = device.rack, device.rack.boards[0]
    comparison = rack.comparison(protocol) if compared else None

    def wanted() -> Sequence[Board]:
        # Nothing can be compared with the first board before it was timed.
        return rack.boards if comparison is None or comparison.standard else [first]

    with rack.take(wanted) as board, contextlib.ExitStack() as stack:
        try:
            session = BoardSession(board.host, first.host, board.device, protocol, device.sampled, comparison)
            stack.enter_context(session)
        except FoxnasError as error:
            rack.put_out(board, error)
            if isinstance(error, DeviceLost):
                raise
            raise DeviceLost(str(error)) from error
        try:
            yield session
        except RunnerDied:
            raise  # perhaps the model's doing, which is no reason to leave the board
        except DeviceLost as error:
            rack.put_out(board, error, session.timings)
            raise
        rack.take_back(board)
