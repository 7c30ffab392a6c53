"""Write what is said of the configuration elsewhere: `config/schema.json` and `config/README.md`.

`make documents` runs it. Both come from the sections' own types and docstrings, so there is one truth.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from foxnas.config.whole import Config
from foxnas.settings.limits import MOST
from foxnas.settings.section import fields_of, sections_in

FOLDER = Path(__file__).parent.parent.parent / "config"

_INTRODUCTION = """# Configuration

A config holds what differs from the defaults below; keys without a default are required. `config.yaml` is the demo, and
what runs when you name no other file. Copy it, change a line, and give it with `snakemake --configfile mine.yaml`; only
what depends on that line runs again. Unknown keys and impossible combinations are refused at once, by key and line,
with the fix. `schema.json` is the same in JSON Schema, for editors. `tiny.yaml` is the smallest real run, which the
tests use; `coral.yaml` is a Coral device over SSH; `imagenet.yaml` is the paper's scale, on ImageNet.

A config has layers, each laid over the one before, key by key, and lists as a whole:

1. The defaults below, the same in every folder.
2. The files of `--configfile one.yaml two.yaml`, in this order. Without any, `config/config.yaml` of the working
   directory. A file that you name is never laid over the demo.
3. `--config 'search={seed: 3}' 'budgets=[p25, 2.5]'` on the command line, with the numbers as in YAML.

A workflow that uses this one as a module gives its `config:` in place of 2 and 3. The run writes what it used, with
every key spelt out, to `results/config.yaml`; give that with `--configfile`, and it means the same: nothing runs again.

A device of your own needs three lines here, and a budget:

```yaml
devices:
  - name: pi
    kind: tflite
    ssh: {host: pi.local}
budgets: [p50]
```

Numbers are read as YAML 1.1 has them. What it would take for something else is refused: `1e-3` (a text; write
`1.0e-3`), `1:30` (90), `010` (8), and a key that is written twice.

What to set first, for a device and data of your own: `devices` (without `ssh`, the machine that the workflow runs
on), `budgets`, `data.dataset` and `data.folder`, `space`, and `supernet` (a checkpoint of yours, or `source: train`
and `training.phases`).
Without any change the workflow runs the demo: Fashion-MNIST, a shipped supernet, and this machine as the device.

Reordering keys or changing comments reruns nothing. This page is written by `make documents`.
"""

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true / false",
    "null": "null",
    "object": "keys and values",
}


def schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration, with what the docstrings below its leaves say.

    pydantic would read them whenever a class is made, a third of the time that it takes to import the config.
    """
    found = Config.model_json_schema()
    for section in {Config, *_below(Config)}:
        node = found if section is Config else found["$defs"][section.__name__]
        for key, text in _docstrings(section).items():
            place = node["properties"][key]
            node["properties"][key] = dict(sorted({**place, "description": text}.items()))
    return found


def _below(section: type) -> Iterator[type]:
    for annotation in fields_of(section).values():
        for below in sections_in(annotation):
            yield below
            yield from _below(below)


def _docstrings(section: type) -> dict[str, str]:
    """Return the text below each of a section's leaves, also of those that it inherits."""
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if not kind.__module__.startswith("foxnas."):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(tree, ast.ClassDef)
        for leaf, below in pairwise(tree.body):
            if (
                isinstance(leaf, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                name = ast.unparse(leaf.target)
                alias = section.model_fields[name].alias if issubclass(section, BaseModel) else None
                found[alias or name] = inspect.cleandoc(str(below.value.value))
    return found


def schema_text() -> str:
    """Return it as text."""
    return json.dumps(schema(), indent=1) + "\n"


def readme_text() -> str:
    """Return the page that explains every leaf."""
    whole = schema()
    definitions = whole["$defs"]
    lines = [_INTRODUCTION]
    for section, value in whole["properties"].items():
        reference = value.get("$ref") or value.get("items", {}).get("$ref")
        lines.append(f"## {section}\n")
        if reference:
            lines.append(definitions[_name(reference)]["description"].replace("\n", " ") + "\n")
        lines.append("| key | value | default | meaning |\n|---|---|---|---|")
        lines += [f"| `{path}` | {' | '.join(said)} |" for path, *said in _leaves(value, section, definitions)]
        lines.append("")
    return "\n".join(lines)


def leaves() -> list[str]:
    """Return the path of every leaf, such as `space.units[].width`."""
    whole = Config.model_json_schema()
    return [path for path, *_ in _leaves(whole, "", whole["$defs"])]


def _name(reference: str) -> str:
    return reference.rsplit("/", 1)[1]


def _leaves(node: dict[str, Any], path: str, definitions: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (path, kind, default, meaning); a section that may be null, or one of several, is walked into as well."""
    if "$ref" in node:
        yield from _leaves(definitions[_name(node["$ref"])], path, definitions)
    elif "$ref" in node.get("items", {}) or "anyOf" in node.get("items", {}):
        sections = list(_sections(node["items"]))
        if not sections:
            yield path, _kind(node), _default(node), _meaning(node)
        for section in sections:
            yield from _leaves(section, f"{path}[]", definitions)
    elif "properties" in node:
        for key, value in node["properties"].items():
            yield from _leaves(value, f"{path}.{key}" if path else key, definitions)
    else:
        yield path, _kind(node), _default(node), _meaning(node)
        for section in _sections(node):
            if section is not node:
                yield from _leaves(section, path, definitions)


def _sections(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in node:
        yield node
    for option in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _sections(option)


def _meaning(node: dict[str, Any]) -> str:
    return str(node.get("description", "")).replace("\n", " ")


def _default(node: dict[str, Any]) -> str:
    return f"`{json.dumps(node['default']).replace(chr(34), '')}`" if "default" in node else "required"


def _kind(node: dict[str, Any]) -> str:
    if "$ref" in node:
        return "section"
    if "enum" in node:
        return " / ".join(map(str, node["enum"]))
    if "const" in node:
        return str(node["const"])
    if options := node.get("anyOf") or node.get("oneOf"):
        return " or ".join(dict.fromkeys(_kind(option) for option in options))
    if node["type"] == "array":
        return f"list of {_kind(node['items'])}"
    text = _TYPES[node["type"]]
    if "minimum" in node and node.get("maximum", MOST) < MOST:
        return f"{text} {node['minimum']:g}-{node['maximum']:g}"
    if "minimum" in node:
        return f"{text} >= {node['minimum']:g}"
    if "exclusiveMinimum" in node:
        return f"{text} > {node['exclusiveMinimum']:g}"
    return text


if __name__ == "__main__":
    (FOLDER / "schema.json").write_text(schema_text())
    (FOLDER / "README.md").write_text(readme_text())
