"""What every part of the configuration is built of."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Count = Annotated[int, Field(ge=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of the configuration: frozen, without unknown keys, silent conversions and infinite numbers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sections by content, keys sorted, no spaces.

    A param of a rule is this text, because Snakemake compares params as a set of values without
    names: two swapped numbers, or any object, would go unnoticed.
    """

    def plain(item: Any) -> Any:
        if isinstance(item, BaseModel):
            return item.model_dump(mode="json")
        raise TypeError(f"{type(item).__name__} has no canonical form")

    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)
