"""Settings that the library itself uses: frozen dataclasses whose numbers and choices are held to limits.

pydantic, which holds a config to the same limits, is not needed: what computes and what measures can run where it is
not installed.
"""

from __future__ import annotations

import math
import operator
import types
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, fields, is_dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from foxnas.errors import FoxnasError

Check = tuple[Callable[[Any], bool], str]
"""Whether a value is kept, and words for what it must be."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of an annotated value, under the names that pydantic's core schemas have for them."""

    strict: bool | None = None
    pattern: str | None = None
    max_length: int | None = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Return what pydantic holds a config's value to."""
        return handler(source) | {name: limit for name, limit in asdict(self).items() if limit is not None}

    def checks(self) -> list[Check]:
        """Return the checks of a number."""
        possible: list[tuple[float | None, Callable[[Any, Any], bool], str]] = [
            (self.ge, operator.ge, "at least"),
            (self.gt, operator.gt, "above"),
            (self.le, operator.le, "at most"),
            (self.lt, operator.lt, "below"),
        ]
        return [
            (partial(_compared, kept, limit), f"{words} {limit}")
            for limit, kept, words in possible
            if limit is not None
        ]


def _compared(kept: Callable[[Any, Any], bool], limit: float, value: Any) -> bool:
    return kept(value, limit)


#: Values that are not converted: no text becomes a number, no 1 a true.
Whole = Annotated[int, Limits(strict=True)]
Number = Annotated[float, Limits(strict=True)]
Flag = Annotated[bool, Limits(strict=True)]
Text = Annotated[str, Limits(strict=True)]

#: Characters of a name: files have it in theirs, beside other words, and a file's name has 255 at most.
LONGEST_NAME = 100

Name = Annotated[Text, Limits(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=LONGEST_NAME)]
#: The largest whole number that every reader of JSON takes exactly (RFC 8259, section 6); libraries count in 64 bits.
MOST = 2**53 - 1

Count = Annotated[Whole, Limits(ge=1, le=MOST)]
Percent = Annotated[Number, Limits(ge=0, le=100)]
Index = Annotated[Whole, Limits(ge=0, le=MOST)]
Seed = Index
Least0 = Annotated[Number, Limits(ge=0)]
Above0 = Annotated[Number, Limits(gt=0)]

#: How pydantic reads settings and sections.
RULES: dict[str, Any] = {
    "extra": "forbid",
    "frozen": True,
    "allow_inf_nan": False,
}


#: `metadata` of a field that a later release added: a record leaves it out where it has its default, so that what was
#: made before still has the record, and the digest, that it had.
LATER: Mapping[str, Any] = types.MappingProxyType({"later": True})

#: Names of all such fields.
LATER_NAMES: set[str] = set()


def plain(value: Any) -> Any:
    """Return settings as mappings of plain values: what is recorded, digested and compared."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = [(field, getattr(value, field.name)) for field in fields(value)]
        return {f.name: plain(own) for f, own in pairs if not ("later" in f.metadata and own == f.default)}
    if isinstance(value, dict):
        return {key: plain(own) for key, own in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


class Settings:
    """Base of frozen dataclasses that are also sections of the config; their leaves are strict.

    A config is held to the annotations by pydantic; made in code, the settings hold their numbers and choices to
    them. A subclass with checks of its own calls this one's `__post_init__`.
    """

    __slots__ = ()
    __pydantic_config__ = RULES

    def __init_subclass__(cls) -> None:
        LATER_NAMES.update(
            n for n, value in vars(cls).items() if isinstance(value, Field) and "later" in value.metadata
        )

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, rules in _rules(kind).items():
            value = getattr(self, name)
            for kept, words in rules if value is not None else ():
                if not kept(value):
                    raise FoxnasError(f"{name} is {value}, must be {words}")


@cache
def _rules(kind: Any) -> dict[str, list[Check]]:
    """Return what each number and choice of the settings must be: a check, and words."""
    found: dict[str, list[Check]] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for part in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else [hint]:
            if get_origin(part) is Annotated and get_args(part)[0] in (int, float):
                kind_of = (_is_whole, "a whole number") if get_args(part)[0] is int else (math.isfinite, "finite")
                limits = [rule for rules in part.__metadata__ for rule in rules.checks()]
                found[name] = [kind_of, *limits]
            elif get_origin(part) is Literal:
                found[name] = [(get_args(part).__contains__, f"one of {', '.join(map(str, get_args(part)))}")]
    return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
