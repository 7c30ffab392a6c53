"""Arm's Ethos-U: the NPU that its compiler, Vela, estimates models for."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from foxnas.errors import FoxnasError
from foxnas.settings.limits import Count, Name
from foxnas.settings.section import HostPath, Section

Accelerator = Literal[
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512",
    "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
]  # fmt: skip

System = Literal[
    "Ethos_U55_Deep_Embedded", "Ethos_U55_High_End_Embedded", "Ethos_U65_Embedded", "Ethos_U65_Mid_End",
    "Ethos_U65_High_End", "Ethos_U65_Client_Server", "Ethos_U85_SYS_Flash_Low", "Ethos_U85_SYS_Flash_High",
    "Ethos_U85_SYS_DRAM_Low", "Ethos_U85_SYS_DRAM_Mid", "Ethos_U85_SYS_DRAM_High",
]  # fmt: skip

MemoryMode = Literal[
    "Sram_Only", "Shared_Sram", "Dedicated_Sram", "Dedicated_Sram_256KB", "Dedicated_Sram_384KB", "Dedicated_Sram_512KB"
]

#: What Vela says of a compiled model; `npu_ms` leaves out what falls back to the CPU.
FIGURES = (
    "npu_ms",
    "cycles",
    "sram_bytes",
    "off_chip_bytes",
    "encoded_weight_bytes",
    "operators_npu",
    "fallbacks",
    "model_bytes",
    "compiled_bytes",
)

#: Columns of the tables that can be capped, by the key that caps them.
CAPPED = {"max_sram_bytes": "sram_bytes", "max_off_chip_bytes": "off_chip_bytes"}


class NpuSettings(Section):
    """What Vela is asked to compile for."""

    accelerator_config: Accelerator
    """Vela's --accelerator-config: the NPU, and its multiply-accumulates per cycle."""
    system_config: System
    """Vela's --system-config: clock and memories, as the file Arm/vela.ini that comes with Vela has them."""
    memory_mode: MemoryMode
    """Vela's --memory-mode: where weights and activations lie. Dedicated_Sram needs a DRAM."""
    timeout_s: Count = 300
    """Longest time for one model; past it, the model is a row with its reason."""

    @model_validator(mode="after")
    def _consistent(self) -> NpuSettings:
        family = self.accelerator_config.rpartition("-")[0].replace("-", "_").capitalize().replace("_u", "_U")
        if not self.system_config.startswith(f"{family}_"):
            raise FoxnasError(
                f"system_config is {self.system_config}, but accelerator_config is {self.accelerator_config}; write a "
                f"system that begins with {family}_"
            )
        if self.memory_mode.startswith("Dedicated") and not has_dram(self.system_config):
            raise FoxnasError(
                f"memory_mode is {self.memory_mode}, which keeps activations in a DRAM, but {self.system_config} has "
                "none; write Shared_Sram, or a system with a DRAM"
            )
        return self


class NpuConfig(NpuSettings):
    """An Ethos-U that nobody needs to have: latency is Vela's estimate, made on this host."""

    executable: HostPath | None = None
    """A vela of your own: a name on PATH, or a path. null: the workflow installs the one that envs/host-ethos-u.txt
    pins, in an environment of its own."""
    max_sram_bytes: Count | None = None
    """The most SRAM that a compiled model may use; null: any."""
    max_off_chip_bytes: Count | None = None
    """The most flash or DRAM, weights included, that a compiled model may use; null: any."""


class EstimatedConfig(NpuSettings):
    """A device as far as an estimate depends on it; a journal also goes by Vela's version."""

    name: Name
    kind: Literal["ethos-u"] = "ethos-u"
    runtime: list[str] | None
    """The pins of the Vela that the workflow installs; null where you bring your own."""
    code: str | None = None
    """Digest of the code of its kind."""


def has_dram(system: str) -> bool:
    """Return whether one of Vela's systems has a DRAM beside the SRAM, and not a flash."""
    return "DRAM" in system or system in ("Ethos_U65_Mid_End", "Ethos_U65_High_End", "Ethos_U65_Client_Server")
