"""The kind `onnxruntime`: probes and exported files become int8 ONNX models, which ONNX Runtime times and serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from foxnas.device.kind import DeviceKind
from foxnas.files.seal import read_model
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


class OnnxRuntimeKind(DeviceKind):
    """ONNX Runtime on the CPU, on this machine or over SSH."""

    backend = "foxnas_onnx_device.backend:OnnxBackend"
    packages = frozenset({"onnxruntime"})
    installs = "onnxruntime"
    pins = Path(__file__).with_name("device.txt")
    model_file = "model.onnx"

    def probe_writer(self, space: SearchSpace) -> Callable[[Arch], bytes]:
        """Return the writer of a subnet with random weights."""
        from foxnas.int8.probe import ProbeWriter
        from foxnas_onnx_device.conversion import to_onnx

        writer = ProbeWriter(space)
        return lambda arch: to_onnx(writer.write(arch))

    def prepared(self, exported: Path) -> bytes:
        """Return an exported file as ONNX: the same int8 weights, scales and zero points."""
        from foxnas_onnx_device.conversion import to_onnx

        return to_onnx(read_model(exported))
