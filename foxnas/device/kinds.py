"""The kinds of device that are installed: ours, and those of other packages, by their entry points.

Both are entry points of the group `foxnas.devices`. Ours are read from the pyproject.toml of the checkout where there
is one, which may be newer than what was installed of it.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from foxnas.device.kind import EXPORTED, DeviceKind
from foxnas.errors import FoxnasError
from foxnas.files.closures import PACKAGE

GROUP = "foxnas.devices"

#: What a name may be: it is a folder on a device, and a word of the config.
NAME = r"^[a-z0-9][a-z0-9-]*$"


@cache
def our_kinds() -> dict[str, EntryPoint]:
    """Return the kinds that come with this package, in their order."""
    project = PACKAGE.parent / "pyproject.toml"
    declared = tomllib.loads(project.read_text()).get("project", {}) if project.is_file() else {}
    if declared.get("name") == PACKAGE.name:
        return {name: EntryPoint(name, value, GROUP) for name, value in declared["entry-points"][GROUP].items()}
    return {point.name: point for point in entry_points(group=GROUP) if point.module.partition(".")[0] == PACKAGE.name}


@cache
def plug_ins() -> dict[str, EntryPoint]:
    """Return the kinds of other packages. Raises FoxnasError when two packages have one name."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in our_kinds() or not re.fullmatch(NAME, point.name):
            continue
        if found.setdefault(point.name, point).value != point.value:
            raise FoxnasError(
                f"two packages bring a device kind {point.name}: {found[point.name].value} and {point.value}; "
                "uninstall one"
            )
    return found


@cache
def kind_of(name: str) -> DeviceKind:
    """Return a kind of device. Raises FoxnasError when it is not installed, or is none."""
    point = our_kinds().get(name) or plug_ins().get(name)
    if point is None:
        known = [*our_kinds(), *sorted(plug_ins())]
        near = difflib.get_close_matches(name, known, 1, 0.6)
        raise FoxnasError(
            f"{name!r} is no device kind that is installed ({', '.join(known)}); "
            + (f"did you mean {near[0]}?" if near else "install the Python package that brings it")
        )
    try:
        kind = point.load()()
    except Exception as error:
        raise FoxnasError(
            f"device kind {name} cannot be loaded from {point.value} ({type(error).__name__}: {error}); install its "
            "package anew"
        ) from error
    if problem := _problem(name, kind):
        raise FoxnasError(f"device kind {name} of {point.value}: {problem}")
    return kind


def _problem(name: str, kind: object) -> str:
    """Return what is wrong with what an entry point gives, empty if nothing is."""
    if not isinstance(kind, DeviceKind):
        return f"is a {type(kind).__name__}, expected a class derived from foxnas.device.kind.DeviceKind"
    if name in our_kinds():
        return ""
    if kind.latency != "timed":
        return f"latency is {kind.latency}, and only a kind of foxnas has rules for that; leave it out"
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", kind.backend):
        return f"backend is {kind.backend!r}, expected module:Class"
    if kind.model_file != EXPORTED and not re.fullmatch(r"model\.[a-z0-9]+", kind.model_file):
        return f"model_file is {kind.model_file!r}, expected model.<letters>"
    return ""
