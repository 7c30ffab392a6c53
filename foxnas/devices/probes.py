"""What is sent to a kind of device to stand for a subnet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from foxnas import code
from foxnas.devices import float_probe
from foxnas.space import Arch, SearchSpace
from foxnas.tflite import probe


def probe_writer(kind: str, space: SearchSpace) -> tuple[Callable[[Arch], bytes], str]:
    """Return what writes a subnet's probe for ``tflite`` or ``torch`` devices, and the digest of its code."""
    if kind == "torch":
        return partial(float_probe.write_float, space), code.digest(Path(float_probe.__file__))
    return probe.ProbeWriter(space).write, code.digest(Path(probe.__file__))
