"""A board behind a real OpenSSH server, as the tests of devices have it."""

from __future__ import annotations

import pytest

from tests.device.conftest import board, proxy, shared  # noqa: F401
from tests.support.sshd import Sshd

#: Without the shims that a manager of Pythons puts there for this user, each of which starts a shell.
PLAIN_PATH = "SetEnv PATH=/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def server(shared: Sshd) -> Sshd:  # noqa: F811
    """The server, up, its board whole."""
    shared.set_prelude("")
    if not shared.alive:
        shared.start(PLAIN_PATH)
    return shared
