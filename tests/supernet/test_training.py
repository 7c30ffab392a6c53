"""Training a supernet: cut, killed, shared out, diverging, it is still the same training."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import signal
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from foxnas.accuracy.config import AccuracyConfig
from foxnas.config.whole import load_config, read_config
from foxnas.errors import FoxnasError
from foxnas.images.decoding import ImageFile
from foxnas.images.training_files import TrainingFiles
from foxnas.settings.section import canonical
from foxnas.supernet.training.processes import Processes, join_processes
from foxnas.supernet.training.recipe import Phase
from foxnas.supernet.training.state import TrainingState
from foxnas.supernet.training.training import train_supernet
from tests.support.forked_python import python, start
from tests.support.scripts import script
from tests.support.trainings import ALL, RECIPE, SPACE, assert_same_weights, random_images, split_arrays

ROOT = Path(__file__).resolve().parents[2]


class Cut(Exception):
    pass


def cut_after(saves: int):
    """Let a training end right after it has written its state so many times, as a kill there would."""
    save, count = TrainingState.save, 0

    def save_and_cut(self: TrainingState, path: Path) -> None:
        nonlocal count
        save(self, path)
        count += 1
        if count == saves:
            raise Cut

    return mock.patch.object(TrainingState, "save", save_and_cut)


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, torch.Tensor]:
    return train_supernet(SPACE, *random_images(), RECIPE).state_dict()


@pytest.mark.parametrize("steps", [1, 5, 6, 12])  # of 12: in an epoch, before and after a phase, at the end
def test_training_continues_bit_for_bit_where_it_was_cut(
    uninterrupted: dict[str, torch.Tensor], tmp_path: Path, steps: int
) -> None:
    state = tmp_path / "training.pt"
    with cut_after(steps), pytest.raises(Cut):
        train_supernet(SPACE, *random_images(), RECIPE, state, save_every_s=0)
    assert_same_weights(train_supernet(SPACE, *random_images(), RECIPE, state), uninterrupted)


LONG = replace(RECIPE, phases=(Phase(3, 3e-3, (7,), (6,), (4,)), Phase(18, 3e-3, *ALL)))


TRAIN_AND_SAVE_EVERY_STEP = """
import pickle
from pathlib import Path
from foxnas.supernet.training.training import train_supernet
arguments = pickle.loads(Path("arguments.pickle").read_bytes())
train_supernet(*arguments, Path("training.pt"), save_every_s=0)
"""


def test_killed_at_random_moments_it_continues_bit_for_bit(tmp_path: Path) -> None:
    state, images = tmp_path / "training.pt", random_images(32)
    (tmp_path / "arguments.pickle").write_bytes(pickle.dumps((SPACE, *images, LONG)))
    moments = random.Random()
    for _ in range(3):
        before = state.stat().st_mtime_ns if state.exists() else 0
        process = start(["-c", TRAIN_AND_SAVE_EVERY_STEP], tmp_path, environment(), jobs=True)
        latest = time.monotonic() + 120
        while not state.exists() or state.stat().st_mtime_ns == before:
            assert time.monotonic() < latest, "it wrote no state"
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -9, "was to be killed in the middle"
    whole = train_supernet(SPACE, *images, LONG)
    assert_same_weights(train_supernet(SPACE, *images, LONG, state), whole.state_dict())
    assert {path.name for path in tmp_path.iterdir()} <= {"arguments.pickle", "training.pt", ".training.pt.part.pt"}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    config = read_config(ROOT / "config" / "tiny.yaml")
    files = split_arrays(tmp_path, SPACE)
    first, second = RECIPE.phases
    shared = replace(RECIPE, batch_parts=2, phases=(replace(first, epochs=4, patience=1), second))
    accuracy = AccuracyConfig(recalibration_images=32, batch_size=16)
    view = config.data.reading(1)
    settings = {"space": SPACE, "training": shared, "view": view, "accuracy": accuracy, "dataset": "arrays"}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [
        word
        for name, found in files.items()
        for word in (f"--{name.replace('_', '-')}", *map(str, found if isinstance(found, list) else [found]))
    ]
    words += [f"--state={tmp_path / 'journals' / 'training.pt'}", f"--supernet={tmp_path / 'supernet.safetensors'}"]
    command = [str(ROOT / "workflow" / "scripts" / "train_supernet.py"), "--settings", canonical(settings)]
    run = python([*torchrun, *command, *words, "--threads", "1"], ROOT, environment(), jobs=True)
    assert run.returncode == 0, run.stderr
    last = re.findall(r"phase 2, epoch 6/6, step 3/3: .* images/s, 0.0 s left", run.stderr)
    assert len(last) == 1, "the first process alone reports"
    (kept,) = (tmp_path / "journals").iterdir()
    assert kept.read_bytes() == (tmp_path / "supernet.safetensors").read_bytes()
    assert len(re.findall("the best so far", run.stderr)) >= 1, "the first process alone looks at the verify split"
    script("train_supernet")(
        **{**settings, **files},
        threads=1,
        state=tmp_path / "alone" / "training.pt",
        supernet=tmp_path / "alone.safetensors",
    )
    alone = load_file(tmp_path / "alone.safetensors")
    together = load_file(tmp_path / "supernet.safetensors")
    assert alone.keys() == together.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-5, atol=1e-6)


def test_every_process_has_its_own_parts_and_all_are_done() -> None:
    shares = [list(Processes(rank, 3).share(6)) for rank in range(3)]
    assert shares == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(FoxnasError, match=r"batch_parts is 6, which 4 processes cannot share equally"):
        Processes(0, 4).share(6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")
def test_gpus_that_are_not_there_are_named() -> None:
    with pytest.raises(FoxnasError, match=r"supernet.gpus is 2, but this machine has 0"), join_processes(2):
        pass


def overflowing(phase: Phase) -> Phase:
    """The phase at a learning rate that is refused everywhere, since weights overflow in its first step."""
    wild = replace(phase)
    object.__setattr__(wild, "learning_rate", float("inf"))
    return wild


def test_a_training_that_diverged_continues_with_a_lower_learning_rate(
    uninterrupted: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state, (first, second) = tmp_path / "training.pt", RECIPE.phases
    wild = replace(RECIPE, phases=(first, overflowing(second)))
    says = r"diverged in phase 2, epoch 3, step 2 of 3, at a learning rate of inf: the loss is nan; lower "
    says += r"supernet.training.phases.1.learning_rate, .* and run again: it continues from the last good state, .*"
    with pytest.raises(FoxnasError, match=says + "training.pt"):
        train_supernet(SPACE, *random_images(), wild, state)
    assert_same_weights(train_supernet(SPACE, *random_images(), RECIPE, state), uninterrupted)


def test_weights_that_are_no_numbers_do_not_replace_the_good_state(
    uninterrupted: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state, (first, second) = tmp_path / "training.pt", RECIPE.phases
    wild = replace(RECIPE, phases=(first, overflowing(second)))
    with pytest.raises(FoxnasError, match=r"phase 2, epoch 3, step 1 of 3, .* a weight is not finite"):
        train_supernet(SPACE, *random_images(), wild, state, save_every_s=0)
    assert_same_weights(train_supernet(SPACE, *random_images(), RECIPE, state), uninterrupted)


def test_a_training_is_not_continued_with_other_images_of_the_same_labels(
    uninterrupted: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """A class whose folder was replaced by another one's; the state of a release that did not say so is taken."""
    for before, now, taken in (("a", "a", True), ("a", "b", False), (None, "b", True)):
        state = tmp_path / f"{before}-{now}.pt"
        with cut_after(1), pytest.raises(Cut):
            train_supernet(SPACE, *random_images(), RECIPE, state, content=before)
        if taken:
            trained = train_supernet(SPACE, *random_images(), RECIPE, state, content=now)
            assert_same_weights(trained, uninterrupted)
        else:
            says = rf'{state}: is a training with data.images_sha256 "a" instead of "b"\. .* or delete it to train'
            with pytest.raises(FoxnasError, match=says):
                train_supernet(SPACE, *random_images(), RECIPE, state, content=now)


