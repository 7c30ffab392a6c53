"""Turn a function into the command that a rule calls.

The command's options are the function's keyword-only parameters. Those that are config leaves come together in
`--settings`: one JSON object that holds exactly what the rule depends on and, for few rules, one with what the result
does not depend on. All others (files, wildcards, threads) are options of their own; `--inputs` says which files those
are, for the record. A parameter `made_by` is given what an artefact records of its making: no script writes its
settings down itself, so none can forget one.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import inspect
import json
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from foxnas.errors import FoxnasError
from foxnas.files import closures, orphans

log = logging.getLogger(__name__)

#: Closes every job's log; `benchmarks.orchestration` adds them up.
TIMES = "start-up %.2f s, work %.2f s"

#: Packages whose version can change a result.
RECORDED_PACKAGES = (
    "foxnas", "numpy", "pandas", "statsmodels", "torch", "tensorflow-cpu", "tensorflow", "ai-edge-litert",
)  # fmt: skip

#: Of the settings, digests of the user's files that the rule reads: recorded, and no parameter of the script.
CONTENTS = "contents"

#: What an artefact records of its making; see `made_by`.
MadeBy = dict[str, Any]


def run(main: Callable[..., None]) -> None:
    """Parse the command line, call `main`, and end with one clear sentence if the input was bad."""
    arguments = parse(main, sys.argv[1:])
    # As Ctrl-C: what is half-written goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = job_name(Path(sys.argv[0]).stem, arguments).replace("%", "%%")
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s {name}: %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    logging.captureWarnings(True)
    start_up_s, started = _age_s(), time.perf_counter()
    try:
        orphans.end_with_the_run()
        main(**arguments)
        log.info(TIMES, start_up_s, time.perf_counter() - started)
    except FoxnasError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run the same command again to continue")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        where = error.filename2 or error.filename or "the results folder"
        sys.exit(f"error: {where}: {error.strerror}; make room or grant access, then run the same command again")


def _age_s() -> float:
    """Return the seconds since this process began, by the clock that counts from the start of the system.

    psutil adds the time of that start, which the kernel gives in whole seconds: up to a second too much.
    """
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def parse(main: Callable[..., None], words: list[str]) -> dict[str, Any]:
    """Return the keyword arguments for `main` from command-line words."""
    types = {name: kind for name, kind in get_type_hints(main).items() if name != "return"}
    defaults = {n: p.default for n, p in inspect.signature(main).parameters.items() if p.default is not p.empty}
    parser = argparse.ArgumentParser(description=inspect.getdoc(main), add_help=False)
    parser.add_argument("--settings", type=json.loads, nargs="+", default=[], metavar="JSON")
    parser.add_argument("--inputs", type=json.loads, metavar="JSON")
    given, inputs = vars(parser.parse_known_args(words)[0]).values()
    settings = {name: value for part in given for name, value in part.items() if name != CONTENTS}
    parser.add_argument("--help", action="help")
    recorded = types.pop("made_by", None) is not None
    for name, kind in types.items():
        if name in settings:
            continue
        optional = NoneType in get_args(kind)  # may be given without a value, which is None
        if optional:
            (kind,) = (one for one in get_args(kind) if one is not NoneType)
        listed = get_args(kind) if get_origin(kind) is list else ()
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=listed[0] if listed else kind,
            nargs="*" if listed else "?" if optional else None,
            required=name not in defaults,
            default=argparse.SUPPRESS,  # a default that is text would be converted by `type`, which a Literal cannot
        )
    arguments = defaults | vars(parser.parse_args(words))
    del arguments["settings"], arguments["inputs"]
    for name, value in settings.items():
        try:
            arguments[name] = TypeAdapter(types[name]).validate_python(value)
        except (KeyError, ValidationError) as error:
            parser.error(f"--settings: {name}: {error}")
    if recorded:
        arguments["made_by"] = made_by(Path(inspect.getfile(main)), given[0] if given else {}, inputs)
    return arguments


def job_name(script: str, arguments: Mapping[str, Any]) -> str:
    """Return what its lines call a job, since several may write to one terminal: script, and file that it makes.

    A script's output comes last among its files; ``results`` and the file's extension are left out.
    """
    for value in list(arguments.values())[::-1]:
        path = value[0] if value and isinstance(value, list) else value
        if isinstance(path, Path):
            parts = path.with_suffix("").parts
            below = len(parts) - parts[::-1].index("results") if "results" in parts else 0
            return f"{script} {Path(*parts[below:])}"
    return script


def made_by(script: Path, settings: Mapping[str, Any], inputs: Mapping[str, str] | None = None) -> MadeBy:
    """Return what an artefact records of its making: script, code digest, versions, and the rule's tracked settings.

    And, where a rule says it, which files the script was given: how many by which name, and a digest of their names.
    """
    text = json.dumps(settings, sort_keys=True)
    versions = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "script": script.name,
        "code": closures.digest(script),
        "settings": dict(settings),
        **({"inputs": dict(inputs)} if inputs is not None else {}),
        "settings_sha256": hashlib.sha256(text.encode()).hexdigest()[:12],
        "versions": versions,
    }
