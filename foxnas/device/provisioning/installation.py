"""Prepares a device: a private environment with the pinned interpreter, the runner, and a first model run by both."""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foxnas.device import layout
from foxnas.device.answers_of_programs import ask_until_free, last_object
from foxnas.device.archive import archive
from foxnas.device.client import Runner
from foxnas.device.kinds import kind_of
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.provisioning.compatibility import Choice, choose, pinned
from foxnas.device.provisioning.survey import Survey, survey
from foxnas.device.provisioning.wheels import cache_folder, fetch_wheels, wheels_in
from foxnas.device.text import printable
from foxnas.device.transport import Device, DeviceLost, RunnerDied
from foxnas.errors import FoxnasError
from foxnas.files.progress import waiting
from foxnas.runner import installer
from foxnas.space.layers import UnitSpec
from foxnas.space.space import SearchSpace

_log = logging.getLogger(__name__)
_INSTALL_S = 3600.0
_UPLOAD_S = 1800.0
#: Disk that an environment takes, as a multiple of its wheels.
_UNPACKED = 5


@dataclass(frozen=True)
class Readiness:
    """What a device that is ready has.

    Parameters
    ----------
    requirements
        What its environment holds; empty when the user's own Python runs the runner.
    made
        Whether the environment was made just now.
    open_questions
        What only its owner can do, one sentence each, with the commands.
    identity
        `Runner.identity` of the first session.
    """

    survey: Survey
    requirements: tuple[str, ...]
    made: bool
    open_questions: tuple[str, ...]
    identity: dict[str, Any]


def provision(
    device: Device,
    protocol: MeasurementProtocol,
    folder: str | None,
    environments: Path,
    wheels: Path | None = None,
    cache: Path | None = None,
) -> Readiness:
    """Make a device ready, and prove it by running a model there with the runner that will measure.

    A second call finds everything in its place and only proves it. Installing holds the machine's lock, so
    that nobody's measurement is disturbed.

    Parameters
    ----------
    device
        Its transport must start the runner under ``layout.python(folder, device.backend)``.
    protocol
        Its threads, CPU and delegate are proven too.
    folder
        Where the environment lies on the device; None when a Python of the user's own is to be proven, and
        nothing is to be installed.
    environments
        The folder of the files that pin what is installed.
    wheels
        A folder with a wheel of everything; None lets this host fetch them, or, where it cannot, the device.
    cache
        Where this host keeps the wheels that it fetched; None for the user's cache folder.

    Raises
    ------
    DeviceLost
        When the device goes away; calling again continues.
    FoxnasError
        With what is in the way and the commands that remove it.
    """
    try:
        found = survey(device.transport, folder or ".")
        _log.info("%s: %s", device, found)
        if folder is None:
            return Readiness(found, (), False, (), _prove(device, protocol, ()))
        if not found.writable:
            raise FoxnasError(f"{folder} may not be written to by {found.user}: set ssh.folder to one that may")
        choice = choose(found, device.backend, environments)
        setup = _Setup(device, folder, environments, choice, found, wheels, cache or cache_folder())
        made = setup.install(anew=False)
        try:
            identity = _prove(device, protocol, choice.requirements)
        except FoxnasError as error:
            if made or isinstance(error, DeviceLost):
                raise
            _log.warning("%s; the environment is made anew", error)
            made = setup.install(anew=True)
            identity = _prove(device, protocol, choice.requirements)
    except DeviceLost:
        raise
    except FoxnasError as error:
        said = str(error)
        raise FoxnasError(said if said.startswith(str(device)) else f"{device}: {said}") from error
    todo = kind_of(device.backend).open_questions(found, choice.requirements)
    for sentence in todo:
        _log.warning("%s: to be done by hand: %s", device, sentence)
    return Readiness(found, choice.requirements, made, tuple(todo), identity)


