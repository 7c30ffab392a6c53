"""The limits of settings, held to by the library itself, against what pydantic makes of the same annotations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_type_hints

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from foxnas.errors import FoxnasError
from foxnas.settings.limits import RULES, Above0, Count, Least0, Limits, Number, Percent, Seed, Settings, Whole

VALUES = (-1, 0, 1, 2, 100, 101, -0.5, 0.0, 0.5, 99.5, 1e300, math.inf, -math.inf, math.nan, True, "a", "b", "c")


@dataclass(frozen=True)
class Every(Settings):
    """One field of each kind."""

    whole: Whole = 1
    count: Count = 1
    seed: Seed = 1
    number: Number = 1.0
    percent: Percent = 1.0
    least0: Least0 = 1.0
    above0: Above0 = 1.0
    share: Annotated[Number, Limits(gt=0, lt=1)] = 0.5
    either: Literal["a", "b"] = "a"
    perhaps: Count | None = None


@pytest.mark.parametrize("name", Every.__dataclass_fields__)
def test_code_and_config_allow_the_same_values(name: str) -> None:
    numeric = name != "either"
    for value in VALUES:
        if isinstance(value, str) == numeric or (numeric and isinstance(value, bool) and name not in whole_names()):
            continue  # a text for a number, or a truth for a float: nobody's code passes it, and mypy refuses it
        assert allowed_by_code(name, value) == allowed_by_pydantic(name, value), value


def whole_names() -> set[str]:
    return {"whole", "count", "seed", "perhaps"}


def allowed_by_code(name: str, value: Any) -> bool:
    try:
        Every(**{name: value})
    except FoxnasError:
        return False
    return True


def allowed_by_pydantic(name: str, value: Any) -> bool:
    annotation = get_type_hints(Every, include_extras=True)[name]
    try:
        TypeAdapter(annotation, config=ConfigDict(**RULES)).validate_python(value)
    except ValidationError:
        return False
    return True


def test_a_refused_value_is_named_with_its_limit() -> None:
    with pytest.raises(FoxnasError, match=r"percent is 101, must be at most 100"):
        Every(percent=101)
