"""Declarations of search spaces: the config's, and the ones that are shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator

from foxnas.errors import FoxnasError
from foxnas.settings.documents import compose
from foxnas.settings.encoding import not_utf8
from foxnas.space.space import SearchSpace

#: The declarations that are shipped, one file each.
FOLDER = Path(__file__).parent / "shipped"


def complete(declared: object) -> object:
    """Return the declaration of a name or a path, or a mapping with what its `base` says of the missing keys.

    Raises FoxnasError when the name or the file does not exist.
    """
    if isinstance(declared, str):
        return _declaration(declared)
    if isinstance(declared, Mapping) and "base" in declared:
        base = _declaration(declared["base"])
        return {**base, **{key: value for key, value in declared.items() if key != "base"}}
    return declared


def shipped_spaces() -> list[str]:
    """Names of the shipped declarations."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_space(name: str) -> SearchSpace:
    """Return a shipped space by its name, or one of a user's file by its path. Raises FoxnasError."""
    return SearchSpace.from_record(_declaration(name), f"space {name}")


def _declaration(name: object, above: tuple[object, ...] = ()) -> dict[str, Any]:
    if not isinstance(name, str):
        raise FoxnasError(f"{name!r} is not a space: give a name or a path")
    shipped = FOLDER / f"{name}.yaml"
    path = shipped if shipped.parent == FOLDER and shipped.is_file() else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FoxnasError(f"space {path}: {not_utf8(error)}") from error
    except (OSError, ValueError) as error:  # also a name that no file can have
        said = error.strerror if isinstance(error, OSError) else error
        raise FoxnasError(
            f"space {name!r} is neither shipped ({', '.join(shipped_spaces())}) nor a file: {said}"
        ) from error
    try:
        loader = yaml.SafeLoader(text)
        node = compose(loader, f"space {path}")
        value = loader.construct_document(node) if node else None
    except RecursionError as error:
        raise FoxnasError(f"space {path}: is nested deeper than any space; is it the file that you mean?") from error
    except yaml.YAMLError as error:
        raise FoxnasError(f"space {path}: is not YAML: {error}") from error
    except FoxnasError:
        raise
    except ValueError as error:  # a date or a number that is none
        raise FoxnasError(f"space {path}: has a value that cannot be read: {str(error).partition(';')[0]}") from error
    if not isinstance(value, dict):
        raise FoxnasError(f"space {path}: expected keys and values, found {type(value).__name__}")
    if "base" not in value:
        return value
    if value["base"] in (*above, name):
        raise FoxnasError(f"space {path}: its base leads back to itself; break the circle")
    base = _declaration(value["base"], (*above, name))
    return {**base, **{key: entry for key, entry in value.items() if key != "base"}}


#: The config's `space`: a complete section, a section with a `base`, a name, or a path.
DeclaredSpace = Annotated[
    SearchSpace, BeforeValidator(complete, json_schema_input_type=SearchSpace | dict[str, Any] | str)
]
