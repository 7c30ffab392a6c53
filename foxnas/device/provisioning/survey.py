"""Survey of a device by one POSIX shell script, before anything is installed there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from foxnas.device.text import printable
from foxnas.device.transport import Transport
from foxnas.errors import FoxnasError

_MARK = "foxnas-survey "

#: Characters of one answer: a path has 4,096 at most.
_LONGEST = 5000

# Runs under every Python that is found, 2.7 to 3.x, so that an old one is seen and named.
_PYTHON = """
import json, os, platform, struct, sys
def has(name):
    try:
        import importlib.util
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
def version(name):
    try:
        from importlib.metadata import version
        return version(name)
    except Exception:
        return "unknown" if has(name) else None
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION").split(" ")
except Exception:
    libc = ["", ""]
print(json.dumps({
    "path": sys.executable, "real": os.path.realpath(sys.executable),
    "version": list(sys.version_info[:3]), "bits": 8 * struct.calcsize("P"),
    "implementation": platform.python_implementation(), "libc": libc,
    "venv": has("venv"), "ensurepip": has("ensurepip"), "numpy": version("numpy"),
}))
"""

_SHELL = r"""
say() { printf 'foxnas-survey %s\t%s\n' "$1" "$2"; }
say system "$(uname -s)"
say machine "$(uname -m)"
say user "$(id -un 2>/dev/null)"
say groups "$(id -Gn 2>/dev/null)"
say root "$([ "$(id -u)" = 0 ] && echo yes)"
if [ -r /etc/os-release ]; then . /etc/os-release; say os "$PRETTY_NAME"; say codename "$VERSION_CODENAME"; fi
[ -r /proc/meminfo ] && say memory_kb "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
place=$1
while [ -n "$place" ] && [ ! -d "$place" ]; do
    case $place in */*) place=${place%/*} ;; *) place= ;; esac
done
case $1 in /*) place=${place:-/} ;; esac
say free_kb "$(df -Pk "${place:-.}" 2>/dev/null | { read -r _; read -r _ _ _ free _; echo "$free"; })"
trial=${place:-.}/.foxnas-trial-$$  # a read-only disk, too, shows only when one writes
say writable "$( (: >"$trial") 2>/dev/null && rm -f "$trial" && echo yes)"
say apt "$(command -v apt-get)"
for rule in /lib/udev/rules.d/*edgetpu* /etc/udev/rules.d/*edgetpu*; do [ -e "$rule" ] && say udev_rule "$rule"; done
for node in /dev/apex_*; do [ -e "$node" ] && say coral "$node"; done
for vendor in /sys/bus/usb/devices/*/idVendor; do
    [ -r "$vendor" ] || continue
    case "$(cat "$vendor"):$(cat "${vendor%Vendor}Product")" in
        1a6e:089a | 18d1:9302) say coral "usb ${vendor%/idVendor}" ;;
    esac
done
command -v dpkg-query >/dev/null && dpkg-query -W -f='${Package} ${Version} ${db:Status-Status}\n' \
    'libedgetpu*' python3-pycoral 2>/dev/null | while read -r name version status; do
    [ "$status" = installed ] && say package "$name $version"
done
for name in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python3.7 \
    python3.6 python; do
    path=$(command -v "$name") || continue
    real=$(readlink -f "$path" 2>/dev/null) || real=$path
    case $seen in *"|$real|"*) continue ;; esac  # python3 is often a link to python3.11
    answer=$("$path" -c "$2" </dev/null 2>/dev/null | tr -d '\n')
    [ -n "$answer" ] || continue
    seen="$seen|$real|"
    say python "$answer"
