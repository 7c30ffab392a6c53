"""Arm's Ethos-U: latency is the estimate of its compiler, made on this host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from foxnas.device.kind import DeviceKind
from foxnas.files import closures
from foxnas.files.seal import read_model
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace


class EthosUKind(DeviceKind):
    """Probes are int8 files whose weights are distributed like trained ones, which Vela compiles."""

    latency = "estimated"
    model_file = "model_vela.tflite"
    own_keys = ("npu",)
    needs: ClassVar[dict[str, str]] = {
        "npu": "{accelerator_config: ethos-u55-256, system_config: Ethos_U55_High_End_Embedded, memory_mode: "
        "Shared_Sram}"
    }
    no_ssh = "whose latency is estimated on this host"

    def probe_writer(self, space: SearchSpace) -> Callable[[Arch], bytes]:
        """Return the writer of what Vela is given."""
        from foxnas.ethosu.probe import TrainedLikeWriter

        return TrainedLikeWriter(space).write

    def probe_code(self) -> str:
        """Return the digest of the writer alone."""
        return closures.digest(closures.PACKAGE / "ethosu" / "probe.py")

    def prepared(self, exported: Path) -> bytes:
        """Return the file itself, which Vela compiles."""
        return read_model(exported)

    def answers_itself(self, over_ssh: bool, asked: bool) -> bool:
        """Return False: nobody needs to have one, so this host answers for the plain int8 file."""
        return False

    def no_board(self, device: Any) -> str:
        """Return who makes the latency."""
        return "is an ethos-u, whose latency Arm's compiler estimates on this host: there is no board to examine"
