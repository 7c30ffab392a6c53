"""A batch that does not fit the memory: what does is found by trying, and said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from foxnas.errors import FoxnasError
from foxnas.supernet.fitting_batch import fitting_batch, out_of_memory, within_memory

ROOT = Path(__file__).resolve().parents[2]

#: Takes away all memory but some 600 MB, really, and then works on batches that need more.
SCARCE = """
import dataclasses, resource, sys
import numpy as np, torch
from foxnas.errors import FoxnasError
from foxnas.accuracy.evaluation import measure
from foxnas.accuracy.preparation import Preparation
from foxnas.space.config import read_space
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.training import train_supernet
from benchmarks.made_up import Held
from tests.support.trainings import RECIPE, random_images

torch.set_num_threads(1)
space = read_space("mini")
images, labels = random_images(4096)
recipe = dataclasses.replace(RECIPE, phases=(dataclasses.replace(RECIPE.phases[0], epochs=1),))
train_supernet(space, images[:16], labels[:16], recipe)
mapped = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (mapped + 600 * 10**6,) * 2)
try:
    if sys.argv[1] == "train":
        train_supernet(space, images, labels, dataclasses.replace(recipe, batch_size=4096))
    else:
        images = np.tile(images, (4, 1, 1, 1))
        preparation = Preparation(Supernet(space), Held(images), 16384, 16384)
        list(measure(preparation, [space.largest(28)], Held(images), np.tile(labels, 4), 16384))
except FoxnasError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (
            "train",
            "out of memory: a step of 4096 images of up to 40 px; write supernet.training.batch_size: 2048 or less, or "
            "supernet.training.batch_parts so that a part has no more, or take images of 28 px or less "
            "(space.image_sizes)",
        ),
        (
            "evaluate",
            "out of memory: evaluating 16384 images of 28 px at a time; write accuracy.batch_size: 8192 or less, or "
            "take images of 19 px or less (space.image_sizes)",
        ),
    ],
)
def test_the_way_out_is_said_where_memory_is_really_scarce(work: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCARCE, work], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == said, done.stderr[-2000:]


def raises(error: Exception) -> Callable[[], None]:
    """Work that ends with this error."""

    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(("room", "expected"), [(1000, 128), (100, 64), (64, 64), (1, 1), (0, 0)])
def test_the_largest_half_that_fits_is_found(room: int, expected: int) -> None:
    def attempt(images: int) -> None:
        if images > room:
            raise MemoryError

    assert fitting_batch(256, attempt) == expected
    size = {128: 226, 64: 160, 1: 20, 0: None}[expected]  # as many pixels in all
    message = (
        rf"{expected} at a time fit: write some.key: {expected}, or take images of {size} px or less"
        if expected
        else "not even one image fits, or take smaller images"
    )
    with pytest.raises(FoxnasError, match=rf"^out of memory: 256 images; {message}"):
        within_memory(raises(MemoryError()), "256 images", "some.key", 256, 320, attempt, torch.device("cuda"))


def test_other_errors_are_left_as_they_are() -> None:
    here = torch.device("cpu")
    assert within_memory(lambda: 3, "", "", 2, 8, print, here) == 3
    with pytest.raises(RuntimeError, match="size mismatch"):
        within_memory(raises(RuntimeError("size mismatch")), "", "", 1, 8, print, here)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(RuntimeError, match="another"):
        fitting_batch(2, lambda _: raises(RuntimeError("another"))())
