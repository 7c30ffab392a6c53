"""What a kind of device is: the interface of `tflite`, `torch`, `edgetpu`, `ethos-u`, `table`, and of a plug-in.

docs/how-to/add-a-device-kind.md shows how to write one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from foxnas.device import plug_in_code
from foxnas.device.protocol import MeasurementProtocol
from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch
from foxnas.space.blocks import Block
from foxnas.space.space import SearchSpace

#: The int8 file that every candidate is exported to.
EXPORTED = "model.tflite"


class NotWritten(FoxnasError):
    """A subnet cannot be written as the device runs it: that costs it its row, as a model that cannot be run."""


class DeviceKind:
    """A kind of device. An entry point of the group `foxnas.devices` names the class, which takes no arguments.

    It is loaded while the workflow is read, so its module imports nothing heavy but inside methods. Whoever writes
    probes overrides `probe_writer`; the rest has defaults.
    """

    #: Where a latency is from. timed: the runner times what `probe_writer` and `prepared` give it. compiled: the same,
    #: of files that rules/edgetpu.smk has compiled. estimated: rules/ethosu.smk; nothing is timed. given: a table.
    #: A plug-in is timed.
    latency: ClassVar[Literal["timed", "compiled", "estimated", "given"]] = "timed"

    #: The runner's class that runs models on the device, `module:Class`, a `foxnas.runner.backend.Backend`. Its module,
    #: and what that imports of its own package and of `foxnas.runner`, is sent to the device with the runner.
    backend: ClassVar[str] = ""

    #: Distributions that run models, of which one is installed: their versions are part of a measurement.
    packages: ClassVar[frozenset[str]] = frozenset()
    #: The file that pins what provisioning installs on a device; None: envs/<kind>-device.txt of the workflow.
    pins: ClassVar[Path | None] = None
    #: Whether provisioning also installs what those depend on, from the device's own index.
    with_dependencies: ClassVar[bool] = False
    #: Debian packages for whose sake the environment sees the system's Python packages.
    system_packages: ClassVar[frozenset[str]] = frozenset()
    #: What to install where a Python of the user's lacks a runtime.
    installs: ClassVar[str] = ""

    #: The name of the file beside `model.tflite` that serves: what `prepared` gives, or a compiler. It begins with
    #: "model"; by default `model.tflite` itself serves.
    model_file: ClassVar[str] = EXPORTED
    #: Whether the CPU's clock says how fast models run.
    on_cpu: ClassVar[bool] = True

    #: Whether `chain_writer` writes blocks of a space by themselves.
    times_blocks: ClassVar[bool] = False

    #: Keys of a device in the config that only this kind has.
    own_keys: ClassVar[tuple[str, ...]] = ()
    #: What these and others hold where they are left out.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: Keys that must not be null, with what to write.
    needs: ClassVar[Mapping[str, str]] = {}
    #: Why such a device has no `ssh`, as "which nothing connects to"; empty where it may.
    no_ssh: ClassVar[str] = ""

    def probe_writer(self, space: SearchSpace) -> Callable[[Arch], bytes]:
        """Return what writes a subnet as the device runs it, with random weights, compiled where it has to be.

        An exception of a plug-in's writer costs that subnet its row, and is the row's reason.
        """
        raise NotImplementedError(f"{type(self).__name__} writes no probes")

    def probe_code(self) -> str:
        """Return the digest of the code that writes probes: a journal of other code is not continued."""
        return self.code()

    def code(self) -> str:
        """Return the digest of all code of this kind: where it changed, its devices are measured again.

        Of a plug-in, also that of its backend, which times: the runner's version is that of our own backends.
        """
        return plug_in_code.digest(Path(inspect.getfile(type(self))), self.backend.partition(":")[0])

    def chain_writer(self, space: SearchSpace) -> Callable[[Block, int], bytes]:
        """Return what writes so many copies of a block as one model that the device runs, with random weights."""
        raise NotImplementedError(f"{type(self).__name__} writes no chains of blocks")

    def chain_code(self) -> str:
        """Return the digest of the code that writes them."""
        return self.code()

    def prepared(self, exported: Path) -> bytes:
        """Return what the device times and serves for an exported int8 .tflite file.

        Raises FoxnasError when the file is damaged (`foxnas.files.seal.read_model` does), or cannot be run there.
        """
        raise NotImplementedError(f"{type(self).__name__} prepares no files")

    def reference(self, space: SearchSpace, references: Path | None, cache: Path | None) -> tuple[bytes, str]:
        """Return the model that never changes for a device, and the digest of the code that writes it.

        `references` and `cache` are for models that rules/edgetpu.smk compiles.
        """
        return self.probe_writer(space)(space.largest(space.image_sizes[0])), self.probe_code()

    def comparison_probes(self, space: SearchSpace, references: Path | None, cache: Path | None) -> dict[str, bytes]:
        """Return what the boards of a rack are compared by: the largest subnet, the smallest one, and one between.

        `references` and `cache` as for `reference`.
        """
        write, size = self.probe_writer(space), space.image_sizes[0]
        chosen = {"largest": space.largest(size), "smallest": space.smallest(size)}
        chosen["random"] = space.draw(size, np.random.default_rng(0))
        return {name: write(arch) for name, arch in chosen.items()}

    def reference_to_examine(self, device: Any, space: SearchSpace) -> bytes:
        """Return the same for the doctor, who has nothing but the device's section of the config."""
        return self.reference(space, None, None)[0]

    def answers_itself(self, over_ssh: bool, asked: bool) -> bool:
        """Return whether the device's own runtime says what the deployed file sees, and not this host's LiteRT.

        Parameters
        ----------
        asked
            Whether the config leaves it to devices (`validation.accuracy_on`).
        """
        return self.model_file != EXPORTED

    def no_board(self, device: Any) -> str:
        """Return why the doctor has nothing to examine, empty if there is something."""
        return ""

    def advice(self, protocol: MeasurementProtocol) -> str:
        """Return what is to be said of settings that work against each other, empty if nothing is."""
        return ""

    #: Whether a first model can be written without a compiler, to prove a device that was provisioned.
    proves_itself: ClassVar[bool] = True

    def open_questions(self, found: Any, requirements: Sequence[str]) -> list[str]:
        """Return what provisioning cannot do itself, one sentence each with the exact commands.

        `found` is the `foxnas.device.provisioning.survey.Survey` of the device.
        """
        return []

    def explained(self, requirements: Sequence[str]) -> str:
        """Return what is known where a first model cannot be run with these, empty if nothing is."""
        return ""
