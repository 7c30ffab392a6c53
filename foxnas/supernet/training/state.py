"""State of a training between steps, and the file from which it continues."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from foxnas.errors import FoxnasError
from foxnas.files.tables import replacing
from foxnas.supernet.training.precision import MixedPrecision
from foxnas.supernet.training.recipe import Recipe
from foxnas.supernet.training.steps import Draw

Network = TypeVar("Network", bound=nn.Module)

_DAMAGED = (
    RuntimeError, KeyError, TypeError, ValueError, EOFError, OSError, NotImplementedError, pickle.UnpicklingError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class TrainingState(Generic[Network]):
    """Everything that the next step depends on, in one file, so that a training continues where it was cut.

    Parameters
    ----------
    supernet
        What is trained, on the device it is trained on: takes images and an architecture.
    recipe
        How.
    mixed
        Its loss scale is part of the state.
    origin
        Space and data of the training, beside the recipe; a file of another origin is refused.
    teacher
        Of all phases. It stays as it is, so the file does not hold it. None: see `promote_teacher`.
    """

    def __init__(
        self,
        supernet: Network,
        recipe: Recipe,
        mixed: MixedPrecision,
        origin: Mapping[str, Any] | None = None,
        teacher: nn.Module | None = None,
    ) -> None:
        self.supernet, self.mixed = supernet, mixed
        self.average = copy.deepcopy(supernet).requires_grad_(False)
        self.teacher, self._given = teacher, teacher is not None
        #: What an image of each class counts, (classes,); None: all alike.
        self.class_weights: Tensor | None = None
        self.epoch = self.step = 0
        #: State of the generator of sizes, subnets and turns in the middle of an epoch; None between epochs.
        self.draws: dict[str, Any] | None = None
        self.origin = json.loads(json.dumps({"recipe": recipe.lasting(), **(origin or {})}))
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in supernet.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in supernet.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=1e-3,
        )

    def promote_teacher(self) -> None:
        """Freeze the averaged weights as the teacher of the coming phases."""
        self.teacher = copy.deepcopy(self.average).requires_grad_(False)

    def pass_step(self, draw: Draw, steps: int) -> None:
        """Move past a step; `steps` is how many an epoch has."""
        self.epoch, self.step, self.draws = draw.at.epoch, draw.at.step + 1, draw.after
        if self.step == steps:
            self.epoch, self.step, self.draws = draw.at.epoch + 1, 0, None

    def is_finite(self) -> bool:
        """Return whether every weight is a number."""
        return all(bool(torch.isfinite(p).all()) for p in self.supernet.parameters())

    def save(self, path: Path) -> None:
        """Write to a temporary name, to the disk, then rename: a kill or power cut leaves the state before."""
        state = {
            "origin": json.dumps(self.origin),
            "epoch": self.epoch,
            "step": self.step,
            # As text: a generator's state holds integers past 64 bits, which not every reader takes.
            "draws": json.dumps(self.draws),
            "supernet": self.supernet.state_dict(),
            "average": self.average.state_dict(),
            "teacher": self.teacher.state_dict() if self.teacher and not self._given else None,
            "optimizer": self.optimizer.state_dict(),
            "loss_scale": self.mixed.scaler.state_dict(),
        }
        content = io.BytesIO()  # since torch, while it writes a file, calls a full disk a bug of its own
        torch.save(state, content)
        with replacing(path) as temporary:
            temporary.write_bytes(content.getbuffer())

    def load(self, path: Path) -> None:
        """Restore from `save`, without running anything that is in the file.

        Raises FoxnasError when the file is damaged, or of another recipe, space or data.
        """
        way_out = "delete it to train from the start"
        try:
            with zipfile.ZipFile(path) as archive:  # whose checksums torch writes, and does not look at
                if changed := archive.testzip():
                    raise ValueError(f"{changed} was edited since it was written")
            state = torch.load(path, map_location="cpu", weights_only=True)
            origin = json.loads(state["origin"])
            if "data" in self.origin and "images_sha256" not in origin["data"]:  # of a release that did not write it
                origin["data"] |= {k: v for k, v in self.origin["data"].items() if k == "images_sha256"}
            origin["recipe"].setdefault("symmetry", Recipe.symmetry)  # likewise
        except _DAMAGED as error:
            reason = str(error).splitlines()[0]
            raise FoxnasError(f"{path}: cannot continue training from this file ({reason}); {way_out}") from error
        if changed := _difference(origin, self.origin):
            raise FoxnasError(
                f"{path}: is a training with {changed}. Only learning rates and precision may change on the way: "
                f"put the setting back to continue, or {way_out}"
            )
        try:
            self.supernet.load_state_dict(state["supernet"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.mixed.scaler.is_enabled() and state["loss_scale"]:
                self.mixed.scaler.load_state_dict(state["loss_scale"])
            self.epoch, self.step, self.draws = state["epoch"], state["step"], json.loads(state["draws"])
            if state["teacher"] is not None:
                self.teacher = copy.deepcopy(self.average)
                self.teacher.load_state_dict(state["teacher"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise FoxnasError(f"{path}: cannot continue training from this file ({error}); {way_out}") from error


def _difference(found: Any, wanted: Any, key: str = "") -> str:
    """Return the first leaf in which two JSON values differ, with both values; nothing if they are equal."""
    if isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
        pairs = [(f"{key}.{name}".lstrip("."), found[name], wanted[name]) for name in wanted]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = [(f"{key}.{i}", one, other) for i, (one, other) in enumerate(zip(found, wanted, strict=True))]
    else:
        return "" if found == wanted else f"{key} {json.dumps(found)} instead of {json.dumps(wanted)}"
    return next((text for name, one, other in pairs if (text := _difference(one, other, name))), "")
