"""Signals, a full disk, a read-only folder: a run ends by itself with a clear word, and the same command continues."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from foxnas.flow.snakemake_private import LOCKS
from tests.support import intact
from tests.support.cut_runs import ROOT, Run, command, start, whole, write_config

EVALUATED = "results/mini/16/shards/accuracy/0.csv"
JOURNAL = "results/mini/16/journals/accuracy/0.jsonl"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config"))


def in_the_middle_of(job: str, after_s: float) -> Callable[[Run], float | None]:
    def cut(run: Run) -> float | None:
        begun = [at for label, at in run.started.items() if label.startswith(job)]
        return begun[0] + after_s if begun else None

    return cut


def once_written(journal: Path, job: str, after_s: float) -> Callable[[Run], float | None]:
    """The same, but not before a journal has its first line: to load torch takes as long as the processor is busy."""

    def cut(run: Run) -> float | None:
        moment = in_the_middle_of(job, after_s)(run)
        if moment is None or (journal.exists() and b"\n" in journal.read_bytes()):
            return moment
        return max(moment, time.monotonic() + 0.1)

    return cut


def living(group: int) -> list[psutil.Process]:
    """The processes of a session that have not ended."""
    found = []
    for process in psutil.process_iter(["status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == group:
            found.append(process)
    return found


def test_a_signal_ends_the_run_and_the_same_command_continues(config: Path, tmp_path: Path) -> None:
    """To Snakemake alone, as docker stop and kill do, or to everybody, as a batch system and a terminal do."""
    finished: set[str] = set()
    journal = tmp_path / JOURNAL
    for number, to_all, cut in (
        (signal.SIGTERM, False, in_the_middle_of("Training", 1.5)),
        (signal.SIGINT, False, in_the_middle_of("Training", 2.5)),
        (signal.SIGTERM, True, in_the_middle_of("Evaluating", 1.5)),
        (signal.SIGINT, True, once_written(journal, "Evaluating", 2.5)),
    ):
        run = start(command(config, tmp_path, EVALUATED))
        assert run.follow(cut), run.text
        (os.killpg if to_all else os.kill)(run.process.pid, number)
        too_late = time.monotonic() + 60
        assert not run.follow(lambda _, too_late=too_late: too_late), f"still runs after {number.name}:\n{run.text}"
        assert run.status not in (0, -signal.SIGKILL), run.text
        assert not living(run.process.pid)
        assert not finished & run.started.keys()
        finished |= run.finished.keys()
        assert not list((tmp_path / LOCKS).glob("*")), "the folder is still locked"
        intact.check_all(tmp_path / "results")
    kept = len(journal.read_text().splitlines())
    run = whole(command(config, tmp_path, EVALUATED))
    assert run.status == 0, run.text
    assert not finished & run.started.keys()
    assert kept, "nothing was evaluated before the cuts"
    assert f" subnets evaluated {100 - kept} {kept} " in " ".join(run.text.split())


def test_jobs_of_a_snakemake_that_is_killed_alone_end_before_the_next_run_begins(config: Path, tmp_path: Path) -> None:
    """As a system out of memory kills it: its jobs are not told, and the same command is given again at once."""
    run = start(command(config, tmp_path, EVALUATED))
    # Not while it starts: such a job ends before it does anything, but when it gets so far.
    assert run.follow(once_written(tmp_path / JOURNAL, "Evaluating", 1.5)), run.text
    os.kill(run.process.pid, signal.SIGKILL)
    again = start(["env", *command(config, tmp_path, EVALUATED)])  # no fork: it begins no sooner than a user's
    assert again.follow(in_the_middle_of("Evaluating", 0.0)), again.text
    assert not living(run.process.pid)
    assert not again.follow(lambda _: None)
    assert again.status == 0, again.text
    assert not run.finished.keys() & again.started.keys()
    intact.check_all(tmp_path / "results")


def test_signals_that_meet_snakemakes_lock_do_not_hang_it(config: Path, tmp_path: Path) -> None:
    """Its own handler waits for a lock that the interrupted code holds when a job has just ended."""
    run = start(command(config, tmp_path, EVALUATED))
    assert run.follow(in_the_middle_of("Splitting", 0.2)), run.text
    for _ in range(40):
        os.kill(run.process.pid, signal.SIGTERM)
        time.sleep(0.02)
    too_late = time.monotonic() + 60
    assert not run.follow(lambda _: too_late), run.text
    assert run.status != 0


class Namespace:
    """A private mount namespace, held open by a process that sleeps: its mounts die with it."""

    def __init__(self) -> None:
        self._entry: list[str] = []
        for words in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
            if subprocess.run([*words, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode == 0:
                break
        else:
            pytest.skip("mounting needs root, or user namespaces: sysctl kernel.unprivileged_userns_clone=1")
        self.holder = subprocess.Popen([*words, "sleep", "infinity"])
        self._entry = ["nsenter", "--target", str(self.holder.pid), "--mount"]
        if "--map-root-user" in words:
            self._entry += ["--user", "--preserve-credentials"]
        while not Path(f"/proc/{self.holder.pid}/comm").read_text().startswith("sleep"):
            time.sleep(0.01)

    def within(self, words: Sequence[str]) -> list[str]:
        return [*self._entry, *words]

    def run(self, *words: str) -> None:
        subprocess.run(self.within(words), check=True)

    def check_all(self, results: Path) -> None:
        imports = "import sys; from pathlib import Path; from tests.support import intact"
        program = f"{imports}; intact.check_all(Path(sys.argv[1]))"
        words = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", program, str(results)]
        done = subprocess.run(self.within(words), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.holder.kill()
    made.holder.wait()


def test_a_full_disk_is_said_and_the_same_command_continues(config: Path, tmp_path: Path, namespace: Namespace) -> None:
    namespace.run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path))
    finished: set[str] = set()
    failed = 0
    for megabytes in (2, 4, 200):
        namespace.run("mount", "-o", f"remount,size={megabytes}m", str(tmp_path))
        run = whole(namespace.within(command(config, tmp_path, EVALUATED)))
        again = finished & run.started.keys()
        assert not again, f"{again} had finished before the disk was full\n{run.text}"
        finished |= run.finished.keys()
        namespace.check_all(tmp_path / "results")
        if run.status:
            failed += 1
            numbers = r"( \([\d,]+ images take [\d,]+ MB, [\d,]+ MB are free\))?"
            said = rf"error: (results/\S+|\S*\.snakemake\b[^:]*): No space left on device{numbers}; make room"
            assert re.search(said, run.text), run.text
            assert "Traceback" not in run.text, run.text
    assert failed == 2
    assert run.status == 0, run.text


def test_a_read_only_folder_is_said_before_anything_runs(config: Path, tmp_path: Path, namespace: Namespace) -> None:
    folder = str(tmp_path)
    (tmp_path / "results").mkdir()
    for read_only in (folder, f"{folder}/results"):
        namespace.run("mount", "--bind", read_only, read_only)
        namespace.run("mount", "-o", "remount,ro,bind", read_only)
        run = whole(namespace.within(command(config, tmp_path, "results/data/splits.json")))
        assert run.status == 1
        assert f"{read_only}: cannot be written to (Read-only file system); make room or grant access" in run.text
        assert "Traceback" not in run.text, run.text
        assert not run.started
        namespace.run("umount", read_only)
    run = whole(namespace.within(command(config, tmp_path, "results/data/splits.json")))
    assert run.status == 0, run.text
