"""A board behind a real OpenSSH server, as the tests of devices have it."""

from __future__ import annotations

import os

import pytest

from foxnas.doctor import examination
from tests.device.conftest import board, proxy, shared  # noqa: F401
from tests.support.sshd import Sshd

#: Without the shims that a manager of Pythons puts there for this user, each of which starts a shell.
PLAIN_PATH = "SetEnv PATH=/usr/local/bin:/usr/bin:/bin"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch it shortly, and without the shims that a manager of Pythons has on PATH: each starts a shell."""
    monkeypatch.setattr(examination, "WATCH_S", 0.1)
    folders = [place for place in os.environ["PATH"].split(os.pathsep) if "shims" not in place]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))


@pytest.fixture
def server(shared: Sshd) -> Sshd:  # noqa: F811
    """The server, up, its board whole."""
    shared.set_prelude("")
    if not shared.alive:
        shared.start(PLAIN_PATH)
    return shared
