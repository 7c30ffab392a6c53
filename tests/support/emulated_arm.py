"""A 64-bit Arm board that is not there: a Debian userland run by qemu, behind a real OpenSSH server on loopback.

It stands in for a Raspberry Pi in every respect but time: never report a latency that was measured on it.
Everything is fetched by the tools' ordinary clients without root, and kept: apt-get into a private state (qemu,
proot, an arm64 Python), set up in seconds and ready the next time. ``FOXNAS_EMULATED_ARM`` names another folder
than ``~/.cache/foxnas/emulated-arm``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foxnas.device.config import SshConfig
from tests.support.sshd import Sshd

#: Debian 12 as Raspberry Pi OS 12 is: Python 3.11, glibc 2.36.
_SUITE = "bookworm"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TOOLS = ("proot", "qemu-user-static", "libtalloc2")
_USERLAND = ("python3", "libstdc++6", "coreutils", "dash", "sed", "grep", "base-files")
#: qemu's default CPU, "max", computes garbage in XNNPACK's kernels.
CPU = "cortex-a72"

# XNNPACK turns itself off in silence where it cannot count the cores.
_CORE = """processor\t: {}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
#: Counts up when the way of building changes.
_LAYOUT = 1
_BOARD = "Emulated Arm board (qemu)"
_CPUINFO = "".join(_CORE.format(core) for core in range(4)) + f"Model\t\t: {_BOARD}\n"
_SYS = {
    "devices/system/cpu/possible": "0-3",
    "devices/system/cpu/present": "0-3",
    "devices/system/cpu/online": "0-3",
    **{f"devices/system/cpu/cpu{n}/cpufreq/scaling_governor": "performance" for n in range(4)},
    **{f"devices/system/cpu/cpu{n}/cpufreq/scaling_cur_freq": "1500000" for n in range(4)},
    "class/thermal/thermal_zone0/type": "cpu-thermal",
    "class/thermal/thermal_zone0/temp": "48686",
}


class Missing(Exception):
    """The board cannot be had on this machine; says why, and what to do about it."""


def _archive() -> str:
    """Return where this machine's own apt finds the suite, or what FOXNAS_DEBIAN_MIRROR says. Raises Missing."""
    if mirror := os.environ.get("FOXNAS_DEBIAN_MIRROR"):
        return mirror
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]
    lines = subprocess.run(asked, capture_output=True, text=True).stdout.splitlines()
    found = next((line.split()[0] for line in lines if line.split()[1:] == [_SUITE]), None)
    if found is None:
        raise Missing(f"apt here knows no {_SUITE}: name a Debian mirror in FOXNAS_DEBIAN_MIRROR")
    return found


@dataclass(frozen=True)
class ArmBoard:
    """A board whose server runs.

    Parameters
    ----------
    ssh
        A device's entry that leads there.
    home
        The home folder of its user, as this machine sees it.
    """

    ssh: SshConfig
    home: Path


@contextlib.contextmanager
def arm_board(folder: Path) -> Iterator[ArmBoard]:
    """Yield a board whose server's files lie in `folder`. Raises Missing.

    As on a real board, what was provisioned stays in the home folder from run to run: delete the cache to begin anew.
    """
    built = _built()
    enter = _enter_script(built, folder)
    server = Sshd(folder / "server", "/usr/bin/python3").start(f"ForceCommand {enter}")
    try:
        ssh = server.client(name="emulated-arm").model_copy(update={"folder": ".foxnas", "python": None})
        yield ArmBoard(ssh, _home(built))
    finally:
        server.kill()


def _enter_script(built: Path, folder: Path) -> Path:
    """Write what the server runs in place of every command: the command, in the userland."""
    home, temporary = _home(built), built.with_name(f"{built.name}-tmp")
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    (folder / "cpuinfo").write_text(_CPUINFO)
    binds = {
        "/proc": "/proc", "/dev": "/dev", f"{folder}/cpuinfo": "/proc/cpuinfo",
        str(home): "/home/pi", str(temporary): "/tmp",
    }  # fmt: skip
    proot = [str(built / "tools" / "proot"), "-i", "1000:1000", "-w", "/home/pi"]
    proot += ["-q", f"{built}/tools/qemu-aarch64-static -cpu {CPU}", "-r", str(built / "root")]
    proot += [word for source, target in binds.items() for word in ("-b", f"{source}:{target}")]
    clean = ["env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/pi", "USER=pi", "LANG=C.UTF-8"]
    clean += [f"LD_LIBRARY_PATH={built / 'tools'}", f"PROOT_TMP_DIR={temporary}"]
    script = folder / "enter"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([*clean, *proot])} /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    script.chmod(0o755)
    return script


