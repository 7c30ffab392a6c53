"""A first config as text: each choice with its reason."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from foxnas.config.whole import load_config
from foxnas.errors import FoxnasError
from foxnas.search.budget import Budget
from foxnas.settings.encoding import shown
from foxnas.settings.limits import LONGEST_NAME
from foxnas.space.config import read_space
from foxnas.starting import recipe
from foxnas.starting.choices import Choices, prepared_mb
from foxnas.starting.survey import TINY_PX, Survey

#: Columns of a line.
_WIDTH = 110

#: A class with so many times the images of another decides the top-1.
_UNBALANCED = 3.0

#: Photographs so much longer than wide lose a good part of their sides.
_LONG = 1.25


def config_text(survey: Survey, choices: Choices, device: str, budgets: Sequence[Budget]) -> str:
    """Return the config of a folder, in YAML, as the workflow takes it.

    Raises FoxnasError when a folder's name or the device's is none that a config can hold.
    """
    sections = (_about(survey), _space(survey, choices), _data(survey, choices), _supernet(choices),
                _device(device), _measuring(choices), _budgets(budgets), _deployment(choices, device))  # fmt: skip
    text = "\n\n".join("\n".join(lines) for lines in sections) + "\n"
    load_config(yaml.safe_load(text), "the config of this folder")
    return text


def _comment(text: str, depth: int = 1) -> list[str]:
    """Return a text as lines of comment."""
    begin = "  " * depth + "# "
    return textwrap.wrap(text, _WIDTH, initial_indent=begin, subsequent_indent=begin,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _space(survey: Survey, choices: Choices) -> list[str]:
    name = _slug(survey.folder.resolve().name, "photos")
    return [
        "space:",
        f"  base: {recipe.SPACE}",
        f"  name: {name}-{recipe.SPACE}",
        *_comment(_of_sizes(survey, choices)),
        f"  image_sizes: {choices.image_sizes}",
        f"  classes: {len(survey.classes)}",
    ]


def _data(survey: Survey, choices: Choices) -> list[str]:
    lines = ["data:", "  dataset: folder", f"  folder: {_quoted(survey.folder)}"]
    if survey.unreadable:
        broken = (
            f"{len(survey.unreadable):,} files cannot be read; others take their places. Once they are mended: fail."
        )
        lines += [*_comment(broken), "  corrupt_images: skip"]
    if choices.evaluate_on == "held-out":
        lines += [*_comment("There are validation images, so all training images train."), "  evaluate_on: held-out"]
    fit, test = (50 / np.sqrt(choices.splits[name]) for name in ("fit", "test"))
    return [
        *lines,
        *_comment("Every split has each class in its share, and one image of it at least."),
        "  stratified: true",
        *_comment(
            f"The standard error of a top-1 is at most {fit:.1f} points on fit, {test:.1f} on test: more photographs "
            f"are the one way to less. Prepared at all sizes they take {prepared_mb(choices) / 1000:.2f} GB of disk."
        ),
        f"  splits: {_flow(choices.splits)}",
        *_comment(
            "Under which terms you have the photographs, for the model's card; a file LICENSE among them says it too."
        ),
        "  # licence: ...",
    ]


def _supernet(choices: Choices) -> list[str]:
    space = read_space(recipe.SPACE)
    folds, fit = choices.folds, choices.splits["fit"]
    crossed = (
        f"{fit:,} fit images say little of a subnet. So {folds} supernets are trained, each without other images, and "
        f"a subnet's accuracy is of {folds * fit:,}. Each costs as much as the first; 1 is enough for a first look."
    )
    few = choices.splits["train"] <= recipe.FEW_TRAINING
    donor_epochs, elastic_epochs = recipe.EPOCHS_OF_FEW if few else recipe.EPOCHS_OF_MORE
    tried = "Epochs and rate were tried on one set, of 300 to 1,668 training photographs" + (
        "; where what matters is small, smallest_crop: 0.5 helped there."
        if few
        else ". You have more: fewer epochs, which is a guess."
    )
    whole = {"kernel_sizes": space.kernel_sizes, "expansion_ratios": space.expansion_ratios, "depths": space.depths}
    return [
        "supernet:",
        *_comment("Begin with weights that know ImageNet: then hundreds of photographs do."),
        "  source: pretrained",
        f"  donor: {recipe.DONOR}",
        *([*_comment(crossed), f"  folds: {folds}"] if folds > 1 else []),
        "  training:",
        f"    batch_size: {choices.batch_size}",
        f"    distillation: {recipe.DISTILLATION}",
        *_comment("The weights are averaged over about an epoch.", 2),
        f"    average_decay: {choices.average_decay}",
        *_comment("The learning rate rises during the first epoch.", 2),
        f"    warm_up_steps: {choices.warm_up_steps}",
        *_comment(tried, 2),
        *_comment(
            "Training photographs are mirrored at random. Where top and bottom may change places, too, you can write "
            "symmetry: flips; where no side is up (parts, tissue, the ground from above), quarter-turns; where left "
            "and right differ (signs, writing), none.",
            2,
        ),
        "    phases:",
        *_comment("The donor is fine-tuned to your classes; it teaches...", 3),
        _phase(donor_epochs, {knob: [max(choice)] for knob, choice in whole.items()}),
        *_comment("...all subnets.", 3),
        _phase(elastic_epochs, whole),
    ]


def _phase(epochs: int, choices: Mapping[str, Sequence[int]]) -> str:
    rate = {"epochs": epochs, "learning_rate": recipe.LEARNING_RATE}
    return f"      - {_flow(rate | {knob: list(choice) for knob, choice in choices.items()})}"


def _device(device: str) -> list[str]:
    if device == "local":
        this = _comment("This machine. While it measures, nothing else of the workflow runs.")
        return ["devices:", *this, "  - name: local", "    kind: tflite"]
    user, _, host = device.rpartition("@")
    if not host:
        raise FoxnasError(f"--device {device!r} names no host; write what you type after ssh, or local")
    ssh = _flow({"host": host, **({"user": user} if user else {})})
    return ["devices:", f"  - name: {_slug(host, 'device').replace('.', '-')}", "    kind: tflite", f"    ssh: {ssh}"]


def _measuring(choices: Choices) -> list[str]:
    fit, verify = choices.splits["fit"], choices.splits["verify"]
    luck = (
        f"The largest of many candidates' top-1 on {verify:,} images is luck; the mean probability of the right class "
        "chooses better."
    )
    evaluated = choices.folds * fit
    coarse = f"Top-1 on {evaluated:,} images is a coarse measure; the probability of the right class has less noise."
    return [
        "sampling:",
        *_comment("Subnets that are measured per image size; more make predictors more certain, and the run longer."),
        f"  subnets: {recipe.SUBNETS}",
        "",
        "accuracy:",
        f"  recalibration_images: {min(recipe.RECALIBRATION_IMAGES, choices.splits['train'])}",
        "",
        "predictors:",
        *_comment("Terms are drawn towards zero as far as cross-validation likes it, since subnets are few."),
        f"  accuracy_form: {recipe.ACCURACY_FORM}",
        *([*_comment(coarse), "  accuracy_target: probability"] if fit < recipe.ENOUGH_FIT else []),
        *(["", "verification:", *_comment(luck), "  chosen_by: probability"] if verify < recipe.ENOUGH_VERIFY else []),
    ]


def _budgets(budgets: Sequence[Budget]) -> list[str]:
    reason = "Latency that a model may have: milliseconds, or a percentile of the measured subnets."
    return [*_comment(reason, 0), f"budgets: [{', '.join(str(budget.spelling) for budget in budgets)}]"]


def _deployment(choices: Choices, device: str) -> list[str]:
    test = choices.splits["test"]
    open_end = (
        f"{test:,} test images may leave open whether int8 loses less than a point: the page says so, and the run ends "
        "well all the same."
    )
    heat = f"Each model then runs for {recipe.SUSTAINED_S // 60} minutes without a pause: does the board throttle?"
    validation = [
        *([*_comment(open_end), "  unkept: report"] if test < recipe.ENOUGH_TEST else []),
        *([*_comment(heat), f"  sustained_s: {recipe.SUSTAINED_S}"] if device != "local" else []),
    ]
    few = choices.splits["train"] <= recipe.FEW_TRAINING
    own = {
        "epochs": recipe.OWN_EPOCHS_OF_FEW if few else recipe.OWN_EPOCHS_OF_MORE,
        "batch_size": choices.batch_size,
        "warm_up_steps": choices.warm_up_steps,
    }
    return [
        *_comment("What is chosen is trained on its own; that is deployed if it is better on the verify split.", 0),
        f"finishing: {_flow(own)}",
        "",
        "export:",
        f"  calibration_images: {min(recipe.CALIBRATION_IMAGES, choices.splits['train'])}",
        *(["", "validation:", *validation] if validation else []),
    ]


def _about(survey: Survey) -> list[str]:
    counts, sides = survey.counts(), survey.shorter_sides
    least, most = shown(str(counts.idxmin()), 60), shown(str(counts.idxmax()), 60)
    parts = ", ".join(f"{n:,} {part}" for part, n in survey.parts.items())
    lines = _comment(
        f"{len(survey.images):,} photographs in {len(counts)} classes{f' ({parts})' if len(survey.parts) > 1 else ''}, "
        f"{counts.min():,} ({least}) to {counts.max():,} ({most}) a class; shorter sides of {sides.min():,} to "
        f"{sides.max():,} pixels, half of them {np.median(sides):,.0f} or more.",
        0,
    )
    if len(survey.images) < recipe.FEWEST_IMAGES:
        lines += _comment(
            f"Fewer than {recipe.FEWEST_IMAGES} photographs make a model that can hardly be judged. Take more of them.",
            0,
        )
    if counts.max() >= _UNBALANCED * counts.min():
        lines += _comment(
            f"Unbalanced: {most} has {counts.max() / counts.min():.1f} times as many as {least}. Whoever answers "
            f"nothing else is right in {100 * counts.max() / counts.sum():.0f}%: hold the accuracy against "
            "that, and look at each class.",
            0,
        )
    suspicious = {
        "cannot be read": len(survey.unreadable),
        f"are smaller than {TINY_PX} pixels": len(survey.tiny),
        "are grey where most are coloured, or coloured where most are grey": len(survey.other_modes),
        "are copies of others": sum(len(group) - 1 for group in survey.duplicates),
    }
    if found := [f"{n:,} {what}" for what, n in suspicious.items() if n]:
        lines += _comment(f"Suspicious files: {'; '.join(found)}.", 0)
    if survey.split_duplicates:
        lines += _comment(
            f"{len(survey.split_duplicates)} photographs are in two classes or parts. The one confuses, the other "
            "makes an accuracy look better than it is: remove all but one of each.",
            0,
        )
    return [*lines, *_comment("Only what differs from the defaults is here. config/README.md explains every key.", 0)]


def _of_sizes(survey: Survey, choices: Choices) -> str:
    usual = int(np.quantile(survey.shorter_sides, 0.25))
    if usual < choices.image_sizes[0]:
        said = f"One of four photographs has at most {usual:,} pixels, and is enlarged."
    else:
        said = f"Three of four photographs have at least {usual:,} pixels, so that these sizes add none."
    if usual > recipe.IMAGE_SIZES[-1]:
        said += " Larger sizes, up to 224, are more accurate, and slower here and on the device."
    shape = survey.images[["width", "height"]].to_numpy()
    longer = float(np.median(shape.max(axis=1) / shape.min(axis=1)))
    if longer >= _LONG:
        said += f" Half of them are at least {longer:.1f} times as long as wide: their middle is evaluated."
    return said


def _flow(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, width=10**6).strip()


def _quoted(path: Path) -> str:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise FoxnasError(f"{str(path)!r}: the folder's name is not UTF-8; rename it") from error
    return yaml.safe_dump(str(path), default_style='"', allow_unicode=True, width=10**6).strip()


def _slug(text: str, otherwise: str) -> str:
    """Return a name of files and folders for a text; room is left for words beside it."""
    slug = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    return slug[: LONGEST_NAME // 2].strip("-.") or otherwise
