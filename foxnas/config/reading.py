"""Read config files strictly: where each key stands, and what YAML 1.1 would silently take for something else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from foxnas.errors import FoxnasError
from foxnas.settings.documents import compose
from foxnas.settings.encoding import not_utf8, shown


class Layer(NamedTuple):
    """What one file, or the command line, says."""

    value: dict[str, Any]
    places: dict[str, str]
    """File and line of each key, by its dotted path."""
    problems: list[str]
    """What must not be used, one sentence each."""

    def section(self, key: str) -> Layer:
        """Return what stands below a key of the first level: problems keep the key, places do not."""
        value = self.value.get(key)
        below = {path: place for path, place in self.places.items() if path.startswith(f"{key}.")}
        return Layer(
            value if isinstance(value, dict) else {},
            {path.removeprefix(f"{key}."): place for path, place in below.items()},
            [problem for problem in self.problems if problem.startswith((f"{key}.", f"{key}:"))],
        )


def read_layer(path: Path) -> Layer:
    """Read a YAML or JSON file. Raises FoxnasError when it is neither, or holds no keys."""
    name = os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FoxnasError(f"{name}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FoxnasError(f"{name}: {not_utf8(error)}") from error
    problems: list[str] = []
    places: dict[str, str] = {}
    try:
        try:
            value = json.loads(text, object_pairs_hook=lambda pairs: _pairs(pairs, name, problems))
        except ValueError:
            loader = yaml.SafeLoader(text)
            if (node := compose(loader, name)) is not None:
                problems += _walk(node, "", name, places, {id(node)})
            value = loader.construct_document(node) if node else None
    except yaml.YAMLError as error:
        raise FoxnasError(f"{name}: is not YAML: {error}") from error
    except RecursionError as error:
        raise FoxnasError(f"{name}: is nested deeper than any configuration; is it the file that you mean?") from error
    except FoxnasError:
        raise
    except ValueError as error:  # a date or a number that is none
        refuse(problems, name)
        raise FoxnasError(f"{name}: has a value that cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise FoxnasError(f"{name}: expected keys and values, found {type(value).__name__}")
    return Layer(value, places, problems)


def typed(value: Any, place: str, texts: Iterable[str] | None = None) -> Layer:
    """Read the texts among these values as YAML would: `--config` gives every nested number as a text.

    Parameters
    ----------
    texts
        Only these texts; None: all.
    """
    places: dict[str, str] = {}
    problems: list[str] = []
    loader = yaml.SafeLoader("")

    def read(item: Any, key: str) -> Any:
        places[key] = place
        if isinstance(item, Mapping):
            return {name: read(below, _join(key, name)) for name, below in item.items()}
        if isinstance(item, list):
            return [read(below, _join(key, number)) for number, below in enumerate(item)]
        if not isinstance(item, str) or (texts is not None and item not in texts):
            return item
        node = yaml.ScalarNode(loader.resolve(yaml.ScalarNode, item, (True, False)), item)
        problems.extend(f"{key}: {said} ({place})" for said in _misread(node))
        with suppress(ValueError):  # of which there is a problem
            return loader.construct_object(node)
        return item

    return Layer(read(value, ""), places, problems)


def refuse(problems: Iterable[str], source: str) -> None:
    """Raise FoxnasError that lists the problems, if there are any."""
    if listed := "\n".join(f"  {problem}" for problem in problems):
        raise FoxnasError(f"{source} is not valid:\n{listed}")


def _pairs(pairs: list[tuple[str, Any]], name: str, problems: list[str]) -> dict[str, Any]:
    value = dict(pairs)
    twice = [key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number])]
    problems += [f"{key}: is written twice in one section; remove one ({name})" for key in twice]
    return value


def _walk(node: yaml.Node, key: str, name: str, places: dict[str, str], above: set[int]) -> Iterator[str]:
    """Note where each key stands, and yield what must not be used."""
    if isinstance(node, yaml.ScalarNode):
        yield from (f"{key}: {said} ({places[key]})" for said in _misread(node))
        return
    below: list[tuple[Any, yaml.Node, int]] = []
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for named, value in node.value:
            line = named.start_mark.line + 1
            if not isinstance(named, yaml.ScalarNode):
                continue  # not hashable, which the loader says
            if (kind := named.tag.rpartition(":")[2]) not in ("str", "merge"):
                said = f"is no text; write '{named.value}' in quotes"
                yield f"{_join(key, named.value)}: {said} ({name}, line {line})"
            if named.value in first and kind != "merge":
                said = f"is written twice, first in line {first[named.value]}; remove one"
                yield f"{_join(key, named.value)}: {said} ({name}, line {line})"
            first[named.value] = line
            below.append((named.value, value, line))
    else:
        below = [(number, value, value.start_mark.line + 1) for number, value in enumerate(node.value)]
    for part, value, line in below:
        if id(value) not in above:  # an alias of what it is in
            places[_join(key, part)] = f"{name}, line {line}"
            yield from _walk(value, _join(key, part), name, places, {*above, id(value)})


def _misread(node: yaml.ScalarNode) -> Iterator[str]:
    """Yield what is wrong with a value without quotes that YAML 1.1 reads as something else than it looks like."""
    text, kind = str(node.value), node.tag.rpartition(":")[2]
    if node.style is not None:
        return
    number = text.replace("_", "")
    try:
        yaml.SafeLoader("").construct_object(node)
    except ValueError as error:
        said = str(error).partition(";")[0]
        yield f"{shown(text, 40)} is no {'date' if kind == 'timestamp' else 'number'} ({said}); correct it"
        return
    except yaml.YAMLError:  # which the loader says
        return
    if kind == "str" and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", text):
        mantissa, exponent = re.split("[eE]", text)
        point = mantissa if "." in mantissa else f"{mantissa}.0"
        sign = exponent if exponent[0] in "+-" else f"+{exponent}"
        yield f"{text} is a text in YAML 1.1; write {point}e{sign} for the number, or quotes for the text"
    elif kind in ("int", "float") and ":" in text:
        value = yaml.safe_load(text)
        yield f"{text} is read as {value} (base 60) in YAML 1.1; write {value} if that is meant, else another number"
    elif kind == "int" and re.fullmatch(r"[-+]?0[0-7]+", number):
        value = yaml.safe_load(text)
        yield f"{text} is read as {value} (base 8) in YAML 1.1; write {value} or {int(number)}"
    elif kind == "float" and re.fullmatch(r"[-+]?\.(inf|nan)", number, re.IGNORECASE):
        yield f"{text} is no finite number; write a number, or null where the key allows it"


def _join(key: str, part: Any) -> str:
    return f"{key}.{part}" if key else str(part)
