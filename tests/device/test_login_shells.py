"""Login shells of every family: words arrive as they are, and a device is surveyed, uploaded to and measured on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foxnas.device.provisioning.survey import survey
from foxnas.device.ssh.command import LINE, words_line
from foxnas.device.ssh.transport import SshTransport
from tests.support.sshd import Sshd

NASTY = [
    "a b", "$HOME `id` $(id) ${n}", "'\"\\'\"", "; touch harm #", "*?[a]~", "-n", "", "\n\t", "\n", "a\nb\n\n", "é漢",
    "!!", "!x", "%s\\n", "\\", "\\\\", "\\'", "{a,b}", "^", "(a)", "<>&|", "\r", "=x", "end\\",
]  # fmt: skip

#: Each family quotes in its own way.
SHELLS = ["bash", "dash", "tcsh", "bsd-csh", "fish", "busybox"]


def the_shell(name: str) -> list[str]:
    if not (found := shutil.which(name)):
        pytest.skip(f"needs {name}: apt-get install {name.replace('bsd-csh', 'csh')}")
    return [found, "sh"] if name == "busybox" else [found]


@pytest.fixture(scope="module", params=SHELLS)
def transport(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshTransport]:
    """A server that hands commands to another shell than the account's own, as it would to a login shell."""
    folder = tmp_path_factory.mktemp(request.param)
    script = folder / "login-shell"
    words = " ".join(the_shell(request.param))
    script.write_text(f'#!/bin/sh\nHOME="{folder}"; export HOME\nexec {words} -c "$SSH_ORIGINAL_COMMAND"\n')
    script.chmod(0o755)
    server = Sshd(folder / "server", sys.executable).start(f"ForceCommand {script}")
    opened = SshTransport(server.client(), "tflite")
    yield opened
    opened.close()
    server.kill()


def test_every_word_arrives_as_it_is(transport: SshTransport) -> None:
    done = transport.run(["printf", "%s\\0", *NASTY])
    assert done.stdout.decode().split("\0")[:-1] == NASTY
    assert (done.status, done.stderr) == (0, b"")


def test_input_output_and_the_way_it_ends(transport: SshTransport) -> None:
    noise = os.urandom(1_000_000)
    done = transport.run(["sh", "-c", "cat; echo said >&2; exit 7"], noise)
    assert (done.status, done.stdout == noise, done.stderr) == (7, True, b"said")
    assert transport.run(["sh", "-c", "kill -SEGV $$"]).status == -11
    assert transport.run(["no such program"]).status == 127
    assert transport.run(["true"], noise).status == 0


def test_a_device_is_surveyed_and_files_arrive(transport: SshTransport) -> None:
    found = survey(transport, transport.folder)
    assert found.writable
    assert sys.version_info[:3] in [python.version for python in found.pythons] or found.pythons
    content = os.urandom(100_000)
    transport.upload(content, f"{transport.folder}/a b!/it's")
    assert Path(transport.folder, "a b!", "it's").read_bytes() == content


def test_a_runner_starts_and_ends_with_its_input(transport: SshTransport) -> None:
    stream = transport.start()
    stream.end_input()
    assert stream.receive(60) == b""
    assert stream.ending().status == 0
    stream.close()


@pytest.mark.parametrize("shell", ["bash", "dash", "busybox"])
def test_what_bin_sh_may_be_runs_whole_lines_alone(shell: str, tmp_path: Path) -> None:
    words = [*the_shell(shell), "-c", LINE.removeprefix("/bin/sh -c ").strip("'")]

    def run(content: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(words, input=content, capture_output=True, check=False, cwd=tmp_path)

    done = run(words_line(["printf", "%s\\0", *NASTY]))
    assert done.stdout.decode().split("\0")[:-1] == NASTY
    assert run(words_line(["cat"]) + b"the rest\n").stdout == b"the rest\n"
    whole = words_line(["touch", "made"])
    for cut in range(len(whole)):
        run(whole[:cut])
    assert not (tmp_path / "made").exists()
    run(whole)
    assert (tmp_path / "made").exists()


def test_the_line_has_nothing_that_a_login_shell_takes_for_its_own() -> None:
    """In quotes: csh's newline and history, fish's backslash; and no quote within them."""
    assert LINE.count("'") == 2
    assert not set(LINE) & set("!\\\n^`")