def test_a_state_of_another_training_is_refused_by_key(tmp_path: Path) -> None:
    state = tmp_path / "training.pt"
    longer = replace(RECIPE, phases=(RECIPE.phases[0], replace(RECIPE.phases[1], epochs=3)))
    with cut_after(1), pytest.raises(Cut):
        train_supernet(SPACE, *random_images(), RECIPE, state)
    with pytest.raises(FoxnasError, match=r"a training with recipe.batch_size 16 instead of 24"):
        train_supernet(SPACE, *random_images(), replace(RECIPE, batch_size=24), state)
    with pytest.raises(FoxnasError, match=r'with recipe.symmetry "mirror" instead of "flips"'):
        train_supernet(SPACE, *random_images(), replace(RECIPE, symmetry="flips"), state)
    with pytest.raises(FoxnasError, match=r"with recipe.phases.1.epochs 2 instead of 3"):
        train_supernet(SPACE, *random_images(), longer, state)
    with pytest.raises(FoxnasError, match=r"with data.images.0 48 instead of 32"):
        train_supernet(SPACE, *random_images(32), RECIPE, state)
    with pytest.raises(FoxnasError, match=r"with space.head_width 32 instead of 48"):
        train_supernet(replace(SPACE, head_width=48), *random_images(), RECIPE, state)
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(FoxnasError, match=r"cannot continue training from this file .* delete it"):
        train_supernet(SPACE, *random_images(), RECIPE, state)


