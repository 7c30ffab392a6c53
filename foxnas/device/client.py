"""Client of a runner: the host asks questions and gets answers instead of frames."""

from __future__ import annotations

import contextlib
import getpass
import logging
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.text import printable
from foxnas.device.transport import Device, DeviceLost, Implausible, RunnerDied, Stream
from foxnas.errors import FoxnasError
from foxnas.files.identity import require_same
from foxnas.runner.frames import FrameError, FrameReader, encode_frame
from foxnas.runner.packing import pack
from foxnas.runner.server import RUNNER_VERSION

_log = logging.getLogger(__name__)
#: Longest time that torch.compile is given for one network.
_COMPILING_S = 1800.0
#: Of a body: outputs are asked for in batches of 4 MB of images, each answered by some thousand numbers at most.
_LARGEST_ANSWER = 1 << 28
_STABLE = ("system", "architecture", "board", "cpu", "cores", "machine")


class _HostWasSilent(Exception):
    """The runner heard nothing for too long: this process was stopped, or the way stalled and came back."""


class Runner:
    """One session with a device: a runner process of its own, holding the machine's lock.

    A context manager. Every way in which the device can fail raises FoxnasError naming it; DeviceLost
    where trying again may help.
    """

    def __init__(self, device: Device, protocol: MeasurementProtocol) -> None:
        if (device.backend == "torch") != (protocol.torch is not None):
            raise FoxnasError(f"{device}: the protocol's torch options are for torch devices, and those need them")
        self.device, self.protocol = device, protocol
        self.hello: dict[str, Any] = {}
        self._stream: Stream | None = None
        self._frames = FrameReader(_LARGEST_ANSWER)
        self._said_after_s = 0.0

    def __enter__(self) -> Runner:
        self._stream = self.device.transport.start()
        try:
            said, _ = self._ask(
                {
                    "type": "hello",
                    "lock": self.device.lock,
                    "threads": self.protocol.threads,
                    "cpu": self.protocol.cpu,
                    "backend": self.device.backend,
                    "holder": f"{getpass.getuser()} on {socket.gethostname()}",
                    "idle_s": 2 * self.device.timeout_s,
                },
                answer="hello",
                during="start-up",
            )
            if said.get("runner") != RUNNER_VERSION:
                raise FoxnasError(
                    f"{self.device}: has runner version {printable(str(said.get('runner')), 60)}, this host needs "
                    f"{RUNNER_VERSION}: provision the device again"
                )
            self.hello = self._held("start-up", "hello", said)
            require_same(self.device.name, self.device.sampled, self.identity)
        except BaseException as error:
            self._stream.close()
            if isinstance(error, RunnerDied) and not error.killed:
                raise FoxnasError(str(error)) from None  # it would end in the same way again
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._stream
        try:
            if kind is None:
                self._ask({"type": "bye"}, answer="bye", during="the end of the session")
        except FoxnasError as late:
            _log.warning("%s", late)  # everything that was asked for has arrived
        finally:
            self._stream.close()

    @property
    def identity(self) -> dict[str, Any]:
        """What two sessions must have in common for their timings to be comparable.

        Temperature and throttling are not among it: they change by the minute, so every timing is judged by them and by
        the references beside it. No machine tells of its heat sink.
        """
        machine = self.hello["machine"]
        return {
            **{name: machine.get(name) for name in _STABLE},
            "kernel": machine.get("release"),
            "governor": (self.hello.get("state") or {}).get("governor"),
            **{name: self.hello.get(name) for name in ("backend", "runtime", "runtime_version", "accelerator")},
        }

    def measure(self, label: str, model: bytes) -> dict[str, Any]:
        """Return the runner's row for one model; a model that cannot be run gives a row with ``error``."""
        allowance_s = 2 * self.protocol.max_time_ms / 1000
        if self.protocol.torch and self.protocol.torch.compile:
            allowance_s += _COMPILING_S
        settings = {"settings": self.protocol.timing, "unpacked_bytes": len(model)}
        header = {"type": "measure", "id": label, **settings}
        asked = time.monotonic()
        row, _ = self._ask(header, pack(model), answer="result", during=f"probe {label}", allowance_s=allowance_s)
        if row.get("id") != label:
            said = printable(repr(row.get("id"))[:100])
            raise DeviceLost(self._complaint(f"probe {label}", f"the answer was for {said}"))
        waited_ms = 1000 * (time.monotonic() - asked)
        return self._held(f"probe {label}", "row", row, self.hello.get("timer_overhead_ns", 0), waited_ms)

    def open(self, model: bytes) -> dict[str, Any]:
        """Let the device open a model for `predict`. Returns `Predictor.description`. Raises FoxnasError."""
        settings = {"threads": self.protocol.threads, "xnnpack": self.protocol.xnnpack}
        answer, _ = self._ask({"type": "open", "settings": settings}, model, answer="opened", during="opening a model")
        described = self._held("opening a model", "opened", answer)
        if "error" in described:
            raise FoxnasError(f"{self.device}: the model cannot be run: {described['error']}")
        return described

    def predict(self, images: bytes) -> bytes:
        """Return the open model's raw outputs for the raw bytes of some images."""
        return self._ask({"type": "predict"}, images, answer="outputs", during="predicting")[1]

    def state(self) -> dict[str, Any]:
        """Return clock, governor, temperatures and load as they are now."""
        answer, _ = self._ask({"type": "state"}, answer="state", during="reading the machine's state")
        return self._held("reading the machine's state", "state", answer)

    def _held(self, during: str, kind: str, answer: dict[str, Any], *more: float) -> dict[str, Any]:
        """Return an answer that the schema takes."""
        if not self.device.checked:
            return answer
        from foxnas.device import schema  # pydantic, which an unchecked device does without

        check: Callable[..., dict[str, Any]] = getattr(schema, f"checked_{kind}")
        try:
            return check(answer, *more)
        except Implausible as error:
            raise Implausible(f"{self.device}, {during}: answered {error}; nothing of it is kept") from None

    def _ask(
        self, header: dict[str, Any], body: bytes = b"", *, answer: str, during: str, allowance_s: float = 0
    ) -> tuple[dict[str, Any], bytes]:
        assert self._stream
        timeout_s = self.device.timeout_s + allowance_s
        begun = time.monotonic()
        try:
            # If it is gone already, what it said before it went is still to be read.
            with contextlib.suppress(DeviceLost):
                self._stream.send(encode_frame(header, body), self.device.timeout_s)
            while True:
                got, content = self._next(time.monotonic() + timeout_s)
                if got["type"] == answer:
                    return got, content
                if got["type"] == "waiting":
                    self._wait_for(printable(str(got.get("holder")), 100), time.monotonic() - begun)
                elif got["type"] == "idle":
                    raise _HostWasSilent
                elif got["type"] == "fatal":
                    raise FoxnasError(self._complaint(during, str(got.get("error"))))
                else:
                    raise FrameError(f"a frame of type {got['type'][:40]!r} where {answer!r} was expected")
        except TimeoutError:
            raise DeviceLost(self._complaint(during, f"silent for {timeout_s:.0f} s")) from None
        except _HostWasSilent:
            raise DeviceLost(self._complaint(during, "the runner gave up waiting for this host")) from None
        except FrameError as error:
            raise DeviceLost(self._complaint(during, f"sent {error}; something else writes there")) from None
        except DeviceLost as error:
            ending = self._stream.ending()
            if ending.status is None:
                raise DeviceLost(f"{self.device}, {during}: {ending}") from None
            complaint = self._complaint(during, f"{error}, {ending}")
            raise RunnerDied(complaint, str(ending), ending.status < 0) from None

    def _wait_for(self, holder: str, waited_s: float) -> None:
        if waited_s > self.device.busy_s:
            raise FoxnasError(
                f"{self.device}: another session still measures there after {waited_s / 60:.0f} minutes: {holder}; "
                "wait for it, or end it, and run again"
            )
        if waited_s >= self._said_after_s:  # at once, then ever more rarely
            self._said_after_s = 2 * waited_s + 2
            _log.info(
                "%s: waiting, another session measures there: %s; giving up after %.0f minutes more",
                self.device, holder, (self.device.busy_s - waited_s) / 60,
            )  # fmt: skip

    def _next(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        assert self._stream
        while (frame := self._frames.next_frame()) is None:
            if time.monotonic() > deadline:  # what arrives all the time is no answer either
                raise TimeoutError
            data = self._stream.receive(max(deadline - time.monotonic(), 0))
            if not data:
                raise DeviceLost("the runner ended" + " in the middle of an answer" * self._frames.torn)
            self._frames.feed(data)
        return frame

    def _complaint(self, during: str, what: str) -> str:
        assert self._stream
        tail = printable(f"{self._frames.noise.decode(errors='replace')} {self._stream.stderr_tail()}")
        said = f"; its last words: {tail}" if tail else ""
        return f"{self.device}, {during}: {printable(what)}{said}"
