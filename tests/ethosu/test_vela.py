"""Arm's real compiler: what it says of models of ours, what becomes of fallbacks, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from foxnas.device.npu import NpuSettings
from foxnas.errors import FoxnasError
from foxnas.ethosu.probe import TrainedLikeWriter
from foxnas.ethosu.summary import read_estimate
from foxnas.ethosu.table import as_table, described, row_of
from foxnas.ethosu.vela import Compilation, Vela, version_of
from foxnas.int8.packing import pack
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import read_model, read_summary
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from tests.support.kinds import FUSED, FUSED_SYMMETRIC
from tests.support.vela import PINS, vela

U55 = NpuSettings(
    accelerator_config="ethos-u55-256", system_config="Ethos_U55_High_End_Embedded", memory_mode="Shared_Sram"
)
SETTINGS = [
    U55,
    NpuSettings(accelerator_config="ethos-u65-512", system_config="Ethos_U65_High_End", memory_mode="Dedicated_Sram"),
    NpuSettings(accelerator_config="ethos-u85-256", system_config="Ethos_U85_SYS_DRAM_Mid", memory_mode="Shared_Sram"),
    NpuSettings(accelerator_config="ethos-u55-32", system_config="Ethos_U55_Deep_Embedded", memory_mode="Sram_Only"),
]


@pytest.fixture(scope="module")
def probe(mini: SearchSpace) -> bytes:
    return TrainedLikeWriter(mini).write(mini.largest(40))


@pytest.fixture(scope="module")
def written(probe: bytes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The summary file that Vela wrote of a probe, and the compiled model."""
    kept = tmp_path_factory.mktemp("summary") / "summary.csv"

    def keep(path: Path, *more: object) -> object:
        kept.write_bytes(path.read_bytes())
        return read_estimate(path, *more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foxnas.ethosu.vela.read_estimate", keep)
        found = Vela(vela(), U55).compile(probe)
    assert found.content
    return kept, found.content


def test_the_pinned_version_answers() -> None:
    assert f"ethos-u-vela=={version_of(vela())}" in PINS.read_text().split()


@pytest.mark.parametrize("npu", SETTINGS, ids=lambda npu: f"{npu.accelerator_config}-{npu.memory_mode}")
def test_a_probe_runs_whole_on_the_npu_and_compiles_to_the_same_every_time(probe: bytes, npu: NpuSettings) -> None:
    first, second = (Vela(vela(), npu).compile(probe) for _ in range(2))
    assert first == second
    estimate = first.estimate
    assert estimate
    assert first.content
    assert (estimate.problem, dict(estimate.fallbacks), estimate.operators_npu) == ("", {}, 1)
    assert 0 < estimate.npu_ms < 1000
    assert estimate.sram_bytes > 0
    assert (estimate.off_chip_bytes > 0) == (npu.memory_mode != "Sram_Only")
    operators = [operator.name for operator in read_summary(first.content).operators]
    assert operators == ["CUSTOM"]


def test_more_of_every_knob_takes_longer_and_more_memory_than_its_data(mini: SearchSpace) -> None:
    writer, compiler = TrainedLikeWriter(mini), Vela(vela(), U55)
    small, large = (compiler.compile(writer.write(arch)).estimate for arch in (mini.smallest(24), mini.largest(24)))
    assert small
    assert large
    assert small.npu_ms < large.npu_ms
    assert small.off_chip_bytes < large.off_chip_bytes
    # Nothing is multiplied more often than 256 times a cycle.
    assert large.cycles >= costs_of(mini, mini.largest(24)).macs / 256


@pytest.mark.parametrize("space", [FUSED, FUSED_SYMMETRIC], ids=lambda space: space.name)
def test_every_kind_of_block_runs_on_the_npu(space: SearchSpace) -> None:
    found = Vela(vela(), U55).compile(TrainedLikeWriter(space).write(space.largest(32)))
    assert found.estimate
    assert not found.estimate.problem


def test_small_weights_travel_in_fewer_bits_so_latency_depends_on_their_values(mini: SearchSpace) -> None:
    """Why probes of an Ethos-U have weights of their own."""
    arch, compiler = mini.largest(40), Vela(vela(), U55)
    uniform, trained_like = (
        compiler.compile(kind(mini).write(arch)).estimate for kind in (ProbeWriter, TrainedLikeWriter)
    )
    assert uniform
    assert trained_like
    assert trained_like.encoded_weight_bytes < uniform.encoded_weight_bytes
    assert trained_like.npu_ms < uniform.npu_ms


def with_stride(content: bytes, stride: int) -> bytes:
    """The model with another stride at its first depthwise convolution of stride 1, which no NPU takes beyond 3."""
    model = read_model(content)
    for operator in model.subgraphs[0].operators:
        options = operator.builtinOptions
        if isinstance(options, schema.DepthwiseConv2DOptionsT) and options.strideW == 1:
            options.strideW = options.strideH = stride
            return pack(model)
    raise AssertionError


def on_float(content: bytes) -> bytes:
    """The model without its first QUANTIZE's integers: it reads float32, which stays on the CPU."""
    model = read_model(content)
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].type = schema.TensorType.FLOAT32
    graph.tensors[graph.inputs[0]].quantization = schema.QuantizationParametersT()
    return pack(model)


