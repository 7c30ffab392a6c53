"""The program beside a deployed model: alone, it answers what the workflow's own evaluation answers."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foxnas.app import classify
from foxnas.app.bundle import bundled
from foxnas.images.conversion import _has_transparency
from foxnas.images.decoding import ImageFile, decode_files
from foxnas.images.views import View
from foxnas.int8.serving import Int8Model
from tests.support.sshd import Sshd

MODEL = (Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes()
PROGRAM = bundled(Path(classify.__file__))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is copied to a board: model, labels, card and program."""
    place = tmp_path / "deployed"
    place.mkdir()
    (place / "model.tflite").write_bytes(MODEL)
    classes = Int8Model(MODEL).logits(np.zeros((1, 16, 16, 1), np.uint8)).shape[1]
    (place / "labels.txt").write_text("".join(f"class {n}\n" for n in range(classes)))
    card = {
        "model": {"file": "model.tflite", "sha256": hashlib.sha256(MODEL).hexdigest()},
        "input": {"centre_share": 0.875},
        "serving": {"threads": 1, "xnnpack": False},
    }
    (place / "card.json").write_text(json.dumps(card))
    (place / "classify.py").write_text(PROGRAM)
    return place


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Images of every depth and kind that are read: upright and turned, grey and colour, transparent, 16 bits."""
    rng, place = np.random.default_rng(0), tmp_path / "photographs"
    (place / "more").mkdir(parents=True)
    colour = Image.fromarray(rng.integers(0, 256, (40, 23, 4), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    colour.convert("RGB").save(place / "turned.jpg", exif=turned)
    colour.save(place / "transparent.png")
    colour.convert("RGB").quantize(16).save(place / "palette.png", transparency=3)
    colour.convert("CMYK").save(place / "more" / "print.tif")
    Image.fromarray(rng.integers(0, 65536, (20, 31), np.uint16)).save(place / "deep.png")
    Image.fromarray(rng.integers(0, 256, (16, 300), np.uint8)).save(place / "wide.pgm")
    (place / "notes.txt").write_text("no image")
    (place / ".hidden.png").write_text("no image")
    return place


def run(folder: Path, *words: str, sent: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the program as on a board, from elsewhere."""
    done = subprocess.run(
        [sys.executable, "-I", folder / "classify.py", *words], input=sent, capture_output=True, cwd="/", check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_it_needs_python_3_7_an_interpreter_and_pillow_alone() -> None:
    tree = ast.parse(PROGRAM, feature_version=(3, 7))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert foreign == {"numpy", "PIL", "ai_edge_litert", "tflite_runtime"}
    assert bundled(Path(classify.__file__)) == PROGRAM


def run_on_a_board(folder: Path, photographs: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """Copy the folder to a board by scp, and run the program there by ssh, as a user does who has just deployed it."""
    server = Sshd(place / "sshd", sys.executable).start("Subsystem sftp internal-sftp")
    try:
        config, there = server.client().config_file, place / "board"
        words = ["scp", "-q", "-F", str(config), "-r", str(folder), f"board:{there}"]
        subprocess.run(words, check=True, capture_output=True)
        command = shlex.join([sys.executable, "-I", f"{there}/classify.py", "--json", str(photographs)])
        return subprocess.run(["ssh", "-F", str(config), "board", command], capture_output=True, text=True, check=False)
    finally:
        server.kill()


@pytest.mark.parametrize("where", ["here", "over ssh"])
def test_it_answers_as_the_workflow_does(folder: Path, photographs: Path, tmp_path: Path, where: str) -> None:
    here = where == "here"
    done = run(folder, "--json", str(photographs)) if here else run_on_a_board(folder, photographs, tmp_path)
    assert not done.returncode, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    paths = [Path(answer["image"]) for answer in answers]
    assert paths == sorted(
        p for p in photographs.rglob("*") if p.suffix in (".jpg", ".png", ".tif", ".pgm") and p.name[0] != "."
    )
    assert len(paths) == 6
    files = [ImageFile(str(path), path.stat().st_size) for path in paths]
    decode_files(files, View(16, 1, 0.875), tmp_path / "images.npy", 1)
    logits = Int8Model(MODEL, xnnpack=False).logits(np.load(tmp_path / "images.npy")).astype(float)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = np.array([list(answer["probabilities"].values()) for answer in answers])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert [answer["class"] for answer in answers] == [f"class {n}" for n in logits.argmax(axis=1)]


def test_a_camera_may_send_an_image(folder: Path, photographs: Path) -> None:
    path = photographs / "turned.jpg"
    sent, read = run(folder, "--top", "2", "-", sent=path.read_bytes()), run(folder, "--top", "2", str(path))
    assert not sent.returncode, sent.stderr
    assert sent.stdout.split("\t")[1:] == read.stdout.split("\t")[1:]
    first, second = float(read.stdout.split("\t")[2]), float(read.stdout.split("\t")[4])
    assert first >= second > 0


def test_what_is_no_image_is_named_and_the_others_are_answered(folder: Path, photographs: Path) -> None:
    (photographs / "broken.png").write_bytes((photographs / "deep.png").read_bytes()[:60])
    done = run(folder, str(photographs), str(photographs / "missing.png"))
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 6
    said = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in said] == ["error", "error"], done.stderr
    assert "broken.png" in said[0]
    assert said[1].endswith("missing.png: No such file or directory")


def test_another_model_or_other_labels_are_refused(folder: Path) -> None:
    (folder / "labels.txt").write_text("one\n")
    done = run(folder, "-")
    assert done.returncode == 1
    assert done.stderr.startswith("error: labels.txt has 1 lines, the model ")
    (folder / "model.tflite").write_bytes(MODEL + b"\0")
    assert "is not the file that card.json describes; copy both" in run(folder, "-").stderr
    (folder / "card.json").unlink()
    assert run(folder, "-").stderr.startswith("error: ")


@pytest.mark.parametrize("mode", Image.MODES)
def test_transparency_is_what_pillow_takes_for_it(mode: str) -> None:
    image = Image.new(mode, (2, 2))
    assert _has_transparency(image) == image.has_transparency_data


def test_transparency_of_palettes_is_what_pillow_takes_for_it() -> None:
    content = io.BytesIO()
    for image in (Image.new("RGBA", (2, 2)).quantize(2), Image.new("RGB", (2, 2)).quantize(2)):
        assert _has_transparency(image) == image.has_transparency_data
        image.save(content, "PNG", transparency=0)
        assert _has_transparency(Image.open(content))


def test_the_program_runs_where_the_folder_was_moved_to(folder: Path, photographs: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "on the board")
    assert run(tmp_path / "on the board", str(photographs)).stdout == run(folder, str(photographs)).stdout
