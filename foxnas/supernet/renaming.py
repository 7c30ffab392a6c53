"""What importing any published network takes: its names for our tensors, and a space that gives them its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foxnas.errors import FoxnasError
from foxnas.space.space import SearchSpace

Difference = tuple[str, Any, Any]
"""A key of a space, what the space says, and what the network fixes."""


def renamed(name: str, prefixes: Mapping[str, str]) -> str:
    """Return a tensor's name with its beginning, one of ours, replaced by theirs."""
    ours, theirs = next(pair for pair in prefixes.items() if name.startswith(pair[0]))
    return theirs + name.removeprefix(ours)


def differences(
    space: SearchSpace, meaning: Mapping[str, Any], unit_meaning: Mapping[str, tuple[Any, ...]]
) -> list[Difference]:
    """Return where a space says otherwise than a network fixes: keys of the space, and of its units in their order."""
    wrong = [(key, getattr(space, key), value) for key, value in meaning.items() if getattr(space, key) != value]
    for key, values in unit_meaning.items():
        if (found := tuple(getattr(unit, key) for unit in space.units)) != values:
            wrong.append((f"units' {key}", found, values))
    return wrong


def refuse_differences(space: SearchSpace, network: str, base: str, fixes: str, wrong: list[Difference]) -> None:
    """Raise FoxnasError that names the first difference and the space to begin with, if there is one.

    The network's name and `fixes`, what in it fixes the rest, are words for the message.
    """
    if wrong:
        key, found, value = wrong[0]
        raise FoxnasError(
            f"space {space.name} is not of {network}: its {key} is {found} instead of {value}; declare it with base: "
            f"{base} and change what {fixes} does not fix"
        )