done
say end yes
"""


@dataclass(frozen=True)
class Python:
    """One Python of a device.

    Parameters
    ----------
    machine
        What wheels call the architecture it was built for: a 32-bit Python on a 64-bit kernel is ``armv7l``.
    libc
        ``("glibc", "2.36")``; empty words where it is another.
    numpy
        The version that this Python finds without our doing, None if none.
    """

    path: str
    version: tuple[int, int, int]
    machine: str
    libc: tuple[str, str]
    venv: bool
    ensurepip: bool
    numpy: str | None

    @property
    def minor(self) -> str:
        """``3.11``."""
        return f"{self.version[0]}.{self.version[1]}"


_Word = Annotated[str, Field(max_length=_LONGEST)]
_Part = Annotated[int, Field(ge=0, lt=1000)]


class _Told(BaseModel):
    """What a Python of the device said of itself, as `_PYTHON` asks for it."""

    path: _Word
    real: _Word
    implementation: _Word
    version: tuple[_Part, _Part, _Part]
    bits: Literal[32, 64]
    libc: tuple[_Word, _Word]
    venv: bool
    ensurepip: bool
    numpy: _Word | None


@dataclass(frozen=True)
class Survey:
    """What a device is and has.

    Parameters
    ----------
    memory_mb, free_mb
        All memory, and free disk where the folder will be, in MiB; None where the system does not say.
    writable
        Whether the folder, or the nearest folder above it that exists, may be written to.
    pythons
        In the order of preference of the device: what ``python3`` means, then the newest.
    corals
        Edge TPUs: PCI nodes, USB sticks before and after their first use.
    packages
        Installed Debian packages that matter, ``{"libedgetpu1-std": "16.0"}``.
    """

    system: str
    machine: str
    os: str
    codename: str
    user: str
    groups: tuple[str, ...]
    root: bool
    apt: bool
    memory_mb: int | None
    free_mb: int | None
    writable: bool
    pythons: tuple[Python, ...]
    corals: tuple[str, ...] = ()
    udev_rules: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def sudo(self) -> str:
        """What an administrator's command begins with."""
        return "" if self.root else "sudo "

    def __str__(self) -> str:
        memory = f", {self.memory_mb} MiB memory" if self.memory_mb else ""
        free = f", {self.free_mb} MiB free" if self.free_mb is not None else ""
        pythons = ", ".join(".".join(map(str, python.version)) for python in self.pythons) or "none"
        return f"{self.os or self.system} on {self.machine}{memory}{free}, Python {pythons}"


def survey(transport: Transport, folder: str, timeout_s: float = 120.0) -> Survey:
    """Ask a device what it is. Raises DeviceLost, and FoxnasError when it has no POSIX shell."""
    done = transport.run(["sh", "-s", "--", folder, _PYTHON], _SHELL.encode(), timeout_s)
    said: dict[str, list[str]] = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith(_MARK) and "\t" in line:
            name, value = line.removeprefix(_MARK).split("\t", 1)
            one_line = value.strip()[:_LONGEST] if name == "python" else printable(value, _LONGEST)
            said.setdefault(name, []).append(one_line)
    if "end" not in said:
        words = printable((done.stderr or done.stdout).decode(errors="replace"), 300)
        raise FoxnasError(f"{transport.host}: cannot be surveyed, its shell ended with status {done.status}: {words}")
    return _parse({name: values for name, values in said.items() if name != "end"})


def _parse(said: Mapping[str, list[str]]) -> Survey:
    def one(name: str) -> str:
        return next(iter(said.get(name, [])), "")

    def mebibytes(name: str) -> int | None:
        return int(one(name)) // 1024 if re.fullmatch(r"[0-9]{1,18}", one(name)) else None

    return Survey(
        system=one("system"),
        machine=one("machine"),
        os=one("os"),
        codename=one("codename"),
        user=one("user"),
        groups=tuple(one("groups").split()),
        root=bool(one("root")),
        apt=bool(one("apt")),
        memory_mb=mebibytes("memory_kb"),
        free_mb=mebibytes("free_kb"),
        writable=bool(one("writable")),
        pythons=_pythons(said.get("python", []), one("machine")),
        corals=tuple(said.get("coral", [])),
        udev_rules=tuple(said.get("udev_rule", [])),
        packages=dict(words.split(" ", 1) for words in said.get("package", []) if " " in words),
    )


def _pythons(answers: list[str], machine: str) -> tuple[Python, ...]:
    found: dict[str, Python] = {}
    for answer in answers:
        try:
            told = _Told.model_validate_json(answer)
        except ValueError:
            continue  # a Python that cannot even say its version is none
        if told.implementation == "CPython":
            wheels = _wheel_machine(machine, told.bits)
            python = Python(told.path, told.version, wheels, told.libc, told.venv, told.ensurepip, told.numpy)
            found.setdefault(told.real, python)
    return tuple(found.values())


def _wheel_machine(machine: str, bits: int) -> str:
    if bits == 32:
        return {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(machine, machine)
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)