def _home(built: Path) -> Path:
    return built.with_name(f"{built.name}-home")


def _built() -> Path:
    """Return the folder with ``tools`` and ``root``, made unless it is there."""
    recipe = repr((_LAYOUT, _SUITE, _TOOLS, _USERLAND, _SYS))
    cache = Path(os.environ.get("FOXNAS_EMULATED_ARM") or Path.home() / ".cache" / "foxnas" / "emulated-arm")
    built = cache / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    if built.is_dir():
        return built
    for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg"), (str(_KEYRING), "debian-archive-keyring")):
        if not shutil.which(tool) and not Path(tool).is_file():
            raise Missing(f"{tool} is missing; where there is apt-get: apt-get install {package}")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.is_dir():
            building = cache / "building"
            shutil.rmtree(building, ignore_errors=True)
            _build(building)
            building.rename(built)
    return built


def _build(folder: Path) -> None:
    tools, root = folder / "tools", folder / "root"
    tools.mkdir(parents=True)
    unpacked = folder / "unpacked"
    for package in _download(folder / "apt-tools", "amd64", _TOOLS):
        _unpack(package, unpacked)
    for pattern in ("usr/bin/proot", "usr/bin/qemu-aarch64-static", "usr/lib/*/libtalloc.so.2*"):
        for found in unpacked.glob(pattern):
            shutil.copy2(found, tools / found.name)
    for package in _download(folder / "apt-userland", "arm64", _USERLAND):
        _unpack(package, root)
    for name in ("home/pi", "tmp", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\npi:x:1000:\nplugdev:x:46:\n")
    (root / "etc" / "machine-id").write_text("emulated\n")
    for name, content in _SYS.items():
        path = root / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    for leftover in ("unpacked", "apt-tools", "apt-userland"):
        shutil.rmtree(folder / leftover)


def _download(state: Path, architecture: str, packages: tuple[str, ...]) -> list[Path]:
    """Fetch packages, of another architecture and with what they depend on, past this machine's own apt."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (state / name).mkdir(parents=True)
    (state / "status").write_text("")
    source = f"deb [arch={architecture} signed-by={_KEYRING}] {_archive()} {_SUITE} main\n"
    (state / "etc" / "sources.list").write_text(source)
    (state / "apt.conf").write_text(
        f'Dir "{state}";\nDir::State "{state}/state";\nDir::State::status "{state}/status";\n\n'
        f'Dir::Cache "{state}/cache";\n'
        f'Dir::Etc "{state}/etc";\nDir::Etc::sourcelist "{state}/etc/sources.list";\nDir::Etc::sourceparts "-";\n'
        f'APT::Architecture "{architecture}";\nAPT::Architectures {{ "{architecture}"; }};\nAPT::Sandbox::User "";\n'
        'APT::Install-Recommends "false";\nAcquire::Languages "none";\nAcquire::Retries "3";\n'
    )
    # The tools' own dependencies but one are those of any Debian; the userland has nothing yet.
    fetch = ["install", "--download-only", "--yes"] if architecture == "arm64" else ["download"]
    archives = state / "cache" / "archives"
    for words in (["update"], [*fetch, *packages]):
        done = subprocess.run(
            ["apt-get", *words], cwd=archives, env={**os.environ, "APT_CONFIG": str(state / "apt.conf")},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600,
        )  # fmt: skip
        if done.returncode:
            raise Missing(f"apt-get {words[0]} failed, is there a network? {done.stderr.strip()[-300:]}")
    return sorted(archives.glob("*.deb"))


def _unpack(package: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--extract", str(package), str(target)], check=True)
