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

from foxnas.device import plug_in
from foxnas.device.kind import DeviceKind
from foxnas.device.text import printable
from foxnas.errors import FoxnasError
from foxnas.files.closures import PACKAGE

GROUP = "foxnas.devices"

#: What a name may be: it is a folder on a device, and a word of the config.
NAME = r"^[a-z0-9][a-z0-9-]*$"

_CLASS = r"[A-Za-z_][\w.]*\s*:\s*[A-Za-z_][\w.]*"


@cache
def our_kinds() -> dict[str, EntryPoint]:
    """Return the kinds that come with this package, in their order."""
    project = PACKAGE.parent / "pyproject.toml"
    declared = tomllib.loads(project.read_text()).get("project", {}) if project.is_file() else {}
    if declared.get("name") == PACKAGE.name:
        return {name: EntryPoint(name, value, GROUP) for name, value in declared["entry-points"][GROUP].items()}
    return {point.name: point for point in entry_points(group=GROUP) if point.module.partition(".")[0] == PACKAGE.name}


@cache
def plug_ins() -> dict[str, tuple[EntryPoint, ...]]:
    """Return the kinds of other packages: more than one by one name where several packages bring it."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point.name not in our_kinds():
            found.setdefault(point.name, {}).setdefault(point.value, point)
    return {name: tuple(points.values()) for name, points in found.items()}


@cache
def kind_of(name: str) -> DeviceKind:
    """Return a kind of device. Raises FoxnasError when it is not installed, or is none."""
    point = our_kinds().get(name) or _plug_in(name)
    try:
        kind = point.load()()
    except (Exception, SystemExit) as error:
        said = printable(f"{type(error).__name__}: {error}")
        raise FoxnasError(
            f"device kind {name} cannot be loaded from {point.value} ({said}); install its package anew"
        ) from error
    if name in our_kinds():
        assert isinstance(kind, DeviceKind)
        return kind
    if problem := plug_in.problem(kind):
        raise FoxnasError(f"device kind {name} of {point.value}: {problem}")
    return plug_in.held(name, kind)


def _plug_in(name: str) -> EntryPoint:
    """Return the one entry point of a name that is none of ours."""
    points = plug_ins().get(name, ())
    if len(points) > 1:
        raise FoxnasError(
            f"two packages bring a device kind {name}: {points[0].value} and {points[1].value}; uninstall one"
        )
    if not points:
        for other, (point, *_) in plug_ins().items():
            if re.sub(r"[^a-z0-9]+", "-", other.lower()) == name:
                raise FoxnasError(
                    f"device kind {name} of {point.value}: its entry point is called {other!r}, expected a name of "
                    "small letters, digits and hyphens; rename it there"
                )
        known = [*our_kinds(), *sorted(one for one in plug_ins() if re.fullmatch(NAME, one))]
        near = difflib.get_close_matches(name, known, 1, 0.6)
        raise FoxnasError(
            f"{name!r} is no device kind that is installed ({', '.join(known)}); "
            + (f"did you mean {near[0]}?" if near else "install the Python package that brings it")
        )
    (point,) = points
    if not re.fullmatch(_CLASS, point.value):
        raise FoxnasError(f"device kind {name}: its entry point says {point.value!r}, expected module:Class")
    return point
