"""A board behind a real OpenSSH server, as the tests of devices have it."""

from __future__ import annotations

import os

import pytest

from foxnas.doctor import examination
from tests.device.conftest import board, proxy, server, shared  # noqa: F401


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch it shortly, and without the shims that a manager of Pythons has on PATH: each starts a shell."""
    monkeypatch.setattr(examination, "WATCH_S", 0.1)
    folders = [place for place in os.environ["PATH"].split(os.pathsep) if "shims" not in place]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
