"""A real OpenSSH server, a proxy before it that breaks on command, and the board behind both as a device."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foxnas.device import retrying
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from tests.support.faults import FaultyProxy
from tests.support.sshd import Sshd


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"), sys.executable)
    yield server
    server.kill()


@pytest.fixture
def server(shared: Sshd) -> Iterator[Sshd]:
    """The server, up, its board whole."""
    shared.set_prelude("")
    shared.sent.unlink(missing_ok=True)
    if not shared.alive:
        shared.start()
    return shared


@pytest.fixture
def proxy(server: Sshd) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.port) as between:
        yield between


@pytest.fixture
def board(server: Sshd, proxy: FaultyProxy, own_lock: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """The board as a device behind the proxy, under a lock of its own, tried again soon and for long."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(retrying, "LONGEST_PAUSE_S", 1.0)
    transport = SshTransport(server.client(proxy.port), "tflite")
    yield Device("board", transport, lock=own_lock, timeout_s=2, busy_s=30, away_s=30)
    transport.close()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "boards.jsonl"
