"""The host's side: what is sent to the device. Import nothing heavy here but inside methods."""

from collections.abc import Callable
from pathlib import Path

from foxnas.device.kind import DeviceKind
from foxnas.files.seal import read_model
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


class MyKind(DeviceKind):
    """Here: LiteRT's reference kernels, which take the int8 file as it is. Put your runtime in their place."""

    backend = "foxnas_my_device.backend:MyBackend"
    packages = frozenset({"ai-edge-litert"})  # their versions are part of every measurement

    # model_file = "model.mine"  # the form of `prepared` that serves, if it is not model.tflite

    def probe_writer(self, space: SearchSpace) -> Callable[[Arch], bytes]:
        """Return what writes a subnet with random weights, as your runtime reads it; compile it here if need be."""
        from foxnas.int8.probe import ProbeWriter

        return ProbeWriter(space).write

    def prepared(self, exported: Path) -> bytes:
        """Return an exported int8 .tflite file as your runtime reads it."""
        return read_model(exported)

    def answers_itself(self, over_ssh: bool, asked: bool) -> bool:
        """Return True: `validation.json` has the top-1 that the device answers."""
        return True
