"""One measurement at a time on a machine, whoever asks, and a lock that dies with its holder."""

import dataclasses
import getpass
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from foxnas.device.archive import runner_archive
from foxnas.device.client import Runner
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device, DeviceLost
from foxnas.errors import FoxnasError
from foxnas.runner.frames import encode_frame
from foxnas.runner.lock import acquire_lock, lock_path

QUICK = MeasurementProtocol(
    warm_up_ms=0, min_runs=30, min_time_ms=1, repeats=1, max_relative_mad=50, max_preempted=1, max_drift=50
)


def test_two_sessions_never_measure_at_once(here, caplog):
    caplog.set_level("INFO")
    first = here.transport.start()
    ask = {"type": "hello", "lock": here.lock, "threads": 1, "cpu": None, "backend": "tflite"}
    first.send(encode_frame(ask), 5)
    assert b'"hello"' in first.receive(20)
    second = here.transport.start()
    second.send(encode_frame(ask), 5)
    said = second.receive(20)
    assert b'"waiting"' in said
    assert f"process {first.pid} since".encode() in said
    os.kill(first.pid, signal.SIGKILL)  # the lock dies with its holder, however it dies
    while b'"hello"' not in said:
        said += second.receive(20)
    with (
        pytest.raises(DeviceLost, match="silent"),
        Runner(Device("bench", LocalTransport(), lock=here.lock, timeout_s=0), QUICK),
    ):
        pass
    second.close()
    first.close()
    with Runner(here, QUICK) as session:
        assert session.hello["backend"] == "tflite"


def test_waiting_for_another_says_whom_and_has_an_end(here, caplog):
    caplog.set_level("INFO")
    impatient = dataclasses.replace(here, busy_s=1)
    with Runner(here, QUICK):
        me = rf"{getpass.getuser()} on {re.escape(socket.gethostname())}, process \d+ since 20\d\d-"
        with (
            pytest.raises(FoxnasError, match=rf"another session still measures there after 0 minutes: {me}"),
            Runner(impatient, QUICK),
        ):
            pass
    assert re.search(rf"waiting, another session measures there: {me}.*; giving up after 0 minutes more", caplog.text)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_the_lock_is_one_for_all_users(here):
    """Whoever made the file, and whatever his umask, the other waits for him and has it after him."""
    for owner, waiter in ((0, 65534), (65534, 0)):
        lock_path(here.lock).unlink(missing_ok=True)
        (held, tell), (told, release) = os.pipe(), os.pipe()

        def hold(owner=owner, tell=tell, told=told):
            os.umask(0o077)
            os.setuid(owner)
            kept = acquire_lock(here.lock, "owner", print)
            os.write(tell, b"x")
            os.read(told, 1)
            kept.close()

        def wait(waiter=waiter, release=release):
            notes = []
            os.setuid(waiter)
            acquire_lock(here.lock, "waiter", lambda note: (notes.append(note), os.write(release, b"x")))
            assert notes[0].startswith("owner, process ")

        holder = forked(hold)
        os.read(held, 1)
        assert os.waitpid(forked(wait), 0)[1] == os.waitpid(holder, 0)[1] == 0


def forked(work):
    """Start `work` in a child, which ends with status 0 if it returns."""
    if child := os.fork():
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def test_a_planted_link_is_no_lock(here, tmp_path):
    (tmp_path / "precious").write_text("text")
    lock_path(here.lock).symlink_to(tmp_path / "precious")
    with (
        pytest.raises(FoxnasError, match=r"is a symbolic link, which no lock of ours is: remove it"),
        Runner(here, QUICK),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "text"


def test_a_runner_whose_host_went_silent_frees_the_lock(here):
    """The way to the host may die without a word: nobody closes the runner's stdin, and it ends all the same."""
    ask = {"type": "hello", "lock": here.lock, "idle_s": 0.3, "threads": 1, "cpu": None, "backend": "tflite"}
    stream = here.transport.start()
    stream.send(encode_frame(ask), 5)
    said = b""
    while data := stream.receive(20):
        said += data
    assert b'"hello"' in said
    assert b'"idle"' in said
    assert stream.ending().status == 0
    stream.close()


def test_a_waiting_or_idle_runner_ends_with_its_host(here, tmp_path):
    script = tmp_path / "runner.pyz"
    script.write_bytes(runner_archive())
    ask = encode_frame({"type": "hello", "lock": here.lock, "threads": 1, "cpu": None, "backend": "tflite"})
    holder, waiter = (
        subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    )
    for process, word in ((holder, b"hello"), (waiter, b"waiting")):
        process.stdin.write(ask)
        process.stdin.flush()
        assert re.search(rb'"type": "%s"' % word, process.stdout.readline())
    for process in (waiter, holder):
        process.stdin.close()
        assert process.wait(timeout=10) == 0
        process.stdout.close()
