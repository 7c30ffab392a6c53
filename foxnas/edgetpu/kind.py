"""Coral's Edge TPU: files that its compiler has made on this host, timed on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from foxnas.device.kind import DeviceKind
from foxnas.errors import FoxnasError
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


class EdgeTpuKind(DeviceKind):
    """Probes are int8 .tflite files for the compiler, which runs in rules of its own."""

    latency = "compiled"
    backend = "foxnas.runner.edgetpu:EdgeTpuBackend"
    packages = frozenset({"ai-edge-litert", "tflite-runtime"})
    system_packages = frozenset({"python3-pycoral"})
    installs = "ai-edge-litert"
    model_file = "model_edgetpu.tflite"
    own_keys = ("compiler",)
    defaults: ClassVar[dict[str, Any]] = {"compiler": {}, "max_model_bytes": 6000000}
    needs: ClassVar[dict[str, str]] = {
        "compiler": "{executable: edgetpu_compiler, timeout_s: 180, runtime: 14}",
        "max_model_bytes": "6000000, past which parameters no longer fit on the chip, or a larger number to lift the "
        "limit",
    }
    proves_itself = False

    def probe_writer(self, space: SearchSpace) -> Callable[[Arch], bytes]:
        """Return the writer of what the compiler is given."""
        from foxnas.int8.probe import ProbeWriter

        return ProbeWriter(space).write

    def prepared(self, exported: Path) -> bytes:
        """Return a file that the compiler made of an exported one, and which is not sealed."""
        return exported.read_bytes()

    def reference(self, space: SearchSpace, references: Path | None, cache: Path | None) -> tuple[bytes, str]:
        """Return one of the compiled models that the table `references` names, in the `cache`; its digest is empty."""
        from foxnas.edgetpu import timing
        from foxnas.edgetpu.cache import CompileCache
        from foxnas.files.tables import read_table

        assert references
        assert cache
        return timing.reference_model(read_table(references), CompileCache(cache)), ""

    def comparison_probes(self, space: SearchSpace, references: Path | None, cache: Path | None) -> dict[str, bytes]:
        """Return the compiled models that the table `references` names, in the `cache`."""
        from foxnas.edgetpu import timing
        from foxnas.edgetpu.cache import CompileCache
        from foxnas.files.tables import read_table

        assert references
        assert cache
        return timing.comparison_probes(read_table(references), CompileCache(cache))

    def reference_to_examine(self, device: Any, space: SearchSpace) -> bytes:
        """Return the largest model of the smallest size that compiles, or the smallest."""
        from foxnas.edgetpu.compiler import Compiler

        compiler = Compiler(device.compiler.executable, **device.compiler.limits.model_dump())
        size, write = space.image_sizes[0], self.probe_writer(space)
        for arch in (space.largest(size), space.smallest(size)):
            made = compiler.compile(write(arch))
            if made.content is not None:
                return made.content
        raise FoxnasError(f"device {device.name}: no reference model could be compiled: {made.report.reason}")

    def open_questions(self, found: Any, requirements: Sequence[str]) -> list[str]:
        """Return what is missing of library, stick and rights."""
        from foxnas.edgetpu.library import open_questions

        return open_questions(found, requirements)

    def explained(self, requirements: Sequence[str]) -> str:
        """Return which libraries the interpreter is known to work with."""
        from foxnas.edgetpu.library import known_combinations

        return known_combinations(requirements[0].partition("==")[0]) if requirements else ""
