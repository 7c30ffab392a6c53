"""A plug-in's kind of device, held to the interface: what is wrong with it, and what its methods may return.

What another package's code does wrong is said in one sentence with the kind, the method, the file and the line.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from foxnas.device import plug_in_code
from foxnas.device.kind import EXPORTED, DeviceKind, NotWritten
from foxnas.device.text import printable
from foxnas.errors import FoxnasError

#: Of a value, what it must be, in words; empty where it is.
Check = Callable[[Any], str]


def problem(kind: object) -> str:
    """Return what is wrong with what an entry point gives, empty if nothing is."""
    if not isinstance(kind, DeviceKind):
        return f"is a {type(kind).__name__}, expected a class derived from foxnas.device.kind.DeviceKind"
    if kind.latency != "timed":
        return f"latency is {kind.latency}, and only a kind of foxnas has rules for that; leave it out"
    for name, check in _ATTRIBUTES.items():
        if said := check(value := getattr(kind, name)):
            return f"{name} is {value!r}, expected {said}"
    for name in ("probe_writer", "prepared"):
        if getattr(type(kind), name) is getattr(DeviceKind, name):
            return f"has no {name}, which foxnas/device/kind.py describes; write it"
    return (
        _unfound(Path(inspect.getfile(type(kind))), type(kind).__module__)
        or _of_backend(kind)
        or _of_pins(kind)
        or _of_code(kind)
    )


def _of_backend(kind: DeviceKind) -> str:
    module = kind.backend.partition(":")[0]
    try:
        file = plug_in_code.file_of(module)
    except Exception as error:  # of a package's own __init__.py, any
        said = printable(f"{type(error).__name__}: {error}")
        return f"backend is {kind.backend!r}, but module {module} is not found ({said}); is its package whole?"
    return _unfound(file, module)


def _unfound(file: Path, module: str) -> str:
    """Return why a module's package cannot be followed by its imports, nor sent to a device; empty if it can."""
    if file.suffix != ".py":
        return f"module {module} is {file}, expected Python source, which is what goes to a device"
    if plug_in_code.named(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".") != module:
        return f"module {module} lies in a folder without __init__.py ({file.parent}); add one to each folder"
    return ""


def _of_pins(kind: DeviceKind) -> str:
    pinned = {line.partition("==")[0].strip() for line in kind.pins.read_text().splitlines()} if kind.pins else set()
    if kind.pins and not pinned & kind.packages:
        return f"pins {kind.pins} has none of packages ({', '.join(sorted(kind.packages))}); pin one, as name==version"
    return ""


def _of_code(kind: DeviceKind) -> str:
    try:
        DeviceKind.code(kind)
    except (SyntaxError, ValueError) as error:
        return f"its code cannot be read ({type(error).__name__}: {error}); mend that file"
    return ""


def held(name: str, kind: DeviceKind) -> DeviceKind:
    """Return a plug-in's kind whose methods raise FoxnasError alone, and return what they should."""
    checked = partial(_checked, Path(inspect.getfile(type(kind))).parent)
    for method, check in _METHODS.items():
        vars(kind)[method] = checked(f"device kind {name}: {method}", getattr(kind, method), check)
    writer = kind.probe_writer

    def probe_writer(space: Any) -> Callable[[Any], bytes]:
        return checked(f"device kind {name}: the writer of probes", writer(space), _content, NotWritten)

    vars(kind)["probe_writer"] = probe_writer
    return kind


def _checked(
    home: Path,
    what: str,
    function: Callable[..., Any],
    check: Check,
    error_type: type[FoxnasError] = FoxnasError,
) -> Callable[..., Any]:
    """Return a function that says in one sentence what it raises, with the innermost line that lies below `home`."""

    def call(*given: Any, **more: Any) -> Any:
        try:
            value = function(*given, **more)
        except FoxnasError as error:
            raise error if isinstance(error, error_type) else error_type(str(error)) from error
        except Exception as error:
            frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.startswith(str(home))]
            where = f"; {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
            raise error_type(f"{what} failed ({printable(f'{type(error).__name__}: {error}')}{where})") from error
        if said := check(value):
            raise FoxnasError(f"{what} returns {printable(repr(value)[:200], 60)}, expected {said}")
        return value

    return call


def _content(value: Any) -> str:
    return "" if isinstance(value, bytes) and value else "bytes, at least one"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else "text"


def _digest(value: Any) -> str:
    return "" if isinstance(value, str) and value else "text, not empty"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "True or False"


def _nothing(value: Any) -> str:
    return "none: only kinds of foxnas have keys of their own" if value else ""


def _names(value: Any) -> str:
    whole = isinstance(value, frozenset | set) and all(isinstance(one, str) and one for one in value)
    return "" if whole else "a set of names, as frozenset({'a-runtime'})"


def _pins(value: Any) -> str:
    if value is None or (isinstance(value, Path) and value.is_file()):
        return ""
    lacking = "; does the package's [tool.setuptools.package-data] name it?" if isinstance(value, Path) else ""
    return f"the Path of a file that is there{lacking}"


_ATTRIBUTES: Mapping[str, Check] = {
    "backend": lambda value: (
        "" if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value) else "module:Class"
    ),
    "model_file": lambda value: (
        ""
        if value == EXPORTED or (isinstance(value, str) and re.fullmatch(r"model\.[a-z0-9]+", value))
        else "model.<letters>"
    ),
    "packages": _names,
    "system_packages": _names,
    "pins": _pins,
    "with_dependencies": _flag,
    "on_cpu": _flag,
    "proves_itself": _flag,
    "installs": _text,
    "no_ssh": _text,
    "own_keys": _nothing,
    "needs": _nothing,
    "defaults": lambda value: "" if isinstance(value, Mapping) else "a mapping",
}

_METHODS: Mapping[str, Check] = {
    "code": _digest,
    "probe_code": _digest,
    "probe_writer": lambda value: "" if callable(value) else "a function of one subnet",
    "prepared": _content,
    "reference": lambda value: (
        ""
        if isinstance(value, tuple) and len(value) == 2 and not _content(value[0]) and not _digest(value[1])
        else "a model's bytes, and a digest"
    ),
    "comparison_probes": lambda value: (
        ""
        if isinstance(value, dict)
        and value
        and all(re.fullmatch(r"[\w-]+", str(name)) and not _content(one) for name, one in value.items())
        else "models' bytes by name, at least one"
    ),
    "reference_to_examine": _content,
    "answers_itself": _flag,
    "no_board": _text,
    "advice": _text,
    "open_questions": lambda value: (
        "" if isinstance(value, list) and not any(map(_text, value)) else "a list of sentences"
    ),
    "explained": _text,
}
