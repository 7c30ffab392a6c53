"""A device whose environment has vanished is provisioned again, and the work goes on.

Provisioning runs as the rule's own command: measurements must not depend on the code that installs.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

from foxnas.device.transport import Finished, NotProvisioned, Stream, Transport
from foxnas.errors import FoxnasError

_log = logging.getLogger(__name__)


class Restored:
    """A transport to a device that was ready: whatever it has lost since then is put there again, once a start.

    `command` provisions it and writes `ready`, with its settings as they are now: it may be reached otherwise than it
    was then.
    """

    def __init__(self, transport: Transport, ready: Path, command: Sequence[str]) -> None:
        self._transport, self._ready, self._command = transport, ready, command

    @property
    def host(self) -> str:
        """How messages name the machine."""
        return self._transport.host

    def start(self) -> Stream:
        """Start one runner, on an environment made anew if the old one is gone."""
        try:
            return self._transport.start()
        except NotProvisioned as error:
            if not self._ready.exists():
                raise
            _log.warning("%s. It was ready once, so it is provisioned again", error)
            if subprocess.run(self._command, stdin=subprocess.DEVNULL).returncode:
                raise FoxnasError(f"{error}, which did not succeed; the lines above say why") from error
        return self._transport.start()

    def run(self, command: Sequence[str], stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        """Run a command in the home folder; see `Transport.run`."""
        return self._transport.run(command, stdin, timeout_s)

    def upload(self, content: bytes, path: str, timeout_s: float = 60.0) -> None:
        """Write a file on the device; see `Transport.upload`."""
        self._transport.upload(content, path, timeout_s)

    def close(self) -> None:
        """Give up whatever is kept open."""
        self._transport.close()
