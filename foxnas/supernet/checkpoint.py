"""Supernet checkpoints: safetensors with the space they belong to in the header, and other files taken as such."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foxnas.errors import FoxnasError
from foxnas.files.provenance import TAKEN_BY
from foxnas.settings.encoding import shown as spoken
from foxnas.space.space import SearchSpace
from foxnas.supernet import lite, ofa
from foxnas.supernet.model import Supernet
from foxnas.supernet.tensors import TensorFile, read_tensors, write_tensors

#: In a checkpoint's header: the names of the classes that it was trained for, in the order of their numbers.
CLASSES = "classes"


def shape_defining(space: SearchSpace) -> dict[str, Any]:
    """The part of a space that its weights depend on: all but its name and its image sizes."""
    described = asdict(space)
    for free in ("name", "image_sizes", "size_divisor"):
        del described[free]
    return described


def save_supernet(supernet: Supernet, path: Path, made_by: Mapping[str, Any], **more: str) -> None:
    """Write weights, space and provenance, whole or not at all."""
    metadata = {"space": json.dumps(supernet.space.record()), "made_by": json.dumps(dict(made_by)), **more}
    write_tensors(path, supernet.state_dict(), metadata)


def load_supernet(space: SearchSpace, path: Path) -> Supernet:
    """Read a checkpoint of `space`: safetensors, or tensors of `torch.save`.

    Its tensors are named as ours, as Once-for-All's, or as EfficientNet-Lite's.

    Raises FoxnasError when the file is missing or damaged, has pickled code in it (which is never run), belongs to
    another space, or has missing, extra or misshapen tensors.
    """
    return _supernet_of(space, read_tensors(path))


def take_checkpoint(
    space: SearchSpace,
    path: Path,
    supernet: Path,
    made_by: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
) -> None:
    """Write a given checkpoint as the supernet of `space`: its tensors as they are, or converted to our names.

    Raises FoxnasError like `load_supernet`, and when it was trained for classes of other names than the data's.
    """
    taken = {TAKEN_BY: json.dumps(dict(made_by))} if made_by else {}
    file = read_tensors(path)
    loaded = _supernet_of(space, file)
    _check_classes(file, classes)
    if file.safetensors and not ofa.is_ofa(file.tensors) and not lite.is_lite(file.tensors):
        write_tensors(supernet, file.tensors, {**file.metadata, **taken})
    else:
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        save_supernet(loaded, supernet, {"converted_from": path.name, "sha256": sha256}, **taken)


def _supernet_of(space: SearchSpace, file: TensorFile) -> Supernet:
    if "space" in file.metadata:
        _check_space(space, file)
    weights = file.tensors
    shown: Mapping[str, str] = {}
    if ofa.is_ofa(weights):
        weights, shown = ofa.from_ofa(space, weights), ofa.names_of(space)
    elif lite.is_lite(weights):
        weights, shown = lite.from_lite(space, weights), lite.names_of(space)
    supernet = Supernet(space, statistics=any(name.endswith("running_mean") for name in weights))
    _check_tensors(file.path, supernet, weights, shown)
    supernet.load_state_dict(weights)
    return supernet.to(memory_format=torch.channels_last)


def _check_space(space: SearchSpace, file: TensorFile) -> None:
    try:
        described = SearchSpace.from_record(json.loads(file.metadata["space"]))
    except (ValueError, RecursionError) as error:
        raise FoxnasError(f"checkpoint {file.path}: its header holds no description of a space: {error}") from error
    found, wanted = shape_defining(described), shape_defining(space)
    for knob, value in wanted.items():
        if found[knob] != value:
            raise FoxnasError(
                f"checkpoint {file.path} belongs to another space: its {knob} is {found[knob]}, "
                f"the config's space {space.name} has {value}"
            )


def _check_classes(file: TensorFile, classes: Sequence[str]) -> None:
    """Raise FoxnasError when the names of the classes are known of both, checkpoint and data, and are not the same."""
    if CLASSES not in file.metadata or not classes:
        return
    try:
        trained_for = json.loads(file.metadata[CLASSES])
    except (ValueError, RecursionError):
        trained_for = None
    if not isinstance(trained_for, list) or not all(isinstance(name, str) for name in trained_for):
        raise FoxnasError(f"checkpoint {file.path}: its header holds no list of classes; save it again without one")
    differ = [i for i, names in enumerate(zip_longest(trained_for, classes)) if names[0] != names[1]]
    if differ:
        first = differ[0]
        theirs, ours = (spoken(names[first]) if first < len(names) else "none" for names in (trained_for, classes))
        raise FoxnasError(
            f"checkpoint {file.path} was trained for other classes: class {first} is {theirs} there and {ours} in the "
            f"data ({len(differ)} of {len(classes)} differ); give it data of its own classes, or train for these with "
            "supernet.source: pretrained and this file as supernet.donor"
        )


def _check_tensors(path: Path, supernet: Supernet, weights: Mapping[str, Tensor], shown: Mapping[str, str]) -> None:
    """Raise FoxnasError that names the first few tensors that do not fit, by their name in the file, and the cause."""
    wanted = {name: tuple(tensor.shape) for name, tensor in supernet.state_dict().items()}
    missing = [name for name in wanted if name not in weights]
    extra = [name for name in weights if name not in wanted]
    misshapen = [name for name, shape in wanted.items() if name in weights and tuple(weights[name].shape) != shape]
    problems = [f"{shown.get(name, name)} is missing" for name in missing]
    problems += [f"{spoken(name)} is not of this space" for name in extra]
    problems += [
        f"{shown.get(name, name)} has shape {tuple(weights[name].shape)} instead of {wanted[name]}"
        for name in misshapen
    ]
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        cause = _likely_cause(supernet.space, weights, missing, extra, misshapen)
        raise FoxnasError(f"checkpoint {path} does not fit the space: {'; '.join(problems[:3])}{more}. {cause}")


def _likely_cause(
    space: SearchSpace, weights: Mapping[str, Tensor], missing: list[str], extra: list[str], misshapen: list[str]
) -> str:
    """Say what most likely sets a checkpoint apart from a space."""
    if len(extra) == len(weights):
        return (
            "Likely cause: a checkpoint of another program; known are this one's, Once-for-All's MobileNetV3 and "
            "EfficientNet-Lite"
        )
    if misshapen and all(name.startswith("classifier.") for name in misshapen):
        classes = len(torch.atleast_1d(weights[misshapen[0]]))
        if classes == space.classes + 1:
            return (
                f"Likely cause: its {classes} classes are the space's {space.classes} and one of the background, as "
                "TensorFlow's ImageNet models have it first; leave that row of classifier.weight and .bias out"
            )
        return f"Likely cause: it was trained for {classes} classes; set space.classes to that"
    if "stem.weight" in misshapen:
        width = len(torch.atleast_1d(weights["stem.weight"]))
        return (
            f"Likely cause: a network of another width; its stem has {width} channels, the space's {space.stem_width}"
        )
    layers = sum(name.endswith(("project.weight", "point_linear.conv.conv.weight")) for name in weights) - 1
    if layers != (expected := sum(choices.depths[-1] for choices in space.choices)):
        return f"Likely cause: another number of units or largest depth; it has {layers} layers, not {expected}"
    odd = [*missing, *extra]
    if any(".steps." in name or "to3_matrix" in name or "to5_matrix" in name for name in odd):
        return "Likely cause: kernel_transforms or kernel_sizes of the space are not those of the checkpoint"
    if any(".gate." in name or ".se." in name for name in odd):
        return "Likely cause: the space's unit types are not those of the checkpoint"
    if misshapen:
        return "Likely cause: other widths, expansion ratios or kernel sizes than the space's"
    return "Likely cause: the file is incomplete, or of another network"
