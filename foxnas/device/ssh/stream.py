"""A program on the device: its stdin and stdout over one channel of the connection."""

from __future__ import annotations

import contextlib
import threading
import time

import paramiko
from paramiko.ssh_exception import SSHException

from foxnas.device.transport import STDERR_TAIL, DeviceLost, Ending

#: Longest wait for the other end to close a channel.
_CLOSING_S = 2.0


class SshStream:
    """The channel of a running program, with time limits."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._errors = bytearray()

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write all of `data`."""
        # A full TCP buffer blocks inside paramiko, where the channel's own timeout does not reach.
        transport = self._channel.get_transport()
        late = threading.Timer(timeout_s, transport.close)
        late.daemon = True
        late.start()
        deadline = time.monotonic() + timeout_s
        view = memoryview(data)
        try:
            while view:
                self._channel.settimeout(max(deadline - time.monotonic(), 0.001))
                sent = self._channel.send(view)  # type: ignore[arg-type]
                if not sent:
                    raise DeviceLost("the runner ended")
                view = view[sent:]
        except TimeoutError:
            raise
        except (OSError, EOFError, SSHException):
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            raise DeviceLost("the runner ended" if transport.is_active() else "the connection was cut") from None
        finally:
            late.cancel()

    def end_input(self) -> None:
        """Close the program's stdin."""
        with contextlib.suppress(OSError, EOFError, SSHException):
            self._channel.shutdown_write()

    def receive(self, timeout_s: float) -> bytes:
        """Return some bytes, none at the end of the stream."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            self._channel.settimeout(min(max(left, 0.001), 0.5))
            try:
                return self._channel.recv(1 << 16)
            except TimeoutError:
                self._drain_errors()  # its window is finite: nobody else reads it
                if left <= 0:
                    raise

    def _drain_errors(self) -> None:
        while self._channel.recv_stderr_ready():
            self._errors += self._channel.recv_stderr(1 << 16)
            del self._errors[:-STDERR_TAIL]

    def stderr_tail(self) -> str:
        """Return the last lines that the program wrote to stderr."""
        self._drain_errors()
        return self._errors.decode(errors="replace").strip()

    def ending(self, timeout_s: float = 5.0) -> Ending:
        """Return how the program ended, after the stream did."""
        if not self._channel.status_event.wait(timeout_s) or self._channel.exit_status < 0:
            return Ending(None)
        status = self._channel.exit_status
        return Ending(128 - status if status > 128 else status)  # how the shell around it tells of a signal

    def close(self) -> None:
        """Close both directions; a runner ends when its stdin does.

        The other end is waited for: until it has closed, too, a server with `MaxSessions 1` opens no other session.
        """
        self.end_input()
        until = time.monotonic() + _CLOSING_S
        transport = self._channel.get_transport()
        while not self._channel.closed and transport.is_active() and time.monotonic() < until:
            time.sleep(0.01)
        with contextlib.suppress(OSError, EOFError, SSHException):
            self._channel.close()
