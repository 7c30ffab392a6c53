"""Commands that a user types: `python -m foxnas init FOLDER` writes a first config for a folder of photographs."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from foxnas.errors import FoxnasError
from foxnas.search.budget import Budget
from foxnas.settings.encoding import shown
from foxnas.starting import recipe
from foxnas.starting.choices import choose
from foxnas.starting.document import config_text
from foxnas.starting.survey import TINY_PX, Survey, survey_folder
from foxnas.supernet.donors import donor_file

#: Suspicious files that are named per kind.
_NAMED = 10


def main(words: list[str]) -> None:
    """Run a command; ends with one sentence if its input was bad."""
    parser = argparse.ArgumentParser(prog="python -m foxnas", description="Neural architecture search for devices.")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="look at a folder of photographs and write a first config for it")
    init.add_argument("folder", type=Path, metavar="FOLDER", help="has one folder of photographs per class")
    init.add_argument("--device", default="local", metavar="HOST", help="what you type after ssh; local: this machine")
    init.add_argument("--budget", action="append", metavar="10ms", help="latency, or p25; give several if you like")
    init.add_argument("--out", type=Path, default=Path("foxnas.yaml"), help="the config; is never overwritten")
    given = parser.parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("foxnas").setLevel(logging.INFO)
    try:
        write_first_config(given.folder, given.device, given.budget or ["p25", "p50", "p75"], given.out)
    except FoxnasError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was written")


def write_first_config(folder: Path, device: str, budgets: list[str], out: Path) -> None:
    """Look at a folder, write its config, and say what is suspicious and what comes next.

    Raises FoxnasError when the file is there already or cannot be written, or the folder is none of classes.
    """
    taken = f"{out}: is there already, and is not overwritten; move it away, or write --out another.yaml"
    if out.exists():
        raise FoxnasError(taken)
    asked = [Budget.parse(budget) for budget in budgets]
    survey = survey_folder(folder, min(8, len(os.sched_getaffinity(0))))
    text = config_text(survey, choose(survey), device, asked)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise FoxnasError(taken) from error
    except OSError as error:
        raise FoxnasError(
            f"{out}: cannot be written ({error.strerror}); write --out, and a file in a folder of yours"
        ) from error
    print("\n".join(_found(survey)))
    print(f"\nWrote {out}. What is next:\n")
    print("\n".join(f"  {command}" for command in _next(out)))


def _found(survey: Survey) -> list[str]:
    """Return lines that say what a folder holds."""
    counts, width = survey.counts(), max(len(shown(name, 40)) for name in survey.classes)
    lines = [f"{survey.folder}: {len(survey.images):,} photographs in {len(counts)} classes"]
    lines += [f"  {shown(str(name), 40):<{width}} {n:>7,}" for name, n in counts.items()]
    lines += _named("cannot be read", (f"{path} ({why})" for path, why in survey.unreadable.items()))
    lines += _named(f"smaller than {TINY_PX} pixels", survey.tiny)
    lines += _named("of another kind than most", (f"{path} ({mode})" for path, mode in survey.other_modes.items()))
    lines += _named("the same photograph", (" = ".join(group) for group in survey.duplicates))
    lines += _named("the same photograph in two classes or parts", (" = ".join(g) for g in survey.split_duplicates))
    return lines


def _named(what: str, paths: Iterable[str]) -> list[str]:
    named = [shown(path) for path in paths]
    more = [f"  and {len(named) - _NAMED:,} more"] if len(named) > _NAMED else []
    return [f"{what}: {len(named):,}", *(f"  {path}" for path in named[:_NAMED]), *more] if named else []


def _next(out: Path) -> list[str]:
    """Return the commands that use the config."""
    config = shlex.quote(str(out))
    commands = [f"snakemake -n --configfile {config}", f"snakemake --cores all --configfile {config}"]
    try:
        donor_file(recipe.DONOR)
    except FoxnasError as error:
        return [str(error).rpartition("run: ")[2], *commands]
    return commands


if __name__ == "__main__":
    main(sys.argv[1:])
