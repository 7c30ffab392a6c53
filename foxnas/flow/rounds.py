"""The rounds of a search: what they are called, and what a later one is given of the earlier ones.

Paths have wildcards, which Snakemake fills in. Imported while the DAG is built: nothing heavy may be reached from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from foxnas.config.whole import Config
from foxnas.supernet.finishing_config import FINISHED

_SEARCH = "results/{space}/search/{device}/{budget}"

#: Of the rounds in which accuracies are acquired, of all budgets.
ACQUIRED = "results/{space}/search/{device}/acquired"


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


def acquired(config: Config) -> list[str]:
    """Return the rounds in which accuracies are acquired before a search, as they name folders; none without images."""
    return [_round(number) for number in range(1, config.refinement.acquisition.rounds + 1) if config.verifies]


def of_acquired(config: Config, *files: str) -> list[str]:
    """Return these files of every round of acquisition."""
    return [f"{ACQUIRED}/{name}/{file}" for file in files for name in acquired(config)]


def acquired_before(file: str, among: int = 0) -> Callable[[Any], list[str]]:
    """Return the input function of a file of every round of acquisition before the wildcard ``round``, or with it.

    `among`: 1 with that round itself.
    """
    return lambda wildcards: [
        f"{ACQUIRED}/{_round(number)}/{file}" for number in range(1, _number(wildcards.round) + among)
    ]


def acquiring_with(sizes: Sequence[int]) -> Callable[[Any], list[str]]:
    """Return the input function of the accuracy predictors that a round of acquisition goes by."""

    def paths(wildcards: Any) -> list[str]:
        before = _number(wildcards.round) - 1
        return _of_sizes(f"{ACQUIRED}/{_round(before)}" if before else "", "accuracy", sizes)

    return paths


def on_fit_images(config: Config) -> dict[str, list[str]]:
    """Return the input that is each round's candidates on the images that are predicted; none without acquisition."""
    files = [f"{_SEARCH}/{name}/accuracy.csv" for name in names(config)]
    return {"on_fit": files} if acquired(config) else {}


def by_round(config: Config, sizes: Sequence[int]) -> dict[str, list[str]]:
    """Return the input that is the accuracy predictors before acquisition and after each round; none without rounds."""
    if not (names := acquired(config)):
        return {}
    folders = ["", *(f"{ACQUIRED}/{name}" for name in names)]
    return {"by_round": [path for folder in folders for path in _of_sizes(folder, "accuracy", sizes)]}


def first_predictors(config: Config, sizes: Sequence[int]) -> list[str]:
    """Return the accuracy predictors of the first search: of the last round of acquisition, where there is one."""
    names = acquired(config)
    return _of_sizes(f"{ACQUIRED}/{names[-1]}" if names else "", "accuracy", sizes)


def earlier(file: str) -> Callable[[Any], list[str]]:
    """Return the input function of a file of every round before the wildcard ``round``."""
    return lambda wildcards: [f"{_SEARCH}/{_round(number)}/{file}" for number in range(1, _number(wildcards.round))]


def refit(wildcards: Any) -> list[str]:
    """Return what a later round is told of its predictors; nothing for the first."""
    return [f"{_SEARCH}/{{round}}/refit.json"] if _number(wildcards.round) > 1 else []


def predictors(config: Config, kind: str, sizes: Sequence[int], of_round: str = "") -> Callable[[Any], list[str]]:
    """Return the input function of what a round searches with: from the second on, predictors that were fitted again.

    The round is the wildcard ``round`` unless one is named.
    """

    def paths(wildcards: Any) -> list[str]:
        name = of_round or wildcards.round
        if _number(name) > 1:
            return _of_sizes(f"{_SEARCH}/{name}", kind, sizes)
        return first_predictors(config, sizes) if kind == "accuracy" else _of_sizes("", kind, sizes)

    return paths


def _of_sizes(folder: str, kind: str, sizes: Sequence[int]) -> list[str]:
    """Return a predictor's file of every image size below a round's folder; without one, those of the sample."""
    pattern = f"{folder}/predictors/{{}}" if folder else "results/{space}/{}/predictors"
    return [f"{pattern}/{kind}.json".replace("{}", str(size)) for size in sizes]


def _round(number: int) -> str:
    return f"round-{number}"


def _number(name: str) -> int:
    return int(name.removeprefix("round-"))
