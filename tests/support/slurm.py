"""A real Slurm of one node on loopback: ordinary processes with a key, ports and a folder of their own."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support.sshd import free_port

DAEMONS = ("munged", "slurmctld", "slurmd")
HOW_TO_GET = "needs Slurm and MUNGE: .ci/slurm, or apt-get install slurm-wlm munge (no service need run)"

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
PlugStackConfig={folder}/plugstack.conf
{plugins}
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MinJobAge=3600
KillWait=2
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=UNLIMITED
PartitionName=gpu Nodes={host} MaxTime=UNLIMITED
"""


@dataclass(frozen=True)
class SlurmJob:
    """What Slurm keeps of a job that has ended: when it ran, and what it had asked for."""

    number: int
    comment: str
    state: str
    start: float
    end: float
    partition: str
    mem_mb: int
    request: str


def find_daemons() -> str:
    """Return the search path that has Slurm's and MUNGE's programs; skip the test where there are none."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    if not all(shutil.which(tool, path=path) for tool in (*DAEMONS, "sbatch", "srun", "scancel")):
        pytest.skip(HOW_TO_GET)
    return path


def unpacked_plugins(path: str) -> str:
    """Return the line of slurm.conf(5) that a Slurm needs which .ci/slurm unpacked where it was not built for."""
    root = Path(shutil.which("slurmctld", path=path) or "").parent.parent / "root"
    return "".join(f"PluginDir={folder}" for folder in root.glob("usr/lib/*/slurm-wlm"))


class Slurm:
    """A controller, one node with two partitions (`cpu`, and `gpu` with a GPU that is not there), and their keys."""

    def __init__(self, folder: Path, cpus: int = 2, memory_mb: int = 8000) -> None:
        self.folder, path = folder, find_daemons()
        for name in ("state", "spool", "bin"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        # A socket's path may have 107 characters, which a test's folder alone can be.
        self._sockets = Path(tempfile.mkdtemp(prefix="slurm-"))
        self._sockets.chmod(0o755)
        values = {
            "host": socket.gethostname().split(".")[0],
            "controller_port": free_port(), "node_port": free_port(), "user": getpass.getuser(),
            "cpus": cpus, "memory_mb": memory_mb, "folder": folder, "plugins": unpacked_plugins(path),
        }  # fmt: skip
        conf = folder / "slurm.conf"
        conf.write_text(CONF.format(**values).replace(f"{folder}/munge.socket", f"{self._sockets}/munge"))
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        (folder / "plugstack.conf").touch()
        (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (folder / "munge.key").chmod(0o600)
        # The plugin's step of a job drops SLURM_CONF, which a cluster with its file in /etc/slurm does not need.
        srun = folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {shutil.which("srun", path=path)} "$@"\n')
        srun.chmod(0o755)
        #: For whoever submits: Slurm's tools find this controller.
        self.environment = {"SLURM_CONF": str(conf), "PATH": f"{folder}/bin{os.pathsep}{path}"}
        self._daemons: list[subprocess.Popen[bytes]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[Slurm]:
        """Start it, wait until its node is idle, and stop all of it, jobs too, whatever happens meanwhile."""
        try:
            key, log = self.folder / "munge.key", self.folder / "munged.log"
            self._start(
                "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self._sockets}/munge",
                f"--pid-file={self.folder}/munged.pid", f"--log-file={log}", f"--seed-file={self.folder}/munge.seed",
            )  # fmt: skip
            self._wait((self._sockets / "munge").exists)
            self._start("slurmctld", "-D", "-c")
            self._start("slurmd", "-D", "-c", "-d", shutil.which("slurmstepd", path=self.environment["PATH"]) or "")
            self._wait(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"))
            yield self
        finally:
            self._stop()

    def _start(self, *command: str) -> None:
        environment = {**os.environ, **self.environment}
        with (self.folder / f"{command[0]}.err").open("wb") as errors:
            # A session of its own, so that what a test interrupts does not take the cluster down with it.
            self._daemons.append(
                subprocess.Popen(
                    [shutil.which(command[0], path=self.environment["PATH"]) or command[0], *command[1:]],
                    env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
                )
            )  # fmt: skip

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in self._daemons):
                raise RuntimeError("\n".join(path.read_text()[-1500:] for path in self.folder.glob("*.[el][ro][rg]")))
            time.sleep(0.05)

    def _stop(self) -> None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            self.ask("scancel", "--user", getpass.getuser())
        for daemon in self._daemons:
            daemon.kill()
            daemon.wait()
        # What they started is nobody's child by now, but carries this Slurm's name; it may be starting more.
        deadline = time.monotonic() + 10
        while (rest := self._processes()) and time.monotonic() < deadline:
            for process in rest:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(rest, timeout=1)
        assert not rest, f"still running: {rest}"
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _processes(self) -> list[psutil.Process]:
        """What runs with this Slurm's configuration: its daemons, their children, the jobs, who submits them."""
        name = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        found = []
        for process in psutil.process_iter():
            # Not psutil's own reading: slurmstepd writes its title over the end of its environment.
            with contextlib.suppress(psutil.Error, OSError):
                if name in Path(f"/proc/{process.pid}/environ").read_bytes():
                    found.append(process)
        return found

    def ask(self, *command: str) -> str:
        """Return what one of Slurm's tools says."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout

    def jobs(self) -> list[SlurmJob]:
        """Return all jobs so far, those that have ended too."""
        found = []
        for line in self.ask("scontrol", "--oneliner", "show", "job").splitlines():
            fields = dict(re.findall(r"(\w+)=(.*?)(?= \w[\w:/]*=|$)", line))
            if "JobId" in fields:
                found.append(
                    SlurmJob(
                        number=int(fields["JobId"]), comment=fields.get("Comment", ""), state=fields["JobState"],
                        start=_seconds(fields["StartTime"]), end=_seconds(fields["EndTime"]),
                        partition=fields["Partition"], mem_mb=_megabytes(fields.get("MinMemoryNode", "0")),
                        request=line,
                    )
                )  # fmt: skip
        return found

    def listening(self) -> set[str]:
        """Return the addresses that any of its processes listens on."""
        found = set()
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                found |= {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        return found


def _seconds(stamp: str) -> float:
    return time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")) if stamp[0].isdigit() else float("inf")


def _megabytes(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)([MG]?)", text).groups()
    return round(float(number) * (1024 if unit == "G" else 1))