def test_an_operator_on_the_cpu_is_counted_and_named_and_the_estimate_is_not_believed(probe: bytes) -> None:
    whole, partly = (Vela(vela(), U55).compile(content) for content in (probe, on_float(probe)))
    assert whole.estimate
    assert partly.estimate
    assert dict(partly.estimate.fallbacks) == {"QUANTIZE": 1}
    assert partly.estimate.problem == (
        "1 operator falls back to the CPU, which Vela's estimate leaves out: QUANTIZE (1)"
    )
    # Vela succeeds, and says that less work takes less time: the NPU's.
    assert partly.estimate.npu_ms < whole.estimate.npu_ms
    rows = as_table(
        [row_of(name, name, one, "ethos-u55-256", 1) for name, one in (("whole", whole), ("partly", partly))]
    )
    assert rows["usable"].tolist() == [True, False]
    assert rows["latency_ms"].notna().tolist() == [True, False]
    assert rows["fallback_operators"].tolist() == [0, 1]
    assert rows["reason"].tolist() == ["", partly.estimate.problem]
    assert described(rows, "whole")["estimate_ms"] == whole.estimate.npu_ms
    with pytest.raises(FoxnasError, match=r"model partly cannot be deployed: 1 operator falls back .* QUANTIZE"):
        described(rows, "partly")


def test_what_vela_refuses_is_a_reason_and_no_estimate() -> None:
    found = Vela(vela(), U55).compile(b"no model")
    assert (found.estimate, found.content) == (None, None)
    assert re.match(r"Vela failed: .+ \(exit status \d+\)$", found.reason)


def test_a_model_that_takes_too_long_is_a_reason(probe: bytes, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    found = Vela(str(slow), U55.model_copy(update={"timeout_s": 1})).compile(probe)
    assert found == Compilation(None, None, "Vela was stopped after 1 s")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 16.0 of something", r"is not Vela; asked for its version it said '16.0 of something'"),
        ("exit 3", r"is not Vela"),
    ],
)
def test_another_program_is_refused(tmp_path: Path, script: str, message: str) -> None:
    other = tmp_path / "vela"
    other.write_text(f"#!/bin/sh\n{script}\n")
    other.chmod(0o755)
    with pytest.raises(FoxnasError, match=message):
        assert Vela(str(other), U55).version


def test_none_at_all_says_how_to_get_it() -> None:
    with pytest.raises(FoxnasError, match=r"Arm's compiler Vela is not there. Install it \(pip install ethos-u-vela\)"):
        assert Vela("no-such-vela", U55).version


def test_success_without_a_model_is_refused(probe: bytes, tmp_path: Path) -> None:
    empty = tmp_path / "vela"
    empty.write_text("#!/bin/sh\necho done\n")
    empty.chmod(0o755)
    with pytest.raises(FoxnasError, match="reports success and wrote no model: done"):
        Vela(str(empty), U55).compile(probe)


Change = Callable[[dict[str, str]], None]


