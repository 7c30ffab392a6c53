"""What a first config says about a folder: splits, image sizes and training, chosen from what the folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foxnas.errors import FoxnasError
from foxnas.starting import recipe
from foxnas.starting.survey import Survey


@dataclass(frozen=True)
class Choices:
    """Numbers of the config."""

    splits: dict[str, int]
    evaluate_on: str
    image_sizes: list[int]
    batch_size: int
    average_decay: float
    warm_up_steps: int
    folds: int


def choose(survey: Survey) -> Choices:
    """Return the numbers for a folder. Raises FoxnasError when a class has too few images for the splits."""
    splits, evaluate_on = _splits(survey)
    of_steps = np.clip(splits["train"] // recipe.STEPS_OF_AN_EPOCH, recipe.SMALLEST_BATCH, recipe.LARGEST_BATCH)
    batch_size = min(int(of_steps), splits["train"])
    epoch = splits["train"] // batch_size
    averaged = int(np.clip(epoch, recipe.LEAST_AVERAGED_STEPS, recipe.MOST_AVERAGED_STEPS))
    warm_up = min(epoch, recipe.MOST_WARM_UP_STEPS)
    sizes, folds = _image_sizes(survey), _folds(splits, evaluate_on)
    return Choices(splits, evaluate_on, sizes, batch_size, round(1 - 1 / averaged, 4), warm_up, folds)


def prepared_mb(choices: Choices) -> float:
    """Return the megabytes that the images of fit, verify, test and calibration take at all sizes."""
    calibration = (min(n, choices.splits["train"]) for n in (recipe.RECALIBRATION_IMAGES, recipe.CALIBRATION_IMAGES))
    images = choices.folds * (choices.splits["fit"] + max(calibration))
    images += choices.splits["verify"] + choices.splits["test"]
    return images * 3 * sum(size**2 for size in choices.image_sizes) / 1e6


def _image_sizes(survey: Survey) -> list[int]:
    """Return the largest sizes that at least three of four photographs have; the smallest one where none has."""
    usual = np.quantile(survey.shorter_sides, 0.25)
    fitting = [size for size in recipe.IMAGE_SIZES if size <= usual]
    return fitting[-recipe.MOST_IMAGE_SIZES :] or [recipe.IMAGE_SIZES[0]]


def _folds(splits: Mapping[str, int], evaluate_on: str) -> int:
    """Return how many supernets make up for few fit images."""
    if evaluate_on == "held-out":
        return 1
    wanted = -(-recipe.ENOUGH_FIT // splits["fit"])
    return min(wanted, 1 + splits["train"] // splits["fit"], recipe.MOST_FOLDS)


def _splits(survey: Survey) -> tuple[dict[str, int], str]:
    """Return how many images each split takes, and where fit and verify come from."""
    parts = survey.parts
    evaluated, tested = ("validation" if "validation" in parts else "train"), ("test" if "test" in parts else "train")
    source = {"train": "train", "fit": evaluated, "verify": evaluated, "test": tested}
    for part in parts:
        of_part = [name for name, place in source.items() if place == part]
        counts = survey.counts(part)
        if counts.min() < len(of_part):
            held = " to train with" if part == "train" and len(parts) > 1 else "" if part == "train" else f" for {part}"
            images = "image" if counts.min() == 1 else "images"
            raise FoxnasError(
                f"{survey.folder}: class {counts.idxmin()} has {counts.min()} {images}{held} that can be read, and "
                f"each of {', '.join(of_part)} needs one at least; add images of it (50 and more are usual), or remove "
                "the class"
            )
    share = {"fit": recipe.FIT_SHARE, "verify": recipe.VERIFY_SHARE, "test": recipe.TEST_SHARE}
    most = {"fit": recipe.MOST_FIT, "verify": recipe.MOST_VERIFY, "test": recipe.MOST_TEST}
    left, taken = dict(parts), {}
    for name in ("verify", "fit", "test"):
        place = source[name]
        rest = [other for other in share if source[other] == place and other not in taken]
        # Images held out are shared out whole: the last split of theirs takes the rest.
        of = parts[place] if place == "train" else left[place] / sum(share[other] for other in rest)
        taken[name] = min(max(int(of * share[name] + 1e-6), len(survey.classes)), most[name])
        left[place] -= taken[name]
    return {"train": left["train"], **{name: taken[name] for name in share}}, (
        "held-out" if evaluated == "validation" else "train"
    )
