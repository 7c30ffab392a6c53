"""A board behind a real OpenSSH server, as the tests of devices have it."""

from __future__ import annotations

import pytest

from foxnas.doctor import examination
from tests.device.conftest import board, proxy, server, shared  # noqa: F401 (fixtures)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch it shortly."""
    monkeypatch.setattr(examination, "WATCH_S", 0.1)
