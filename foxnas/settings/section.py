"""What every part of the configuration is built of."""

from __future__ import annotations

import json
import os
import re
from dataclasses import is_dataclass
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from foxnas.errors import FoxnasError
from foxnas.settings.limits import RULES, Settings, Text, plain


def no_wildcards(path: str, but: tuple[str, ...] = ()) -> str:
    """Return a path that is an input of a rule; refused (FoxnasError) where Snakemake would see a wildcard in it.

    Or a path variable, as `<this>`, which it fills in likewise.
    """
    for found in re.findall(r"\{[^{}]*\}|<[a-z][a-z0-9_]*>", path):
        if found not in but:
            raise FoxnasError(
                f"{path!r} has {found} in it, which is a wildcard to Snakemake; rename the file or a folder"
            )
    return path


#: Of this host; ~ is the home folder, as a shell has it.
HostPath = Annotated[Text, Field(min_length=1), AfterValidator(os.path.expanduser)]


def _one_line(text: str) -> str:
    """Return a text on one line. Raises FoxnasError where nothing is left of it."""
    if not (line := " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())):
        raise FoxnasError("is blank; write a text, or null")
    return line


#: A text that stands on one line, however it was written.
Line = Annotated[Text, Field(max_length=1000), AfterValidator(_one_line)]


class Section(BaseModel):
    """A part of the configuration: frozen, without unknown keys, silent conversions and infinite numbers."""

    model_config = ConfigDict(**RULES, strict=True, serialize_by_alias=True)  # type: ignore[typeddict-item]


def fields_of(kind: type) -> dict[str, Any]:
    """Return a section's keys, with what they may hold."""
    if issubclass(kind, BaseModel):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    return {name: hint for name, hint in get_type_hints(kind).items() if not name.startswith("_")}


def sections_in(annotation: Any) -> list[type]:
    """Return the sections that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel | Settings):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sections by content, keys sorted, no spaces.

    A param of a rule is this text, because Snakemake compares params as a set of values without
    names: two swapped numbers, or any object, would go unnoticed.
    """

    def encoded(item: Any) -> Any:
        if isinstance(item, BaseModel):
            return item.model_dump(mode="json")
        if is_dataclass(item) and not isinstance(item, type):
            return plain(item)
        raise TypeError(f"{type(item).__name__} has no canonical form")

    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=encoded)
