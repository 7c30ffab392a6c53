"""Devices that run an int8 file as it is exported, on LiteRT or tflite-runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from foxnas.device.kind import DeviceKind
from foxnas.device.protocol import MeasurementProtocol
from foxnas.files import closures
from foxnas.files.seal import read_model
from foxnas.space.arch import Arch
from foxnas.space.blocks import Block
from foxnas.space.space import SearchSpace


class TfliteKind(DeviceKind):
    """Probes are int8 .tflite files of random weights; an exported file is timed and served as it is."""

    backend = "foxnas.runner.tflite:TfliteBackend"
    packages = frozenset({"ai-edge-litert", "tflite-runtime"})
    installs = "ai-edge-litert"
    times_blocks = True

    def probe_writer(self, space: SearchSpace) -> Callable[[Arch], bytes]:
        """Return the writer of int8 .tflite files."""
        from foxnas.int8 import probe

        return probe.ProbeWriter(space).write

    def probe_code(self) -> str:
        """Return the digest of the writer alone."""
        return closures.digest(closures.PACKAGE / "int8" / "probe.py")

    def chain_writer(self, space: SearchSpace) -> Callable[[Block, int], bytes]:
        """Return the writer of the same for blocks."""
        from foxnas.int8 import chain

        return chain.PartWriter(space).write_chain

    def chain_code(self) -> str:
        """Return the digest of that writer alone."""
        return closures.digest(closures.PACKAGE / "int8" / "chain.py")

    def prepared(self, exported: Path) -> bytes:
        """Return the file itself."""
        return read_model(exported)

    def answers_itself(self, over_ssh: bool, asked: bool) -> bool:
        """Return whether it is another machine that the config leaves it to: here the same runtime answers."""
        return over_ssh and asked

    def advice(self, protocol: MeasurementProtocol) -> str:
        """Return what more threads cost the runtime's own kernels."""
        if protocol.threads == 1 or protocol.xnnpack:
            return ""
        return (
            f"threads is {protocol.threads} with xnnpack: false, whose kernels get slower with more than one; small "
            "models take 6 to 20 times as long: write threads: 1, or xnnpack: true"
        )
