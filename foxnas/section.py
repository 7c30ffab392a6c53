"""What every part of the configuration is built of."""

from __future__ import annotations

import json
import math
import os
import re
import types
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from foxnas.errors import FoxnasError

#: Values that are not converted: no text becomes a number, no 1 a true.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]

#: Characters of a name: files have it in theirs, beside other words, and a file's name has 255 at most.
LONGEST_NAME = 100

Name = Annotated[Text, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=LONGEST_NAME)]


def no_wildcards(path: str, but: tuple[str, ...] = ()) -> str:
    """Return a path that is an input of a rule; refused (FoxnasError) where Snakemake would see a wildcard in it."""
    for found in re.findall(r"\{[^{}]*\}", path):
        if found not in but:
            raise FoxnasError(
                f"{path!r} has {found} in it, which is a wildcard to Snakemake; rename the file or a folder"
            )
    return path


#: Of this host; ~ is the home folder, as a shell has it.
HostPath = Annotated[Text, Field(min_length=1), AfterValidator(os.path.expanduser)]
Count = Annotated[Whole, Field(ge=1)]
Percent = Annotated[Number, Field(ge=0, le=100)]
Index = Annotated[Whole, Field(ge=0)]
Seed = Index
Least0 = Annotated[Number, Field(ge=0)]
Above0 = Annotated[Number, Field(gt=0)]

_RULES = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Section(BaseModel):
    """A part of the configuration: frozen, without unknown keys, silent conversions and infinite numbers."""

    model_config = ConfigDict(**_RULES, strict=True)


class Settings:
    """The same as a frozen dataclass, which the library uses, too; its leaves are strict, as those above are.

    A config is held to the annotations by pydantic; made in code, the settings hold their numbers and choices to
    them. A subclass with checks of its own calls this one's `__post_init__`.
    """

    __slots__ = ()
    __pydantic_config__ = _RULES

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, rules in _rules(kind).items():
            value = getattr(self, name)
            for kept, words in rules if value is not None else ():
                if not kept(value):
                    raise FoxnasError(f"{name} is {value}, must be {words}")


@cache
def _rules(kind: Any) -> dict[str, list[tuple[Callable[[Any], bool], str]]]:
    """Return what each number and choice of the settings must be: a check, and words."""
    found: dict[str, list[tuple[Callable[[Any], bool], str]]] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for part in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else [hint]:
            if get_origin(part) is Annotated and get_args(part)[0] in (int, float):
                rules = [rule for field in part.__metadata__ for rule in getattr(field, "metadata", ())]
                kind_of = (_is_whole, "a whole number") if get_args(part)[0] is int else (math.isfinite, "finite")
                found[name] = [kind_of, *map(_limit, rules)]
            elif get_origin(part) is Literal:
                found[name] = [(get_args(part).__contains__, f"one of {', '.join(map(str, get_args(part)))}")]
    return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _limit(rule: Any) -> tuple[Callable[[Any], bool], str]:
    match rule:
        case Ge(ge=limit):
            return (lambda value: value >= limit), f"at least {limit}"
        case Gt(gt=limit):
            return (lambda value: value > limit), f"above {limit}"
        case Le(le=limit):
            return (lambda value: value <= limit), f"at most {limit}"
        case Lt(lt=limit):
            return (lambda value: value < limit), f"below {limit}"
    raise TypeError(f"{rule} is no limit")


def fields_of(kind: type) -> dict[str, Any]:
    """Return a section's keys, with what they may hold."""
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
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

    def plain(item: Any) -> Any:
        if isinstance(item, BaseModel):
            return item.model_dump(mode="json")
        if is_dataclass(item) and not isinstance(item, type):
            return asdict(item)
        raise TypeError(f"{type(item).__name__} has no canonical form")

    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)
