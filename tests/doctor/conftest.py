"""A board behind a real OpenSSH server, as the tests of devices have it."""

from __future__ import annotations

import pytest

from foxnas.doctor import examination

# Not called here: pytest finds a fixture in a conftest of the test's own folders alone.
from tests.device.conftest import board, proxy, server, shared  # noqa: F401


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch it shortly."""
    monkeypatch.setattr(examination, "WATCH_S", 0.1)
