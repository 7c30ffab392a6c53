"""The reference model of each kind of device, as its sample was measured with."""

from __future__ import annotations

from pathlib import Path

from foxnas.device import probes
from foxnas.edgetpu import timing
from foxnas.edgetpu.cache import CompileCache
from foxnas.files.tables import read_table
from foxnas.space.space import SearchSpace


def reference_model(kind: str, space: SearchSpace, references: Path | None, cache: Path | None) -> tuple[bytes, str]:
    """Return the model, and the digest of the code that writes it.

    For an Edge TPU it is one of those compiled, named by the table `references`, in the `cache`; its digest is empty.
    """
    if references is not None and cache is not None:
        return timing.reference_model(read_table(references), CompileCache(cache)), ""
    write, written_by = probes.probe_writer(kind, space)
    return write(space.largest(space.image_sizes[0])), written_by


def comparison_probes(kind: str, space: SearchSpace, references: Path | None, cache: Path | None) -> dict[str, bytes]:
    """Return what the boards of a rack are compared by, by name."""
    if references is not None and cache is not None:
        return timing.comparison_probes(read_table(references), CompileCache(cache))
    return probes.comparison_probes(kind, space)
