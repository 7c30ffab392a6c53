"""A device over SSH: the runner is a program there, its stdin and stdout a channel."""

from __future__ import annotations

from collections.abc import Sequence

from foxnas.device import layout
from foxnas.device.archive import RunBy, runner_archive
from foxnas.device.config import SshConfig
from foxnas.device.ssh.authentication import Secret
from foxnas.device.ssh.connection import Connection, safe_path
from foxnas.device.ssh.resolution import hops_to
from foxnas.device.ssh.stream import SshStream
from foxnas.device.transport import Finished, NotProvisioned
from foxnas.errors import FoxnasError


class SshTransport:
    """Runs the runner on `config.host`, over one connection that is opened when it is needed and reused."""

    def __init__(self, config: SshConfig, kind: str, backend: str = "") -> None:
        self.config, self._ran = config, RunBy(kind, backend)
        self._secret = Secret(config.password, f"SSH host {config.host}")
        self._connection: Connection | None = None

    @property
    def host(self) -> str:
        """How messages name the machine."""
        return f"SSH host {self.config.host}"

    @property
    def folder(self) -> str:
        """Where everything of ours lies on the device; relative to the home folder unless absolute."""
        return safe_path(self.config.folder)

    @property
    def python(self) -> str:
        """The Python that runs the runner there."""
        return safe_path(self.config.python or str(layout.python(self.folder, self._ran.name)))

    @property
    def connection(self) -> Connection:
        """The connection, made anew if there is none or the last one broke."""
        if self._connection is None or not self._connection.alive:
            self.close()
            c = self.config
            self._connection = Connection(hops_to(c.host, c.user, c.port, c.config_file), self._secret)
        return self._connection

    def run(self, command: Sequence[str], stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        """Run a command in the home folder, every word quoted."""
        return self.connection.run(command, stdin, timeout_s)

    def upload(self, content: bytes, path: str, timeout_s: float = 60.0) -> None:
        """Write a file on the device, whole or not at all; see `Connection.upload`."""
        self.connection.upload(content, path, timeout_s)

    def start(self) -> SshStream:
        """Start one runner, uploading it first if this version of it is not there."""
        archive = runner_archive(self._ran)
        path = safe_path(str(layout.keyed(self.folder, "runner.pyz", archive)))
        script = 'command -v "$1" >/dev/null || exit 3; [ -s "$2" ] || exit 4'
        status = self.run(["/bin/sh", "-c", script, "sh", self.python, path]).status
        if status == 3:
            if self.config.python:
                raise FoxnasError(f"{self.host}: has no Python at {self.python}: correct ssh.python, or set it to null")
            raise NotProvisioned(f"{self.host}: has no Python at {self.python}: provision the device")
        if status:
            self.upload(archive, path)
        return self.connection.stream([self.python, "-u", path])

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._connection:
            self._connection.close()
            self._connection = None
