"""The whole way on a 64-bit Arm board that is not there: provisioned by the rule, it measures and answers for real."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from foxnas.config.whole import read_config
from foxnas.device.answers import predict_images
from foxnas.device.building import build_device
from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.provisioning.compatibility import pinned, pins_of
from foxnas.device.provisioning.installation import provision
from foxnas.device.session import measure_probes
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device, NotProvisioned
from foxnas.doctor.diagnosis import diagnose
from foxnas.doctor.examination import Extent, examine
from foxnas.doctor.finding import sentence
from foxnas.doctor.way import Way
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.serving import Int8Model
from tests.support.emulated_arm import ArmBoard, Missing, arm_board
from tests.support.examined import PROMISES
from tests.support.forked_python import python
from tests.support.int8_model import real_model
from tests.support.pins import ENVIRONMENTS
from tests.support.scripts import SCRIPTS
from tests.support.surveyed import a_python

REPOSITORY = Path(__file__).resolve().parents[2]
ONCE = MeasurementProtocol(
    warm_up_runs=1, warm_up_ms=0, min_runs=2, min_time_ms=0, max_time_ms=120_000, repeats=1, max_relative_mad=1e6,
    max_preempted=1, max_drift=1e6, max_disagreement=1e6, max_attempts=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmBoard]:
    try:
        with arm_board(tmp_path_factory.mktemp("board")) as board:
            yield board
    except Missing as reason:
        pytest.skip(f"no emulated Arm board: {reason}")


@pytest.fixture(scope="module")
def ready(board: ArmBoard, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The board, made ready by the rule itself."""
    folder = tmp_path_factory.mktemp("run")
    config = read_config(REPOSITORY / "config" / "tiny.yaml")
    (local,) = config.devices
    patience = local.patience.model_copy(update={"silence_s": 120.0})
    protocol = replace(local.protocol, xnnpack=True)
    pi = local.model_copy(update={"name": "pi", "ssh": board.ssh, "patience": patience, "protocol": protocol})
    (folder / "config.yaml").write_text(config.model_copy(update={"devices": [pi]}).model_dump_json())
    command = ["-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
    command += ["results/devices/pi/ready.json", "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml")]
    for _ in range(2):
        done = python(command, folder, jobs=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to be done" in done.stdout + done.stderr
    path = folder / "results/devices/pi/ready.json"
    return {"folder": folder, "config": pi, **json.loads(path.read_text())}


@pytest.fixture
def pi(ready: dict, board: ArmBoard) -> Iterator[Device]:
    device = Device("pi", SshTransport(board.ssh, "tflite"), timeout_s=120)
    yield device
    device.transport.close()


def test_the_rule_makes_the_board_ready(ready):
    assert ready["identity"]["architecture"] == "aarch64"
    assert ready["identity"]["cpu"] == "Cortex-A72"
    assert ready["identity"]["runtime"] == "ai_edge_litert"
    assert ready["requirements"] == list(pinned(pins_of("tflite", ENVIRONMENTS), a_python("3.11")))
    assert ready["survey"]["os"].startswith("Debian GNU/Linux 12")
    assert not ready["survey"]["root"]
    assert ready["survey"]["pythons"][0]["ensurepip"] is False  # as on every Debian: the wheel of pip was needed


def test_a_second_time_everything_is_in_its_place(pi):
    again = provision(pi, ONCE, ".foxnas", ENVIRONMENTS)
    assert not again.made


def test_probes_run_on_the_board_through_the_measuring_path(pi, mini, tmp_path):
    writer = ProbeWriter(mini)
    rng = np.random.default_rng(0)
    archs = [next(mini.sample(size, rng)) for size in (16, 20, 24)]
    probes = [(arch.id, arch.text, partial(writer.write, arch)) for arch in archs]
    reference = writer.write(mini.smallest(16))
    table, info = measure_probes(pi, ONCE, probes, reference, tmp_path / "journal", rng)
    assert table["usable"].all(), table["reason"].tolist()
    assert (table["runs"] == 2).all()
    assert info["identity"]["architecture"] == "aarch64"
    state = info["sessions"][0]["state_before"]
    assert state["governor"] == "performance"
    assert state["temperatures_c"] == {"thermal_zone0 cpu-thermal": 48.686}


def test_a_doctor_examines_the_board(pi, board, mini):
    reference = ProbeWriter(mini).write(mini.smallest(16))
    extent = Extent(sessions=2, pause_s=0, load_s=0.5)
    found = examine(pi, ONCE, pi.transport.python, pi.transport.folder, lambda: reference, extent)
    assert found.failed is None, found.failure
    told = found.conditions
    assert (told.machine.architecture, told.machine.cpu, told.bits) == ("aarch64", "Cortex-A72", 64)
    assert (told.governors, told.clock_mhz) == (["performance"], 1500)
    assert told.temperatures_c == {"thermal_zone0 cpu-thermal": 48.686}
    assert [one.facts["executor"] for one in found.sessions] == ["xnnpack"] * 2
    findings = {one.topic: one for one in diagnose(found, Way(board.ssh), PROMISES)}
    assert {findings[topic].level for topic in ("board", "userland", "governor", "delegate", "timings")} == {"ok"}
    assert sentence(list(findings.values())).startswith("ready")


def test_a_real_model_answers_on_the_board_what_it_answers_here_bit_for_bit(pi, tmp_path):
    real = real_model()
    few = real.images[:8]
    with Runner(pi, ONCE) as runner:
        described = runner.open(real.content)
        raw = np.frombuffer(runner.predict(few.tobytes()), described["output_dtype"]).reshape(len(few), -1)
    # Scale times (raw - zero point), as the host's own runtime says it.
    there = (raw.astype(np.float32) - described["zero_point"]) * np.float32(described["scale"])
    assert np.array_equal(there, Int8Model(real.content, xnnpack=True).logits(few))
    assert len(np.unique(raw)) > 8


def test_accuracy_is_evaluated_on_the_board(pi, tmp_path):
    real = real_model()
    labels = Int8Model(real.content, xnnpack=True).logits(real.images[:12]).argmax(axis=1)
    seen = predict_images(pi, ONCE, real.content, real.images[:12], tmp_path / "journal")
    assert seen.top1_percent(labels) == 100
    assert seen.identity["architecture"] == "aarch64"


def test_without_xnnpack_outputs_differ_by_a_few_units_at_most(pi):
    """The runtime's own kernels round differently there: accuracy belongs to a runtime and a delegate."""
    real = real_model()
    few = real.images[:4]
    with Runner(pi, dataclasses.replace(ONCE, xnnpack=False)) as runner:
        described = runner.open(real.content)
        raw = np.frombuffer(runner.predict(few.tobytes()), described["output_dtype"]).reshape(len(few), -1)
    there = (raw.astype(np.float32) - described["zero_point"]) * np.float32(described["scale"])
    here = Int8Model(real.content, xnnpack=False).logits(few)
    assert np.abs(there - here).max() <= 8 * described["scale"]


def test_a_board_that_lost_its_environment_is_provisioned_again_and_measures_on(pi, board, ready, mini, monkeypatch):
    (board.home / ".foxnas" / "tflite").unlink()
    with pytest.raises(NotProvisioned, match="provision the device"):
        pi.transport.start()
    monkeypatch.chdir(ready["folder"])
    provisioning = [SCRIPTS["provision_device"], "--pins", *ENVIRONMENTS.glob("*.txt")]
    again, _ = build_device(ready["config"].measured, ready["config"].access, list(map(str, provisioning)))
    restored = dataclasses.replace(pi, transport=again.transport)
    with Runner(restored, ONCE) as runner:
        row = runner.measure("small", ProbeWriter(mini).write(mini.smallest(16)))
    assert row["runs"] == 2
