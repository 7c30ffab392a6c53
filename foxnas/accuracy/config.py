"""How subnets are evaluated."""

from __future__ import annotations

from typing import Literal

from foxnas.settings.limits import Count
from foxnas.settings.section import Section


class AccuracyConfig(Section):
    """How a subnet is made ready and evaluated."""

    recalibration_images: Count = 1024
    """Images of the train split that estimate every subnet's batch-norm statistics, in fp32 always."""
    batch_size: Count = 32
    """Images evaluated at once."""


class EvaluationConfig(AccuracyConfig):
    """How many subnets are evaluated: those sampled, and those a search found."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """What they are compared in; the accuracies reported of deployed models are fp32 always. bf16 and fp16 are for
    GPUs, bf16 also for processors with AMX (docs/explanation/evaluation.md)."""


class DevicedEvaluationConfig(EvaluationConfig):
    """How subnets are evaluated."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """cpu; cuda: a GPU for each job; auto: a GPU where a job sees one. Changing it evaluates nothing again: results are
    equal but for rounding ties, and every row says what computed it."""
