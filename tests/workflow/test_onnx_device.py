"""examples/onnx-device: a kind of another package, from its installation to a verdict by ONNX Runtime itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml

from foxnas.device.archive import RunBy, runner_archive
from foxnas.errors import FoxnasError
from foxnas.files.arrays import load_array
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, read_table
from foxnas.int8 import probe
from foxnas.int8.constants import PIXELS
from foxnas.int8.packing import pack
from foxnas.int8.reading import builtin_code
from foxnas.int8.reading import read_model as read_model_of
from foxnas.int8.serving import Int8Model
from foxnas.runner.predicting import Predictor
from foxnas.space.operators import Kind, Step, input_shape, steps_of
from foxnas.space.space import SearchSpace
from tests.support import kinds
from tests.support.configs import written_out
from tests.support.tiny_run import QUICK, snakemake

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx-device"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has installed the package in, with no more than this environment has already."""
    source = tmp_path_factory.mktemp("source") / "package"
    source.mkdir()
    for path in EXAMPLE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            (source / path.relative_to(EXAMPLE)).parent.mkdir(exist_ok=True)
            (source / path.relative_to(EXAMPLE)).write_bytes(path.read_bytes())
    folder = tmp_path_factory.mktemp("site")
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *words, str(source)], check=True, timeout=120)
    return folder


@pytest.fixture
def importable(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(site)
    return site


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def outputs(model: bytes, images: np.ndarray) -> np.ndarray:
    opened = session(model)
    return np.concatenate([opened.run(None, {"image": image[None]})[0] for image in images])


def test_the_package_pins_what_it_is_tested_with_and_needs_it_alone(site: Path) -> None:
    (about,) = (found for found in metadata.distributions(path=[str(site)]))
    asked = dict(line.split("==") for line in about.requires or () if "==" in line)
    assert asked == {name: metadata.version(name) for name in ("onnx", "onnxruntime")}
    pins = (site / "foxnas_onnx_device" / "device.txt").read_text()
    assert f"onnxruntime=={asked['onnxruntime']};" in pins
    assert f"numpy=={metadata.version('numpy')};" in pins


def parts(space: SearchSpace) -> Iterator[tuple[tuple[Step, ...], tuple[int, ...]]]:
    """Every operator of a space by itself, a padding with what it pads, and the shape that it reads."""
    for arch in (space.largest(space.image_sizes[0]), space.smallest(space.image_sizes[-1])):
        steps = steps_of(space, arch)
        shapes = [input_shape(space, arch), *(step.shape for step in steps)]
        for number, step in enumerate(steps):
            if step.kind is Kind.PAD:
                continue
            padding = [one for one in steps[number - 1 : number] if step.valid and one.kind is Kind.PAD]
            first = (padding or [step])[0]
            chain = (replace(first, inputs=(0,) * len(first.inputs)), *([replace(step, inputs=(1,))] * len(padding)))
            read = shapes[first.inputs[0]]
            yield chain, read if len(read) == 4 else (1, 1, 1, read[-1])


@pytest.mark.parametrize("space", kinds.SPACES, ids=lambda space: space.name)
def test_every_operator_answers_as_tflites_does(space: SearchSpace, importable: Path) -> None:
    """On XNNPACK, to numbers of the whole range; the two round halves, and what they rescale, in ways of their own.

    LiteRT's own kernels round a mean of few numbers up, by a third of a step for four.
    """
    from foxnas_onnx_device.conversion import to_onnx

    writer, seen = probe.ProbeWriter(space), set()
    for steps, shape in parts(space):
        content = writer._write(steps, shape, PIXELS)
        model = Int8Model(content)
        shown = np.random.default_rng(1).integers(0, 256, (2, *model.image_shape), np.uint8)
        wanted = Predictor(model._interpreter).outputs(shown).astype(int)
        found = outputs(to_onnx(content), shown).astype(int)
        apart = np.abs((found.transpose(0, 2, 3, 1) if found.ndim == 4 else found) - wanted)
        assert apart.max() <= 1, steps
        assert apart.mean() <= 0.3, steps
        seen.add(steps[-1].kind)
    assert seen >= {Kind.CONV, Kind.DEPTHWISE, Kind.ADD, Kind.MEAN, Kind.DENSE}


def test_another_operator_is_refused(importable: Path) -> None:
    from foxnas_onnx_device.conversion import to_onnx

    model = read_model_of((Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes())
    for code in model.operatorCodes:
        code.builtinCode = code.deprecatedBuiltinCode = builtin_code("LOGISTIC")
    with pytest.raises(FoxnasError, match="LOGISTIC has no counterpart here"):
        to_onnx(pack(model))


def test_what_goes_to_a_device_is_the_backend_alone(importable: Path) -> None:
    from foxnas_onnx_device.kind import OnnxRuntimeKind

    archive = runner_archive(RunBy("onnxruntime", OnnxRuntimeKind.backend))
    assert b"foxnas_onnx_device/backend.py" in archive
    assert b"conversion.py" not in archive


def test_its_winner_is_timed_served_and_judged_by_onnx_runtime(
    run: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another device in a finished run, at one of its sizes: what does not hang on it stays."""
    raw = written_out("tiny")
    raw["space"]["image_sizes"] = [16]
    (device,) = raw["devices"]
    device |= {"name": "onnx", "kind": "onnxruntime", "protocol": device["protocol"] | QUICK}
    # Such timings are noise; a budget that any machine keeps, however busy.
    raw["budgets"] = [50]
    raw["search"] |= {"candidates": 1, "incumbents": 1}
    raw["refinement"]["twists"] = 0
    config = tmp_path / "onnx.yaml"
    config.write_text(yaml.safe_dump(raw))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))
    said = snakemake(run, "results/mini/deploy/onnx/50ms/validation.json", config=config)
    assert "evaluate_subnets" not in said
    folder = run / "results" / "mini" / "deploy" / "onnx" / "50ms"
    rows = read_table(run / "results" / "mini" / "16" / "latency-onnx.csv")
    assert set(rows.loc[rows["usable"], "executor"]) == {"onnxruntime cpu"}
    verdict, asked = read_json(folder / "validation.json"), read_json(folder / "accuracy-on-device.json")
    assert asked["made_by"]["identity"]["runtime"] == "onnxruntime"
    assert asked["model"] == "model.onnx"
    # What a session of this process answers to the test images.
    images = load_array(run / "results" / "data" / "16" / "test-images.npy")
    labels = load_array(run / "results" / "data" / "native" / "test-labels.npy")
    top1 = 100 * (outputs((folder / "model.onnx").read_bytes(), images).argmax(axis=1) == labels).mean()
    assert verdict["int8_top1_percent"] == pytest.approx(top1)
    # LiteRT's of the plain file stands beside it; the two round in places of their own.
    assert verdict["host_int8_top1_percent"] == pytest.approx(top1, abs=1.5)
    read_model(folder / "model.tflite")
