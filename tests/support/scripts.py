"""The workflow's scripts as functions."""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.settings.section import canonical

ROOT = Path(__file__).resolve().parents[2]
#: Every script by its name.
SCRIPTS = {path.stem: path for path in sorted(ROOT.glob("*/scripts/*.py"))}

#: The files of rules.
RULES = sorted(path for folder in ("rules", "comparisons") for path in (ROOT / folder).glob("*.smk"))


def main_of(name: str) -> Callable[..., None]:
    """Return the function behind a script."""
    spec = importlib.util.spec_from_file_location(f"foxnas_script_{name}", SCRIPTS[name])
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[..., None] = module.main
    return main


def made_by(name: str, **settings: Any) -> cli.MadeBy:
    """Return what an artefact of a script records, given these settings."""
    return cli.made_by(SCRIPTS[name], json.loads(canonical(settings)))


def script(name: str) -> Callable[..., None]:
    """Return a script as a function of its settings and files: what is no file is a setting, and recorded."""
    main = main_of(name)

    def call(**arguments: Any) -> None:
        if "made_by" in inspect.signature(main).parameters:
            arguments["made_by"] = made_by(name, **{n: v for n, v in arguments.items() if not _is_files(v)})
        main(**arguments)

    return call


def _is_files(value: Any) -> bool:
    return isinstance(value, Path) or (isinstance(value, list) and any(isinstance(one, Path) for one in value))
