"""Subnets as PyTorch runs them on a device: the same networks, timed in float32."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from foxnas.config.whole import read_config
from foxnas.device.client import Runner
from foxnas.device.float_probe import write_float
from foxnas.device.kinds import kind_of
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol, TorchOptions
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import with_metadata
from foxnas.runner.network import Network
from foxnas.runner.pytorch import by_cuda_events
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from tests.support import kinds
from tests.support.scripts import made_by

ROOT = Path(__file__).resolve().parents[2]

QUICK = MeasurementProtocol(
    warm_up_runs=1, warm_up_ms=0, min_runs=3, min_time_ms=0, repeats=1, max_relative_mad=50, max_preempted=1,
    max_drift=50, torch=TorchOptions(batch=4),
)  # fmt: skip
SPACES = {
    "mini": read_space("mini"),
    **{space.name: space for space in vars(kinds).values() if isinstance(space, SearchSpace)},
}


@pytest.fixture
def gpu_box(own_lock: str) -> Device:
    """This machine as a PyTorch device, under a lock of its own."""
    return Device("gpu", LocalTransport(), backend="torch", lock=own_lock, timeout_s=60)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_the_built_network_is_the_extracted_subnet(name: str) -> None:
    space = SPACES[name]
    torch.manual_seed(0)
    supernet, rng = Supernet(space), np.random.default_rng(0)
    for size in (space.image_sizes[0], space.image_sizes[-1]):
        arch = space.draw(size, rng)
        images = torch.rand(3, space.image_channels, size, size)
        subnet = Subnet(supernet, arch)
        for module in subnet.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.5)
        subnet.train()(images)
        subnet.fold()
        network = Network(json.loads(write_float(space, arch)))
        ours = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        theirs = [m for m in subnet.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert [tuple(m.weight.shape) for m in ours] == [tuple(m.weight.shape) for m in theirs]
        for mine, their in zip(ours, theirs, strict=True):
            mine.load_state_dict(their.state_dict())
        # In float64, so that the bound tells one network from another on any processor: in float32 two orders of
        # summation differ by up to 2,400 units of roundoff of the largest output (AVX2), here that is 3e-13.
        with torch.no_grad():
            wanted = subnet.double()(images.double())
            found = network.double()(images.double())
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10 * float(wanted.abs().max()))


def test_an_exported_file_is_timed_as_the_float32_subnet_it_came_from(tmp_path: Path) -> None:
    space = read_space("mini")
    arch = space.largest(28)
    config = read_config(ROOT / "config" / "config.yaml").space
    made = {**made_by("export_candidates", space=config), "arch": arch.text}
    exported = with_metadata(ProbeWriter(space).write(arch), made)
    path = tmp_path / "model.tflite"
    path.write_bytes(exported)
    assert kind_of("torch").prepared(path) == write_float(space, arch)
    assert kind_of("tflite").prepared(path) == exported
    path.write_bytes(ProbeWriter(space).write(arch))
    with pytest.raises(FoxnasError, match="edited since it was written, or not by this workflow"):
        kind_of("torch").prepared(path)


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(ValueError, match="'eval'"):
        Network({"operators": [{"op": "eval", "inputs": [0]}]})


def test_rows_of_a_gpu_box_are_those_of_every_device(tmp_path, gpu_box: Device) -> None:
    space = read_space("mini")
    archs = [space.smallest(16), space.largest(40)]
    probes = [(arch.id, arch.text, lambda arch=arch: write_float(space, arch)) for arch in archs]
    probes.append(("bad", "bad", lambda: b"{}"))
    table, info = measure_probes(
        gpu_box, QUICK, probes, write_float(space, archs[0]), tmp_path / "j", np.random.default_rng(0)
    )
    assert table["usable"].tolist() == [True, True, False]
    assert "KeyError" in table.loc[2, "reason"]
    assert (table.loc[:1, "latency_ms"] > 0).all()
    rows = table.iloc[:2]
    assert (rows["batch"] == 4).all()
    executor = "cuda" if torch.cuda.is_available() else "cpu"
    for column, value in (("dtype", "float32"), ("signedness", "signed"), ("executor", executor)):
        assert (rows[column] == value).all()
    assert info["identity"]["runtime_version"] == torch.__version__
    assert info["protocol"]["torch"] == {
        "batch": 4, "compile": False, "cuda_graphs": False, "tf32": False, "channels_last": False,
    }  # fmt: skip


def test_options_are_in_the_row_and_in_what_makes_rows_comparable(gpu_box: Device) -> None:
    space = read_space("mini")
    options = TorchOptions(batch=2, channels_last=True, tf32=True)
    fast = dataclasses.replace(QUICK, torch=options)
    assert fast.digest != QUICK.digest
    with Runner(gpu_box, fast) as session:
        row = session.measure("probe", write_float(space, space.smallest(16)))
    assert row["executor"].endswith(", TF32, channels last")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_cuda_graph_without_cuda_is_refused(gpu_box: Device) -> None:
    space = read_space("mini")
    with Runner(gpu_box, dataclasses.replace(QUICK, torch=TorchOptions(batch=2, cuda_graphs=True))) as session:
        assert "no CUDA device" in session.measure("probe", write_float(space, space.smallest(16)))["error"]


def test_a_protocol_of_another_kind_is_refused(gpu_box: Device) -> None:
    with pytest.raises(FoxnasError, match="torch"), Runner(gpu_box, dataclasses.replace(QUICK, torch=None)):
        pass


class FakeCuda:
    """A clock that stands still except while work is done, and what was called in which order."""

    def __init__(self) -> None:
        self.now_ms, self.calls = 0.0, []

    def Event(self, enable_timing: bool) -> FakeEvent:
        assert enable_timing
        return FakeEvent(self)


class FakeEvent:
    """Takes the fake clock's time when it is recorded."""

    def __init__(self, cuda: FakeCuda) -> None:
        self._cuda, self._at_ms = cuda, 0.0

    def record(self) -> None:
        self._at_ms = self._cuda.now_ms
        self._cuda.calls.append("record")

    def synchronize(self) -> None:
        self._cuda.calls.append("synchronize")

    def elapsed_time(self, end: FakeEvent) -> float:
        assert self._cuda.calls[-1] == "synchronize"
        return end._at_ms - self._at_ms


def test_gpu_time_is_taken_between_events_after_synchronising() -> None:
    fake = FakeCuda()

    def work() -> None:
        fake.now_ms += 1.25
        fake.calls.append("work")

    timed = by_cuda_events(fake, work)
    assert [timed(), timed()] == [1_250_000, 1_250_000]
    assert fake.calls == ["record", "work", "record", "synchronize"] * 2
