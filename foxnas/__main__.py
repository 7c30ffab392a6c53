"""Commands that a user types.

`python -m foxnas init FOLDER` writes a first config for a folder of photographs; `python -m foxnas doctor DEVICE` says
what a device is, and what limits a measurement there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from foxnas.config.whole import read_config
from foxnas.doctor import consultation
from foxnas.doctor.examination import Extent
from foxnas.doctor.finding import verdict
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

#: The config that the workflow takes where none is named.
_USUAL_CONFIG = Path("config/config.yaml")


def main(words: list[str]) -> None:
    """Run a command; ends with one sentence if its input was bad."""
    parser = argparse.ArgumentParser(prog="python -m foxnas", description="Neural architecture search for devices.")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="look at a folder of photographs and write a first config for it")
    init.add_argument("folder", type=Path, metavar="FOLDER", help="has one folder of photographs per class")
    init.add_argument("--device", default="local", metavar="HOST", help="what you type after ssh; local: this machine")
    init.add_argument("--budget", action="append", metavar="10ms", help="latency, or p25; give several if you like")
    init.add_argument("--out", type=Path, default=Path("foxnas.yaml"), help="the config; is never overwritten")
    doctor = commands.add_parser("doctor", help="say what a device is, and what limits a measurement there")
    doctor.add_argument("device", metavar="DEVICE", help="a name of the config's devices")
    doctor.add_argument("--configfile", type=Path, metavar="FILE", help=f"the config; left out: {_USUAL_CONFIG}")
    doctor.add_argument("--json", action="store_true", help="write an object for programs instead of lines")
    doctor.add_argument("--load-seconds", type=_seconds, default=Extent.load_s, help="how long it is kept at work")
    doctor.add_argument("--sessions", type=_sessions, default=Extent.sessions, help="of the reference model")
    given = parser.parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("foxnas").setLevel(logging.INFO)
    try:
        if given.command == "doctor":
            sys.exit(examine(given.device, given.configfile, given.load_seconds, given.sessions, given.json))
        write_first_config(given.folder, given.device, given.budget or ["p25", "p50", "p75"], given.out)
    except FoxnasError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was written")


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(text)) <= 86_400:
            return seconds
    raise argparse.ArgumentTypeError(f"{shown(text, 40)} is no number of seconds between 0 and a day")


def _sessions(text: str) -> int:
    with suppress(ValueError):
        if 1 <= (sessions := int(text)) <= 1000:
            return sessions
    raise argparse.ArgumentTypeError(f"{shown(text, 40)} is no number of sessions from 1 to 1000")


def say(text: str) -> None:
    """Print a text to whoever reads, as `head` does, for as long as they do.

    Raises FoxnasError when what is written to is full.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # Python writes what is left once more when it ends, and complains in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise FoxnasError(f"the output cannot be written ({error.strerror}); write it elsewhere") from error


def examine(name: str, configfile: Path | None, load_s: float, sessions: int, as_json: bool) -> int:
    """Examine a device, print what was found, and return the exit status: 0 where it is ready, 1 where it is not.

    Raises FoxnasError when the config is not valid or has no such device.
    """
    if configfile is None and not _USUAL_CONFIG.exists():
        raise FoxnasError(f"{_USUAL_CONFIG}: is not there; name your config with --configfile FILE")
    config = read_config(configfile or _USUAL_CONFIG)
    names = [device.name for device in config.devices]
    if name not in names:
        raise FoxnasError(f"{configfile or _USUAL_CONFIG}: has no device {name!r}; it has {', '.join(names)}")
    found = consultation.consult(
        config.device(name), config.space, config.validation, config.verification.margin_percent,
        configfile=str(configfile) if configfile else None, load_s=load_s, sessions=sessions,
    )  # fmt: skip
    say(json.dumps(found.told, indent=1) if as_json else found.text)
    return int(verdict(found.findings) == "not ready")


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
    found, commands = "\n".join(_found(survey)), "\n".join(f"  {command}" for command in _next(out))
    say(f"{found}\n\nWrote {out}. What is next:\n\n{commands}")


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
