"""Probes: the models that are sent to each kind of device in place of a subnet or a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from foxnas.device import float_probe
from foxnas.files import closures
from foxnas.files.seal import read_model
from foxnas.int8 import probe
from foxnas.int8.reading import read_metadata
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


def probe_writer(kind: str, space: SearchSpace) -> tuple[Callable[[Arch], bytes], str]:
    """Return what writes a subnet's probe for ``tflite`` or ``torch`` devices, and the digest of its code."""
    if kind == "torch":
        return partial(float_probe.write_float, space), closures.digest(Path(float_probe.__file__))
    return probe.ProbeWriter(space).write, closures.digest(Path(probe.__file__))


def comparison_probes(kind: str, space: SearchSpace) -> dict[str, bytes]:
    """Return what the boards of a rack are compared by: the largest subnet, the smallest one, and one between."""
    write, size = probe_writer(kind, space)[0], space.image_sizes[0]
    chosen = {"largest": space.largest(size), "smallest": space.smallest(size)}
    chosen["random"] = space.draw(size, np.random.default_rng(0))
    return {name: write(arch) for name, arch in chosen.items()}


def exported_model(kind: str, path: Path) -> bytes:
    """Return what a device times for an exported .tflite file: itself, or on PyTorch the float32 subnet it came from.

    A file for an Edge TPU is what the compiler made of an exported one, and is not sealed. Raises FoxnasError when any
    other is damaged, or, for PyTorch, does not say what it was exported from.
    """
    if kind == "edgetpu":
        return path.read_bytes()
    content = read_model(path)
    if kind != "torch":
        return content
    made_by = read_metadata(content)
    space = SearchSpace.from_record(made_by["settings"]["space"])
    return float_probe.write_float(space, space.parse(made_by["arch"]))
