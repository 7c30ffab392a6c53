"""The rounds of a search: what they are called, and what a later one is given of the earlier ones.

Paths have wildcards, which Snakemake fills in. Imported while the DAG is built: nothing heavy may be reached from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from foxnas.config.whole import Config
from foxnas.supernet.finishing_config import FINISHED

_SEARCH = "results/{space}/search/{device}/{budget}"


def names(config: Config) -> list[str]:
    """Return the rounds of search, as they name folders; a loop would be a cycle to Snakemake, so they are unrolled.

    Where no candidate is measured there is one.
    """
    return [_round(number) for number in range(1, (config.refinement.rounds if config.verifies else 1) + 1)]


def twists(config: Config) -> list[str]:
    """Return the folder of the last batch of candidates, single-knob moves, or nothing when none is to be tried."""
    return ["twist"] if config.refinement.twists and config.verifies else []


def finished(config: Config) -> list[str]:
    """Return the folder of the finished winner, or nothing when none is finished."""
    return [FINISHED] if config.finishing.on else []


def finished_weights(config: Config) -> dict[str, str]:
    """Return the input that is the finished winner's weights; none where none is finished."""
    return {"finished": f"{_SEARCH}/{FINISHED}/supernet.safetensors"} if config.finishing.on else {}


def ranking(config: Config) -> str:
    """Return the file of the ranking that decides what is deployed, below the folder of a search."""
    return "/".join([*finished(config), "ranking.json"])


def earlier(file: str) -> Callable[[Any], list[str]]:
    """Return the input function of a file of every round before the wildcard ``round``."""
    return lambda wildcards: [f"{_SEARCH}/{_round(number)}/{file}" for number in range(1, _number(wildcards.round))]


def refit(wildcards: Any) -> list[str]:
    """Return what a later round is told of its predictors; nothing for the first."""
    return [f"{_SEARCH}/{{round}}/refit.json"] if _number(wildcards.round) > 1 else []


def predictors(kind: str, sizes: Sequence[int], of_round: str = "") -> Callable[[Any], list[str]]:
    """Return the input function of what a round searches with: from the second on, predictors that were fitted again.

    The round is the wildcard ``round`` unless one is named.
    """

    def paths(wildcards: Any) -> list[str]:
        name = of_round or wildcards.round
        folder = f"{_SEARCH}/{name}/predictors/{{}}" if _number(name) > 1 else "results/{space}/{}/predictors"
        return [f"{folder}/{kind}.json".replace("{}", str(size)) for size in sizes]

    return paths


def _round(number: int) -> str:
    return f"round-{number}"


def _number(name: str) -> int:
    return int(name.removeprefix("round-"))
