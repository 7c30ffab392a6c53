"""A device that is likened to others of the config: few probes say how its latency is a mix of theirs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.settings.limits import Name
from foxnas.settings.section import Section


def _or_a_list(schema: dict[str, Any]) -> None:
    """Have a JSON schema take the names alone, too."""
    names = schema["properties"]["devices"]
    schema |= {"type": ["object", "array"], "items": names["items"], "minItems": names["minItems"]}


class LikeConfig(Section):
    """Other devices that a device is likened to: its regressions start from theirs, and need few probes."""

    model_config = ConfigDict(json_schema_extra=_or_a_list)

    devices: Annotated[list[Name], Field(min_length=1)]
    """Names of other devices of this config, themselves measured in full. `like: [pi4, local]` is short for
    `like: {devices: [pi4, local]}`."""
    until_percent: Annotated[float, Field(gt=0, le=100)] = 10.0
    """Probes are added until 95% of the subnets of a size are expected within so many percent of their prediction.
    Where that does not come true, all subnets are measured, as on any device."""

    @model_validator(mode="before")
    @classmethod
    def _named_alone(cls, given: Any) -> Any:
        if isinstance(given, str):
            raise FoxnasError(f"{given!r} is no list of devices; write [{given}]")
        return {"devices": given} if isinstance(given, list) else given
