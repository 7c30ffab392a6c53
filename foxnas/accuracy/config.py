"""How subnets are evaluated."""

from __future__ import annotations

from typing import Literal

from foxnas.settings.limits import Count
from foxnas.settings.section import Section
from foxnas.tables.config import AccuracyTableConfig


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
    """How subnets are evaluated, or where their accuracies come from instead."""

    source: Literal["supernet", "table"] = "supernet"
    """supernet: subnets of the supernet are evaluated on the fit images. table: a table of yours says what they score;
    data and supernet are not read then (docs/how-to/tables.md)."""
    table: AccuracyTableConfig | None = None
    """For source: table, which needs one, and for no other."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """cpu; cuda: a GPU for each job; auto: a GPU where a job sees one. Changing it evaluates nothing again: results are
    equal but for rounding ties, and every row says what computed it."""