@dataclass(frozen=True)
class _Setup:
    """One environment of one device."""

    device: Device
    folder: str
    environments: Path
    choice: Choice
    found: Survey
    wheels: Path | None
    cache: Path

    def install(self, anew: bool) -> bool:
        """Make the environment unless it is whole. Returns whether it had to be made."""
        content = archive(Path(installer.__file__))
        program = str(layout.keyed(self.folder, "installer.pyz", content))
        self._upload_missing({program: content})
        answer = self._ask(program, {"anew": anew, "wheels": None, "from_index": False})
        if "missing" in answer:
            sources = self._sources()
            if sources is None:
                with waiting(f"{self.device}: installing {self._listed} from its own package index"):
                    answer = self._ask(program, {"anew": anew, "wheels": None, "from_index": True})
            else:
                sent = {f"wheels/{path.name}": path.read_bytes() for path in sources}
                self._make_room(sum(map(len, sent.values())))
                self._upload_missing({f"{self.folder}/{name}": content for name, content in sent.items()})
                with waiting(f"{self.device}: installing {self._listed}"):
                    answer = self._ask(program, {"anew": anew, "wheels": sorted(sent), "from_index": False})
        if "made" not in answer:
            raise FoxnasError(f"the environment cannot be made: {printable(str(answer.get('error', answer)))}")
        return bool(answer.get("made"))

    @property
    def _listed(self) -> str:
        return ", ".join(self.choice.requirements)

    @property
    def _name(self) -> str:
        """One environment for every set of requirements and every Python; an old one stays, in case it is in use."""
        key = json.dumps([self.choice.requirements, self.choice.python.path, self.choice.python.version])
        return f"{self.device.backend}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def _sources(self) -> list[Path] | None:
        """Return the wheels to send, None when the device must install from its own index."""
        python = self.choice.python
        wanted = (*self.choice.requirements, *pinned(self.environments / "installer.txt", python))
        if self.wheels is not None:
            return wheels_in(self.wheels, wanted, python)
        if self.choice.dependencies:
            self._need_pip("")
            return None
        try:
            return fetch_wheels(wanted, python, self.cache)
        except FoxnasError as error:
            self._need_pip(f"{error}; ")
            _log.warning("%s: %s; it tries its own package index", self.device, error)
            return None

    def _need_pip(self, why: str) -> None:
        if not self.choice.python.ensurepip:
            raise FoxnasError(
                f"{why}its Python {self.choice.python.minor} has no pip to install from an index with: "
                f"{self.found.sudo}apt-get install python{self.choice.python.minor}-venv, or set devices.wheels"
            )

    def _make_room(self, wheel_bytes: int) -> None:
        need_mb = _UNPACKED * wheel_bytes // 2**20
        if self.found.free_mb is not None and self.found.free_mb < need_mb:
            raise FoxnasError(
                f"{self.folder} needs about {need_mb} MiB and its disk has {self.found.free_mb} free: make room, or "
                "set ssh.folder to another disk"
            )

    def _upload_missing(self, files: dict[str, bytes]) -> None:
        """Upload the files that are not there with their full length."""
        words = [word for path, content in files.items() for word in (path, str(len(content)))]
        script = (
            'while [ $# -gt 0 ]; do\n[ "$(wc -c 2>/dev/null <"$1")" -eq "$2" ] 2>/dev/null || echo "$1"; shift 2; done'
        )
        done = self.device.transport.run(["sh", "-c", script, "sh", *words])
        for path in done.stdout.decode(errors="replace").splitlines():
            if path in files:
                with waiting(f"{self.device}: uploading {path} ({len(files[path]) / 1e6:.1f} MB)"):
                    self.device.transport.upload(files[path], path, _UPLOAD_S)

    def _ask(self, program: str, how: dict[str, Any]) -> dict[str, Any]:
        """Run the installer, waiting while somebody measures. Returns its answer."""
        asked = {
            "folder": self.folder,
            "environment": self._name,
            "link": self.device.backend,
            "requirements": self.choice.requirements,
            "dependencies": self.choice.dependencies,
            "system_packages": self.choice.system_packages,
            "lock": self.device.lock,
            "holder": f"{getpass.getuser()} on {socket.gethostname()} installing",
            **how,
        }

        def ask() -> dict[str, Any]:
            command = [self.choice.python.path, program]
            done = self.device.transport.run(command, json.dumps(asked).encode(), _INSTALL_S)
            answer = last_object(done.stdout)
            if answer is None:
                said = printable(done.stderr.decode(errors="replace"), 500)
                raise FoxnasError(f"the installer ended with status {done.status}: {said}")
            return answer

        return ask_until_free(
            self.device,
            ask,
            lambda holder: f"waiting to install, somebody measures there ({holder})",
            lambda holder: f"somebody measures there ({holder}); installing would disturb that",
        )


def _first_model(kind: str) -> bytes | None:
    """Return a small model that has every operator of the spaces; none for what only a compiler can write."""
    if not kind_of(kind).proves_itself:
        return None
    units = (UnitSpec(8, 2, 2), UnitSpec(8, 1, 1))
    space = SearchSpace(
        name="first", image_sizes=(16,), kernel_sizes=(3,), expansion_ratios=(2,), depths=(2,),
        stem_width=8, stem_stride=2, units=units, head_width=8, image_channels=1, classes=2,
    )  # fmt: skip
    return kind_of(kind).probe_writer(space)(space.largest(16))


def _prove(device: Device, protocol: MeasurementProtocol, requirements: Sequence[str]) -> dict[str, Any]:
    """Run a first model once, in the process that will measure. Returns the session's identity.

    A runner that dies here takes nothing with it: the crash of an interpreter or a delegate becomes a sentence.
    """
    once = replace(protocol, warm_up_runs=1, warm_up_ms=0, min_runs=1, min_time_ms=0)
    model = _first_model(device.backend)
    try:
        with Runner(device, once) as runner:
            row = runner.measure("first", model) if model is not None else {}
            identity = runner.identity
    except RunnerDied as error:
        what = " ".join(requirements) or "its interpreter"
        raise FoxnasError(f"{what} does not work there: the runner was {error.ending}; {error}") from error
    except DeviceLost:
        raise
    except FoxnasError as error:
        if not (known := kind_of(device.backend).explained(requirements)):
            raise
        raise FoxnasError(f"{error} ({known})") from error
    if "error" in row:
        raise FoxnasError(f"its runtime cannot run a first model: {row['error']}")
    return identity
