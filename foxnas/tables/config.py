"""Which tables of the user's stand for measurements made here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.settings.section import HostPath, Section, no_wildcards

#: A file, or one for each image size, whose place in the name is `{size}`.
TableFile = Annotated[HostPath, AfterValidator(partial(no_wildcards, but=("{size}",)))]

Column = Annotated[str, Field(min_length=1)]


class TableConfig(Section):
    """A CSV file of one's own: an architecture and a measured value per row."""

    file: TableFile
    """A CSV file of yours, one row per architecture, in which {size} stands for the image size where each size has a
    file of its own. docs/how-to/tables.md says how a row names its architecture."""
    column: Column
    unit: str

    def files(self, sizes: Sequence[int]) -> list[str]:
        """Return its files: one, or one per image size."""
        return [self.file.replace("{size}", str(size)) for size in sizes] if "{size}" in self.file else [self.file]

    @model_validator(mode="after")
    def _unit_of_the_column(self) -> TableConfig:
        units = get_args(type(self).model_fields["unit"].annotation)
        said = re.search(rf"_({'|'.join(units)})$", self.column)
        if said and said[1] != self.unit:
            raise FoxnasError(f"column is {self.column}, but unit is {self.unit}; write unit: {said[1]}")
        return self


class AccuracyTableConfig(TableConfig):
    """A table of accuracies."""

    column: Column = "top1_percent"
    """The column with the accuracies."""
    unit: Literal["percent", "fraction"] = "percent"
    """percent: from 0 to 100; fraction: from 0 to 1."""


class LatencyTableConfig(TableConfig):
    """A table of latencies."""

    column: Column = "latency_ms"
    """The column with the latencies."""
    unit: Literal["ms", "us", "s"] = "ms"
    """Milliseconds, microseconds or seconds."""
