"""What the Edge TPU compiler printed, as a value.

The forms are those of version 16.0.384591198, as its users quote them in the issues of google-coral/edgetpu
(512, 572, 643, 671, 686, 728, 829) and the compiler's page on coral.ai shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

#: The compiler's words for an operator that runs on the Edge TPU.
MAPPED = "Mapped to Edge TPU"

#: Ends the reason of a failure that the compiler leaves unexplained.
UNEXPLAINED = "the compiler does not say why"

#: Lines that frame the output and explain nothing.
_FRAME = re.compile(
    r"Edge TPU Compiler version|Started a compilation timeout timer|Compilation child process completed"
    r"|Compilation (failed|succeeded)! *$|ERROR: Registration failed"
)


class Status(StrEnum):
    """How the compilation of a model ended."""

    COMPILED = "compiled"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    INCOMPATIBLE = "incompatible"
    """Found by `foxnas.edgetpu.check`; the compiler was not called."""


@dataclass(frozen=True)
class CompileReport:
    """One compilation. Numbers are None where the compiler did not get that far.

    Parameters
    ----------
    reason
        Why there is no compiled model, in one line; empty if there is one.
    operators, operators_edgetpu, operators_cpu
        All of the model's, those that were mapped to the Edge TPU, and those that stay on the CPU.
    subgraphs
        Parts that run on the Edge TPU; more than one means trips to the CPU between.
    on_chip_used_bytes, on_chip_remaining_bytes
        The Edge TPU's parameter cache; the compiler prints three digits or so (to 10 KiB above 1 MiB).
    streamed_bytes
        Parameters that find no room there and travel at every inference.
    unmapped
        (operator, count, the compiler's words) of what stays on the CPU.
    """

    status: Status
    reason: str = ""
    compiler_version: str | None = None
    compile_ms: int | None = None
    operators: int | None = None
    operators_edgetpu: int | None = None
    operators_cpu: int | None = None
    subgraphs: int | None = None
    on_chip_used_bytes: int | None = None
    on_chip_remaining_bytes: int | None = None
    streamed_bytes: int | None = None
    unmapped: tuple[tuple[str, int, str], ...] = ()


def compiler_version(output: str) -> str | None:
    """Return the version of the compiler's banner, such as 16.0.384591198."""
    found = re.search(r"Edge TPU Compiler version (\S+)", output)
    return found.group(1) if found else None


def parse_operations(text: str) -> list[tuple[str, int, str]]:
    """Return (operator, count, the compiler's words) from its output or its log file."""
    rows = re.findall(r"^([A-Z][A-Z0-9_]*)\s{2,}(\d+)\s{2,}(\S.*?)\s*$", text, re.MULTILINE)
    return [(name, int(count), words) for name, count, words in rows]


def parse_output(output: str) -> CompileReport:
    """Return what one run over one model printed on stdout and stderr, with or without ``--show_operations``."""
    version = compiler_version(output)
    if re.search(r"^Compilation timeout", output, re.MULTILINE):
        return CompileReport(Status.TIMED_OUT, "the compiler's own time limit ran out", version)
    compiled = re.search(r"^(?:INFO: )?Model compiled successfully in (\d+) ms", output, re.MULTILINE)
    if compiled is None or re.search(r"^Compilation failed!", output, re.MULTILINE):
        return CompileReport(Status.FAILED, _reason(output), version)
    total = _number(output, "Total number of operations")
    on_cpu = _number(output, "Number of operations that will run on CPU")
    if on_cpu is None:  # the line is printed only where some do
        on_cpu = 0
    return CompileReport(
        Status.COMPILED,
        "",
        version,
        compile_ms=int(compiled.group(1)),
        operators=total,
        operators_edgetpu=None if total is None else total - on_cpu,
        operators_cpu=on_cpu,
        subgraphs=_number(output, "Number of Edge TPU subgraphs"),
        on_chip_used_bytes=_bytes(output, "On-chip memory used for caching model parameters"),
        on_chip_remaining_bytes=_bytes(output, "On-chip memory remaining for caching model parameters"),
        streamed_bytes=_bytes(output, "Off-chip memory used for streaming uncached model parameters"),
        unmapped=tuple(operation for operation in parse_operations(output) if operation[2] != MAPPED),
    )


def _number(output: str, label: str) -> int | None:
    found = re.search(rf"^{re.escape(label)}: (\d+)", output, re.MULTILINE)
    return int(found.group(1)) if found else None


def _bytes(output: str, label: str) -> int | None:
    found = re.search(rf"^{re.escape(label)}: ([\d.]+) ?([KMG]?i?B)", output, re.MULTILINE)
    return round(float(found.group(1)) * _UNITS[found.group(2)]) if found and found.group(2) in _UNITS else None


def _reason(output: str) -> str:
    """The lines that say something, in one; a bare failure says that it says nothing."""
    lines = [line.strip() for line in output.splitlines()]
    telling = [line.removeprefix("ERROR: ") for line in lines if line and not _FRAME.match(line)]
    if any("Internal compiler error" in line for line in telling) or not telling:
        telling.append(UNEXPLAINED)
    return "; ".join(dict.fromkeys(telling))[:400]
