"""Devices that run the float32 subnet on PyTorch, many images at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from foxnas.device.kind import DeviceKind
from foxnas.files import closures
from foxnas.files.seal import read_model
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


class TorchKind(DeviceKind):
    """Probes are lists of operators; of an exported file the float32 subnet that it came from is timed."""

    backend = "foxnas.runner.pytorch:TorchBackend"
    packages = frozenset({"torch"})
    with_dependencies = True
    installs = "torch"
    on_cpu = False
    own_keys = ("torch",)
    defaults: ClassVar[dict[str, Any]] = {"torch": {}}
    needs: ClassVar[dict[str, str]] = {
        "torch": "{batch: 64, compile: false, cuda_graphs: false, tf32: false, channels_last: false}"
    }

    def probe_writer(self, space: SearchSpace) -> Callable[[Arch], bytes]:
        """Return the writer of lists of operators."""
        from foxnas.device import float_probe

        return partial(float_probe.write_float, space)

    def probe_code(self) -> str:
        """Return the digest of the writer alone."""
        return closures.digest(closures.PACKAGE / "device" / "float_probe.py")

    def prepared(self, exported: Path) -> bytes:
        """Return the subnet. Raises FoxnasError when the file is damaged, or does not say what it was exported from."""
        from foxnas.device.float_probe import write_float
        from foxnas.int8.reading import read_metadata

        made_by = read_metadata(read_model(exported))
        space = SearchSpace.from_record(made_by["settings"]["space"])
        return write_float(space, space.parse(made_by["arch"]))
