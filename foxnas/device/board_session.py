"""A session on one board of a rack: compared with the first board, its latencies stated as that one's."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device, DeviceLost
from foxnas.errors import FoxnasError
from foxnas.files.identity import Identity, changes, digest, require_same
from foxnas.files.journal import Journal
from foxnas.runner.server import RUNNER_VERSION

_log = logging.getLogger(__name__)

#: Times in a timing's row.
_TIMES = ("latency_ms", "p10_ms", "p90_ms", "mad_ms")

#: Timings of each reference probe; the shorter one counts, since a disturbance only adds time.
_ROUNDS = 2

#: What sessions call the reference model.
REFERENCE = "reference"


class BoardRefused(DeviceLost):
    """A board is there and may not stand beside the others; they can go on without it.

    `references` are the rows of the session's own reference that showed it.
    """

    def __init__(self, message: str, references: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.references = references


@dataclass(frozen=True)
class Comparison:
    """What boards are compared by, and the record of what each board took for it.

    Parameters
    ----------
    record
        A journal of one line per session: board, identity, and the time of every reference probe.
    first
        The board that the others are compared with.
    probes
        The models, by name.
    protocol, code
        How they are timed, and a digest of the code of the device's kind.
    max_difference
        Share by which a board may deviate.
    """

    record: Path
    first: str
    probes: Mapping[str, bytes]
    protocol: MeasurementProtocol
    code: str | None
    max_difference: float

    @property
    def standard(self) -> Identity | None:
        """What the first board was when it was last timed; None if it never was."""
        with self._opened() as book:
            return self._standard(book)

    def factor(self, board: str, identity: Identity, took_ms: dict[str, float]) -> float:
        """Record what a board took in this session, and return the ratio of its latencies to the first board's.

        It is the median over the reference probes, each by its median over all recorded sessions of the two boards.

        Raises
        ------
        BoardRefused
            In this session the board deviates by more than `max_difference`; it is not recorded.
        """
        with self._opened() as book:
            standard = identity if board == self.first else self._standard(book)
            assert standard is not None

            def usual(host: str, of: Identity) -> dict[str, float]:
                lines = [line for line in self._lines(book, host) if line["identity"] == of]
                return {name: median(line["took_ms"][name] for line in lines) for name in took_ms} if lines else {}

            if before := usual(self.first, standard):
                self.require_alike(board, _ratio(took_ms, before))
            book.append({**self._key, "board": board, "identity": identity, "took_ms": took_ms})
            return _ratio(usual(board, identity), usual(self.first, standard))

    def require_alike(self, board: str, ratio: float, references: Sequence[dict[str, Any]] = ()) -> None:
        """Raise BoardRefused when a board takes too much or too little of the time that it should take."""
        if abs(ratio - 1) > self.max_difference:
            raise BoardRefused(
                f"board {board}: its reference probes take {abs(ratio - 1):.1%} {'more' if ratio > 1 else 'less'} time "
                f"than they should beside board {self.first}, which is beyond max_board_difference "
                f"({self.max_difference:.4g}): calm it, cool it, or take it out of the device's hosts; if board "
                f"{self.first} was disturbed when it was first timed, delete {self.record}",
                references,
            )

    def _standard(self, book: Journal) -> Identity | None:
        lines = self._lines(book, self.first)
        return lines[-1]["identity"] if lines else None

    def _lines(self, book: Journal, board: str) -> list[dict[str, Any]]:
        return [line for line in book.records if line["board"] == board and self._key.items() <= line.items()]

    @cached_property
    def _key(self) -> dict[str, str | None]:
        """What times of a reference probe must have in common, each line of the record for itself."""
        models = digest({name: hashlib.sha256(content).hexdigest() for name, content in self.probes.items()})
        return {"protocol": self.protocol.digest, "runner": RUNNER_VERSION, "models": models, "code": self.code}

    @contextmanager
    def _opened(self) -> Iterator[Journal]:
        """Open the record for this process alone: the jobs of all boards write to it."""
        self.record.parent.mkdir(parents=True, exist_ok=True)
        with self.record.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with Journal(self.record, {}) as book:
                yield book


def reference_probes(folder: Path, make: Callable[[], Mapping[str, bytes]]) -> dict[str, bytes]:
    """Return the models in a folder, by name; those that `make` returns, which are then kept there, where it is none.

    All jobs of a device have the same, whatever space and size they measure: so a board that one job has timed need not
    be timed for another's sake before the others can be compared with it.
    """
    if not folder.is_dir():
        fresh = folder.with_name(f".{folder.name}.part-{os.getpid()}-{threading.get_ident()}")
        fresh.mkdir(parents=True, exist_ok=True)
        for name, content in make().items():
            (fresh / name).write_bytes(content)
        try:
            fresh.rename(folder)
        except OSError:  # another job was quicker
            shutil.rmtree(fresh)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def of_another_kind(identity: Identity, first: str, standard: Identity) -> str:
    """Return why what a board is may not stand beside the first one, empty if nothing is against it."""
    changed = changes(standard, identity)
    alike = "boards of one device must be alike: give it a device of its own"
    return f"is not of the kind of board {first}: {changed}; {alike}" if changed else ""


def _ratio(took_ms: Mapping[str, float], of_ms: Mapping[str, float]) -> float:
    return median(took_ms[name] / of_ms[name] for name in took_ms)


class BoardSession(Runner):
    """A session on a board. Its rows are stated as of the first board and have two more fields.

    ``board`` is the board's host and ``board_latency_ms`` the latency as it was timed there. Its identity is the first
    board's, as far as the two may differ: in what tells twins apart. `timings` is the number of those that count: a
    reference followed them.
    """

    def __init__(
        self,
        board: str,
        first: str,
        device: Device,
        protocol: MeasurementProtocol,
        sampled: Sequence[Identity],
        comparison: Comparison | None,
    ) -> None:
        super().__init__(device, protocol)
        self._board, self._first, self._sampled, self._comparison = board, first, sampled, comparison
        self._standard: Identity | None = None
        self._factor, self._usual_ms = 1.0, math.inf
        self._took_ms: dict[str, float] = {}
        self.timings = self._unwatched = 0

    def __enter__(self) -> BoardSession:
        super().__enter__()
        try:
            self._join()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """The board's identity, told from the first one's only where a session on it must be refused."""
        own = super().identity
        return own if self._standard is None else {**own, "machine": self._standard.get("machine")}

    def measure(self, label: str, model: bytes) -> dict[str, Any]:
        """Return the runner's row for one model, stated as of the first board.

        Raises BoardRefused when the reference shows, twice in a row, that the board has become another than it was.
        """
        row = self._stated(super().measure(label, model))
        if label == REFERENCE and self._comparison and "error" not in row:
            if math.isinf(self._usual_ms):
                self._confirm(self._comparison)
            usual_ms = self._usual_ms = min(self._usual_ms, row["latency_ms"])
            if row["latency_ms"] / usual_ms - 1 > self._comparison.max_difference:
                again = self._stated(super().measure(label, model))
                shorter_ms = min(row["latency_ms"], again.get("latency_ms", math.inf))
                self._comparison.require_alike(self._board, shorter_ms / usual_ms, (row, again))
                row = again
        self._unwatched += label != REFERENCE
        if label == REFERENCE:
            self.timings, self._unwatched = self.timings + self._unwatched, 0
        return row

    def _stated(self, row: dict[str, Any]) -> dict[str, Any]:
        if "error" in row:
            return {**row, "board": self._board}
        stated = {name: row[name] / self._factor for name in _TIMES}
        return {**row, **stated, "board": self._board, "board_latency_ms": row["latency_ms"]}

    def _join(self) -> None:
        """Hold the board against the first one. Raises FoxnasError where it may not stand beside it."""
        own = super().identity
        standard = own if self._board == self._first else self._known_standard()
        if standard is not None:
            self._standard = standard
            if unlike := of_another_kind(self.identity, self._first, standard):
                raise BoardRefused(f"board {self._board}: {unlike}")
        require_same(self.device.name, self._sampled, self.identity)
        self.hello["board"] = {"host": self._board}
        if self._comparison and standard is not None:
            took_ms = self._took_ms = self._time_probes(self._comparison.probes)
            self._factor = self._comparison.factor(self._board, own, took_ms)
            self.hello["board"] |= {"factor": self._factor, "took_ms": took_ms}
            if self._board != self._first:
                _log.info("board %s: %.3f times the latency of board %s", self._board, self._factor, self._first)

    def _confirm(self, comparison: Comparison) -> None:
        """Refuse a board that has become another since it was compared: later references go by the first alone."""
        if not self._took_ms:
            return
        name = min(self._took_ms, key=self._took_ms.__getitem__)  # the one that takes least
        for rounds in (1, _ROUNDS):
            ratio = self._time_probes({name: comparison.probes[name]}, rounds)[name] / self._took_ms[name]
            if abs(ratio - 1) <= comparison.max_difference:
                return
        comparison.require_alike(self._board, ratio)

    def _known_standard(self) -> Identity | None:
        if self._sampled:
            return self._sampled[0]
        return self._comparison.standard if self._comparison else None

    def _time_probes(self, probes: Mapping[str, bytes], rounds: int = _ROUNDS) -> dict[str, float]:
        took_ms: dict[str, list[float]] = {name: [] for name in probes}
        for _ in range(rounds):
            for name, content in probes.items():
                row = super().measure(f"reference probe {name}", content)
                if "error" in row:
                    raise FoxnasError(f"{self.device}: reference probe {name} cannot be run: {row['error']}")
                took_ms[name].append(row["latency_ms"])
        return {name: min(times) for name, times in took_ms.items()}
