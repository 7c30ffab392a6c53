"""Commands on the machine at hand: the same bounds in bytes and time as over SSH."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from foxnas.device.local import LocalTransport
from foxnas.device.transport import DeviceLost
from foxnas.errors import FoxnasError


def test_a_command_s_input_output_and_end() -> None:
    noise = os.urandom(3_000_000)
    done = LocalTransport().run(["sh", "-c", "cat; echo said >&2; exit 7"], noise)
    assert (done.status, done.stdout == noise, done.stderr) == (7, True, b"said\n")
    assert LocalTransport().run(["sh", "-c", "kill -SEGV $$"]).status == -11
    assert LocalTransport().run(["no such program"]).status == 127
    assert LocalTransport().run(["true"], noise).status == 0
    assert LocalTransport().run(["pwd", "-P"]).stdout.decode().strip() == str(Path.home().resolve())


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("yes", r"^this machine: sh wrote more than 16 MB; is it the right program"),
        ("while :; do echo x; sleep 0.02; done", r"^this machine: sh has not ended after 1 s$"),
        ("exec >&-; yes >&2", r"^this machine: sh has not ended after 1 s$"),
        ("exec >&- 2>&-; exec sleep 60", r"^this machine: sh has not ended after 1 s$"),
        ("exec sleep 60", r"^this machine: sh has not ended after 1 s$"),
    ],
    ids=["much", "long", "errors", "closed", "silent"],
)
def test_a_command_that_has_no_end_is_ended(script: str, said: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FoxnasError, match=said) as caught:
        LocalTransport().run(["sh", "-c", script], timeout_s=30 if script == "yes" else 1)
    assert isinstance(caught.value, DeviceLost) == (script != "yes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB, where `yes` writes GB a second
