"""Where the supernet comes from, and how one is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.section import Count, Section, Seed

Weights = list[Annotated[float, Field(ge=0, le=1)]] | None


class PhaseConfig(Section):
    """One phase of progressive shrinking: the subnets it trains."""

    epochs: Count
    """Passes over the train split."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak learning rate of AdamW, followed by a half cosine."""
    kernel_sizes: list[Count]
    """Choices of K in this phase."""
    expansion_ratios: list[Count]
    """Choices of E in this phase."""
    depths: list[Count]
    """Choices of D in this phase."""
    kernel_weights: Weights = None
    """Probabilities of those kernel sizes; null: all equal."""
    expansion_weights: Weights = None
    """Probabilities of those expansion ratios; null: all equal."""
    depth_weights: Weights = None
    """Probabilities of those depths; null: all equal."""

    @model_validator(mode="after")
    def _weights_fit(self) -> PhaseConfig:
        for choices, weights in (
            ("kernel_sizes", self.kernel_weights),
            ("expansion_ratios", self.expansion_weights),
            ("depths", self.depth_weights),
        ):
            if weights is not None and (len(weights) != len(getattr(self, choices)) or abs(sum(weights) - 1) > 1e-6):
                raise FoxnasError(
                    f"the weights {weights} of {choices} {getattr(self, choices)} must be as many, and sum to 1"
                )
        return self


class TrainingConfig(Section):
    """How the supernet is trained when supernet.source is train."""

    seed: Seed = 0
    """Initial weights, order of the images, subnets of the steps."""
    batch_size: Count = 256
    """Images per step, over all GPUs."""
    batch_parts: Count = 1
    """Parts that a batch is cut into, each with its own batch-norm statistics: what GPUs share out, and what fits one's
    memory. More parts are another training, more GPUs are not."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0001
    """Of AdamW, on convolutions and the classifier."""
    distillation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Weight of the largest subnet's soft labels against the true ones, after the first phase."""
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay per step of the moving average of the weights."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """What GPUs compute in, weights staying fp32; fp16 with a scaled loss. Without effect where gpus is 0."""
    phases: list[PhaseConfig] = Field(default=[])
    """In order, at least one where supernet.source is train; the largest subnet after the first becomes the teacher of
    the others."""


class SupernetConfig(Section):
    """Where the supernet comes from."""

    source: Literal["checkpoint", "train"] = "checkpoint"
    """checkpoint: take supernet.checkpoint; train: train one by supernet.training (minutes to hours)."""
    checkpoint: str | None = None
    """A file of this space, for source: checkpoint. It is of safetensors or torch.save, with the tensors named as ours
    are or as in the supernets of Once-for-All."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of one machine that train together, a process each; 0: its processors. Changing it trains nothing again."""
    training: TrainingConfig = TrainingConfig()

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