def _set(**values: str) -> Change:
    return lambda row: row.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(inference_time="nan"), r"inference_time is 'nan' in summary.csv, must be a finite number above 0"),
        (_set(inference_time="inf"), r"inference_time is 'inf'"),
        (_set(inference_time="0.0"), r"inference_time is '0.0'"),
        (_set(inference_time="-1e-3"), r"inference_time is '-1e-3'"),
        (_set(inference_time="fast"), r"inference_time is 'fast'"),
        (_set(inference_time=""), r"summary.csv has no inference_time"),
        (lambda row: row.pop("inference_time"), r"summary.csv has no inference_time"),
        (lambda row: row.pop("sram_memory_used"), r"summary.csv has no sram_memory_used"),
        (_set(off_chip_flash_memory_used="-1"), r"off_chip_flash_memory_used is '-1' .* at least 0"),
        (_set(cycles_total="1"), r"inference_time .* s at core_clock 5e\+08 Hz is not cycles_total 1 in summary.csv"),
        (
            _set(accelerator_configuration="Ethos_U55_128"),
            r"is 'Ethos_U55_128' in summary.csv, Ethos_U55_256 was asked",
        ),
        (_set(memory_mode="Sram_Only"), r"memory_mode is 'Sram_Only' in summary.csv, Shared_Sram was asked for"),
    ],
)
def test_a_summary_that_cannot_be_meant_is_refused_in_one_sentence(
    probe: bytes, written: tuple[Path, bytes], tmp_path: Path, change: Change, message: str
) -> None:
    path, compiled = written
    assert read_estimate(path, probe, compiled, U55).npu_ms > 0
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    change(row)
    (tmp_path / "summary.csv").write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    with pytest.raises(FoxnasError, match=f"^Vela's output cannot be believed: .*{message}"):
        read_estimate(tmp_path / "summary.csv", probe, compiled, U55)


def test_no_summary_or_several_are_refused(probe: bytes, written: tuple[Path, bytes], tmp_path: Path) -> None:
    path, compiled = written
    for content, message in ((None, "cannot be read"), (path.read_bytes() + path.read_bytes(), "has 3 rows")):
        if content is not None:
            (tmp_path / "s.csv").write_bytes(content)
        with pytest.raises(FoxnasError, match=message):
            read_estimate(tmp_path / "s.csv", probe, compiled, U55)


def test_a_compiled_model_of_another_source_is_refused(mini: SearchSpace, written: tuple[Path, bytes]) -> None:
    path, compiled = written
    other = TrainedLikeWriter(mini).write(mini.largest(24))
    with pytest.raises(FoxnasError, match=r"the compiled model reads \(1, 40, 40, 1\) and writes"):
        read_estimate(path, other, compiled, U55)


def test_probes_differ_from_others_in_their_weights_alone(mini: SearchSpace) -> None:
    arch = mini.largest(16)
    plain, bell = (kind(mini).write(arch) for kind in (ProbeWriter, TrainedLikeWriter))
    assert dataclasses.astuple(read_summary(plain))[:4] == dataclasses.astuple(read_summary(bell))[:4]


def test_weights_fill_every_channel_to_127_and_are_bell_shaped(mini: SearchSpace) -> None:
    content = TrainedLikeWriter(mini).write(mini.largest(16))
    model, summary = read_model(content), read_summary(content)
    spread = []
    for operator in summary.operators:
        if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        tensor = summary.tensors[operator.inputs[1]]
        buffer = model.buffers[model.subgraphs[0].tensors[operator.inputs[1]].buffer]
        values = np.frombuffer(bytes(buffer.data), np.int8).reshape(tensor.shape).astype(int)
        if operator.name == "FULLY_CONNECTED":
            assert np.abs(values).max() == 127
            continue
        axis = 3 if operator.name == "DEPTHWISE_CONV_2D" else 0
        channels = np.moveaxis(values, axis, 0).reshape(tensor.shape[axis], -1)
        assert (np.abs(channels).max(axis=1) == 127).all()
        if channels.shape[1] > 30:
            spread.append(channels.std() / 127)
    # A normal channel's largest of n is some 2 to 3.5 standard deviations out; a uniform one's 1.73.
    assert 1 / 3.5 < np.mean(spread) < 1 / 2
