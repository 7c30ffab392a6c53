"""Supernet checkpoints: safetensors with the space they belong to in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from foxnas.errors import FoxnasError
from foxnas.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.tables import replacing


def shape_defining(space: SearchSpace) -> dict[str, Any]:
    """The part of a space that its weights depend on: all but its name and its image sizes."""
    described = space.record()
    for free in ("name", "image_sizes", "size_divisor"):
        del described[free]
    return described


def save_supernet(supernet: Supernet, path: Path, made_by: Mapping[str, Any]) -> None:
    """Write weights, space and provenance, whole or not at all."""
    weights = {name: tensor.contiguous() for name, tensor in supernet.state_dict().items()}
    metadata = {"space": json.dumps(supernet.space.record()), "made_by": json.dumps(dict(made_by))}
    with replacing(path) as temporary:
        save_file(weights, temporary, metadata)


def load_supernet(space: SearchSpace, path: Path) -> Supernet:
    """Read a checkpoint of `space`.

    Raises FoxnasError when the file is missing, is no safetensors file (pickled checkpoints are
    refused), belongs to another space, or has missing, extra or misshapen tensors.
    """
    if not path.is_file():
        raise FoxnasError(
            f"checkpoint {path} does not exist; set supernet.checkpoint to a file, or supernet.source to train"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise FoxnasError(
            f"checkpoint {path} is not a safetensors file ({error}); "
            "pickled checkpoints are not loaded, because they can run code"
        ) from error
    if "space" in metadata:
        found = shape_defining(SearchSpace.from_record(json.loads(metadata["space"])))
        wanted = shape_defining(space)
        for knob, value in wanted.items():
            if found[knob] != value:
                raise FoxnasError(
                    f"checkpoint {path} belongs to another space: its {knob} is {found[knob]}, "
                    f"the config's space {space.name} has {value}"
                )
    supernet = Supernet(space)
    check_tensors(path, {name: tuple(t.shape) for name, t in supernet.state_dict().items()}, weights)
    supernet.load_state_dict(weights)
    return supernet.to(memory_format=torch.channels_last)


def check_tensors(path: Path, wanted: Mapping[str, tuple[int, ...]], weights: Mapping[str, torch.Tensor]) -> None:
    """Raise FoxnasError that names the first few tensors that do not fit."""
    problems = [f"{name} is missing" for name in wanted if name not in weights]
    problems += [f"{name} is not of this space" for name in weights if name not in wanted]
    problems += [
        f"{name} has shape {tuple(weights[name].shape)} instead of {shape}"
        for name, shape in wanted.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise FoxnasError(f"checkpoint {path} does not fit the space: {'; '.join(problems[:3])}{more}")
