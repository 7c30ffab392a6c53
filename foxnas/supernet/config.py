"""Where the supernet comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.settings.section import HostPath, Section, no_wildcards
from foxnas.supernet.training.recipe import Recipe


class SupernetConfig(Section):
    """Where the supernet comes from."""

    source: Literal["checkpoint", "train"] = "checkpoint"
    """checkpoint: take supernet.checkpoint; train: train one by supernet.training (minutes to hours)."""
    checkpoint: Annotated[HostPath, AfterValidator(no_wildcards)] | None = None
    """A file of this space, for source: checkpoint. It is of safetensors or torch.save, with the tensors named as ours
    are or as in the supernets of Once-for-All."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of one machine that train together, a process each; 0: its processors. Changing it trains nothing again."""
    training: Recipe = Recipe()

    @model_validator(mode="after")
    def _shares_are_equal(self) -> SupernetConfig:
        if self.source == "checkpoint" and self.checkpoint is None:
            raise FoxnasError("checkpoint is null; write the file's path, or source: train and training.phases")
        if self.source == "train" and not self.training.phases:
            raise FoxnasError("training.phases is empty, but source is train; config/config.yaml has two to copy")
        size, parts, gpus = self.training.batch_size, self.training.batch_parts, self.gpus
        if self.source == "train" and size % parts:
            raise FoxnasError(f"training.batch_parts is {parts}, which batch_size {size} is not a multiple of")
        if self.source == "train" and gpus and parts % gpus:
            raise FoxnasError(f"training.batch_parts is {parts}, which {gpus} gpus cannot share; make it a multiple")
        return self
