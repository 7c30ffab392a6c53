"""The Edge TPU compiler's words, read: quoted from users of the real one, and from the paper's authors."""

from __future__ import annotations

from collections import Counter

import pytest

from foxnas.edgetpu.check import check_model
from foxnas.edgetpu.log import MAPPED, Status, parse_operations, parse_output
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import read_summary
from foxnas.space.arch import Arch
from foxnas.space.config import read_space

#: google-coral/edgetpu issue 512, compiler 16.0, a model that keeps operators on the CPU, with -s.
PARTLY = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1379 ms.

Input model: model.tflite
Input size: 4.41MiB
Output model: model_edgetpu.tflite
Output size: 5.49MiB
On-chip memory used for caching model parameters: 1.92MiB
On-chip memory remaining for caching model parameters: 1.75KiB
Off-chip memory used for streaming uncached model parameters: 3.23MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 136
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will
instead run on the CPU, which is slower. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 135
Number of operations that will run on CPU: 1

Operator                       Count      Status

RESHAPE                        15         Mapped to Edge TPU
CUSTOM                         1          Operation is working on an unsupported data type
MAX_POOL_2D                    3          Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded!
"""

#: Issue 643: everything mapped, the summary without the table.
WHOLE = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 542 ms.

Input model: quantized_model.tflite
Input size: 4.04MiB
Output model: quantized_model_edgetpu.tflite
Output size: 4.13MiB
On-chip memory used for caching model parameters: 604.50KiB
On-chip memory remaining for caching model parameters: 511.50KiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 50
Operation log: quantized_model_edgetpu.log
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!
"""


def test_the_log_of_a_partly_mapped_model_is_read() -> None:
    report = parse_output(PARTLY)
    assert (report.status, report.compiler_version) == (Status.COMPILED, "16.0.384591198")
    assert (report.compile_ms, report.subgraphs) == (1379, 1)
    assert (report.operators, report.operators_edgetpu, report.operators_cpu) == (136, 135, 1)
    assert (report.on_chip_used_bytes, report.on_chip_remaining_bytes) == (round(1.92 * 2**20), 1792)
    assert report.streamed_bytes == round(3.23 * 2**20)
    assert report.unmapped == (("CUSTOM", 1, "Operation is working on an unsupported data type"),)


def test_the_log_of_a_wholly_mapped_model_is_read() -> None:
    report = parse_output(WHOLE)
    assert (report.operators, report.operators_edgetpu, report.operators_cpu) == (50, 50, 0)
    assert (report.on_chip_used_bytes, report.streamed_bytes) == (619008, 0)
    assert report.unmapped == ()


#: The paper's authors' log of their smallest released model (great8nctu/FOX-NAS, FOX_NAS_TPU_192_A73_edgetpu.log).
AUTHORS = """Edge TPU Compiler version 2.0.291256449
Input: kcnet_tpu_192_1028_2s.tflite
Output: kcnet_tpu_192_1028_2s_edgetpu.tflite

Operator                       Count      Status

ADD                            10         Mapped to Edge TPU
AVERAGE_POOL_2D                1          Mapped to Edge TPU
QUANTIZE                       2          Mapped to Edge TPU
CONV_2D                        34         Mapped to Edge TPU
DEPTHWISE_CONV_2D              8          Mapped to Edge TPU
RESHAPE                        1          Mapped to Edge TPU
FULLY_CONNECTED                1          Mapped to Edge TPU
"""


def test_the_authors_log_lists_the_operators_that_our_probe_has() -> None:
    """Every depth 3 in the TPU space; only the pooling goes by another name (MEAN for AVERAGE_POOL_2D and RESHAPE)."""
    operations = parse_operations(AUTHORS)
    assert {words for _, _, words in operations} == {MAPPED}
    theirs = {name: count for name, count, _ in operations if name not in ("AVERAGE_POOL_2D", "RESHAPE")}
    space = read_space("tpu")
    probe = ProbeWriter(space).write(Arch.parse("r192_" + "_".join(["k3e4.k3e4.k3e4"] * 5)))
    ours = Counter(operator.name for operator in read_summary(probe).operators if operator.name != "MEAN")
    assert dict(ours) == theirs
    assert check_model(probe) == []


BANNER = "Edge TPU Compiler version 16.0.384591198\n"
TIMER = "Started a compilation timeout timer of 180 seconds.\n"
FAILED = "Compilation failed! \n"
END = "Compilation child process completed within timeout period.\n" + FAILED


@pytest.mark.parametrize(
    ("output", "status", "words"),
    [
        (BANNER + "Invalid model: a.tflite\nModel not quantized\n", Status.FAILED, "Model not quantized"),
        (
            BANNER + "ERROR: Didn't find op for builtin opcode 'EXP' version '2'. An older version of this builtin "
            "might be supported.\n\nERROR: Registration failed.\n\nInvalid model: a.tflite\nModel could not be parsed",
            Status.FAILED, "Didn't find op for builtin opcode 'EXP' version '2'",
        ),
        (BANNER + "\nInternal compiler error. Aborting! \n", Status.FAILED, "the compiler does not say why"),
        (BANNER + TIMER + END, Status.FAILED, "the compiler does not say why"),
        (
            BANNER + TIMER + "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph "
            "that has dynamic-sized tensors.\nCompilation failed: Model failed in Tflite interpreter.\n" + END,
            Status.FAILED, "dynamic-sized",
        ),
        (
            BANNER + TIMER + "Compilation timeout. This is usually caused by large activations.\n" + FAILED,
            Status.TIMED_OUT, "time limit",
        ),
        (
            BANNER + TIMER + "libc++abi: terminating with uncaught exception of type std::out_of_range: vector\n" + END,
            Status.FAILED, "std::out_of_range",
        ),
    ],
)  # fmt: skip
def test_the_failures_that_users_quote_are_read(output: str, status: Status, words: str) -> None:
    report = parse_output(output)
    assert report.status is status
    assert words in report.reason
    assert "timeout timer" not in report.reason
    assert report.operators is None
