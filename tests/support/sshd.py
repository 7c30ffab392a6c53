"""A real OpenSSH server on loopback: an ordinary process with keys, port and configuration of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from foxnas.device.config import SshConfig
from foxnas.runner.frames import FrameReader


def find_sshd() -> str:
    """Return the server's absolute path, which it insists on; skip the test where there is none."""
    found = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if found is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs OpenSSH's server: apt-get install openssh-server (it need not run)")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "", *more: str) -> Path:
    """Make a key pair with OpenSSH's own tool."""
    path.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path), *more]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


class Sshd:
    """The server, what a client needs to get in, and a board behind it that measures for real.

    `board` is the device's folder there. Its python is a script, so that a test can break what lies beneath
    it; it keeps a copy of every byte that a runner sends, which is what tables are held against.
    Shells there have a home folder of their own: what a user's .bashrc does can take longer than a login.
    """

    def __init__(self, folder: Path, python: str, prelude: str = "") -> None:
        self.folder, self._sshd, self.port = folder, find_sshd(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.host_key, self.key = make_key(folder / "host_key"), make_key(folder / "id")
        self.authorized = folder / "authorized_keys"
        self.authorized.write_text(Path(f"{self.key}.pub").read_text())
        self.known_hosts = folder / "known_hosts"
        self.board = folder / "board; touch harm"
        self.board.mkdir()
        self.sent = folder / "sent.bin"
        self.home = folder / "home"
        self.home.mkdir()
        self._python = python
        self.set_prelude(prelude)
        self._process: subprocess.Popen[bytes] | None = None
        self._pam = "no"
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it confines itself before a login

    def set_prelude(self, shell: str) -> None:
        """Put shell lines before every start of the board's python."""
        script = self.board / "python"
        fresh = self.board / "python.new"
        fresh.write_text(
            f"#!/bin/bash\n{shell}\nset -o pipefail\n'{self._python}' \"$@\" | tee -p -a '{self.sent}'\nexit $?\n"
        )
        fresh.chmod(0o755)
        fresh.replace(script)

    def start(self, *extra: str) -> Sshd:
        """Start it, with more lines of sshd_config(5); return when it answers and lets us in."""
        self._start(*extra)
        if "account is locked" in self._first_login():
            # Some accounts have no password and are locked for that; PAM minds their expiry only.
            self.kill()
            self._pam = "yes"
            self._start(*extra)
        return self

    def _first_login(self) -> str:
        if self._pam == "no" and os.geteuid() != 0:
            options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"]
            words = [*(f"-o{option}" for option in options), "-p", str(self.port), "-i", str(self.key), "127.0.0.1"]
            subprocess.run(["ssh", "-F", "none", *words, "true"], capture_output=True, check=False)
        return (self.folder / "log").read_text()

    def _start(self, *extra: str) -> None:
        config = self.folder / "sshd_config"
        lines = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.host_key}", f"UsePAM {self._pam}",
            "StrictModes no", f"AuthorizedKeysFile {self.authorized}", f"PidFile {self.folder}/pid",
            "PermitRootLogin yes", "PasswordAuthentication no", "MaxStartups 100", "LogLevel VERBOSE",
            f"SetEnv HOME={self.home}", *extra,
        ]  # fmt: skip
        # Newer servers shut out an address that fails too often, which is what these tests do.
        lines += [line for line in ["PerSourcePenalties no"] if self._knows(line)]
        config.write_text("\n".join([*lines, ""]))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._sshd, "-D", "-e", "-f", str(config)], stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def _knows(self, line: str) -> bool:
        command = [self._sshd, "-t", "-f", "/dev/null", "-h", str(self.host_key), "-o", line.replace(" ", "=", 1)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill the server and all that it started at once, as a power cut does; our record alone is finished."""
        if self._process is None:
            return
        family = [psutil.Process(self._process.pid)]
        family += family[0].children(recursive=True)
        for process in family:
            try:
                if process.name() == "tee":
                    continue
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        psutil.wait_procs(family[1:], timeout=5)
        self._process = None

    def runners(self) -> list[psutil.Process]:
        """The runner processes on the board."""
        assert self._process
        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if words[:1] == [self._python] and any(word.endswith(".pyz") for word in words):
                found.append(process)
        return found

    def rows_sent(self) -> list[dict]:
        """Every result that any runner put on its stdout, whether or not it arrived."""
        rows = []
        for chunk in self._sessions():
            reader = FrameReader()
            reader.feed(chunk)
            try:
                while frame := reader.next_frame():
                    if frame[0]["type"] == "result":
                        rows.append(frame[0])
            except Exception:  # what a test broke on purpose ends this session's record
                continue
        return rows

    def _sessions(self) -> Iterator[bytes]:
        """Cut the copy into runs of whole lines that are frames; a result's frame has no body."""
        content = self.sent.read_bytes() if self.sent.exists() else b""
        return (line + b"\n" for line in content.split(b"\n") if line.startswith(b"foxnas "))

    def logins(self) -> int:
        """How often somebody has logged in since the server was made."""
        return (self.folder / "log").read_text().count("Accepted publickey")

    def accept_host_key(self, port: int | None = None, key: Path | None = None) -> None:
        """Write the known_hosts line that a careful person would."""
        kind, content = Path(f"{key or self.host_key}.pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{port or self.port} {kind} {content}\n")

    def client(self, port: int | None = None, name: str = "board", *, accept: bool = True, **more: str) -> SshConfig:
        """Write an ssh_config(5) that leads here, through `port` if given, and return a device's entry for it."""
        if accept:
            self.accept_host_key(port)
        lines = {
            "HostName": "127.0.0.1",
            "Port": str(port or self.port),
            "User": getpass.getuser(),
            "IdentityFile": str(self.key),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "ConnectTimeout": "3",
            **more,
        }
        config = self.folder / f"config-{name}"
        config.write_text("\n".join([f"Host {name}", *(f"  {key} {value}" for key, value in lines.items()), ""]))
        return SshConfig(
            host=name.split()[0], user=None, port=None, config_file=str(config), password=None,
            folder=str(self.board), python=str(self.board / "python"),
            wheels=None,
        )  # fmt: skip