def test_a_state_from_before_images_could_be_turned_is_continued(
    tmp_path: Path, uninterrupted: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "training.pt"
    with cut_after(1), pytest.raises(Cut):
        train_supernet(SPACE, *random_images(), RECIPE, path)
    state = torch.load(path, weights_only=True)
    origin = json.loads(state["origin"])
    del origin["recipe"]["symmetry"]
    torch.save(state | {"origin": json.dumps(origin)}, path)
    assert_same_weights(train_supernet(SPACE, *random_images(), RECIPE, path), uninterrupted)


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("run-by-a-pickle",))


def test_a_state_with_code_in_it_is_not_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"origin": Payload()}, tmp_path / "training.pt")
    with pytest.raises(FoxnasError, match="cannot continue training from this file"):
        train_supernet(SPACE, *random_images(), RECIPE, tmp_path / "training.pt")
    assert not (tmp_path / "run-by-a-pickle").exists()


def test_precision_is_without_effect_on_processors(uninterrupted: dict[str, torch.Tensor]) -> None:
    assert_same_weights(train_supernet(SPACE, *random_images(), replace(RECIPE, precision="fp16")), uninterrupted)


@pytest.mark.parametrize(
    ("training_leaves", "gpus", "message"),
    [
        ({"batch_parts": 3}, 0, r"batch_parts is 3, which batch_size 256 is not a multiple of"),
        ({"batch_parts": 2}, 4, r"batch_parts is 2, which 4 gpus cannot share"),
        ({"batch_size": 10**6}, 0, r"batch_size is 1000000, but the train split has 40000 images"),
        ({"symmetry": "rotations"}, 0, r"supernet.training.symmetry: 'rotations' is not .*quarter-turns"),
        ({"precision": "fp8"}, 0, r"supernet.training.precision: 'fp8' is not"),
        ({}, -1, r"supernet.gpus: -1 is out of range"),
    ],
)
def test_settings_that_cannot_be_are_refused(training_leaves: dict[str, object], gpus: int, message: str) -> None:
    raw = read_config(ROOT / "config" / "config.yaml").model_dump(mode="json")
    raw["supernet"] |= {"source": "train", "gpus": gpus}
    raw["supernet"]["training"] |= training_leaves
    with pytest.raises(FoxnasError, match=message):
        load_config(raw, "test")


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(FoxnasError, match=r"batch_size is 16; it must be at most the 8 images"):
        train_supernet(SPACE, *random_images(8), RECIPE)


@pytest.fixture
def files(tmp_path: Path) -> list[ImageFile]:
    """Coloured photographs of several shapes."""
    rng, found = np.random.default_rng(0), []
    for i in range(48):
        path = tmp_path / f"{i}.png"
        shape = (int(rng.integers(20, 60)), int(rng.integers(20, 60)), 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        found.append(ImageFile(str(path), path.stat().st_size))
    return found


def test_training_from_files_reads_ahead_and_continues_bit_for_bit(files: list[ImageFile], tmp_path: Path) -> None:
    space, labels, state = replace(SPACE, image_channels=3), random_images()[1], tmp_path / "training.pt"
    recipe = replace(RECIPE, symmetry="quarter-turns")
    whole = train_supernet(space, TrainingFiles(files, labels, 3, 2), labels, recipe)
    with cut_after(5), pytest.raises(Cut):
        train_supernet(space, TrainingFiles(files, labels, 3, 1), labels, recipe, state, save_every_s=0)
    continued = train_supernet(space, TrainingFiles(files, labels, 3, 2), labels, recipe, state)
    assert_same_weights(continued, whole.state_dict())
