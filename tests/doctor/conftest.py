"""A board behind a real OpenSSH server, as the tests of devices have it."""

from tests.device.conftest import board, proxy, server, shared  # noqa: F401
