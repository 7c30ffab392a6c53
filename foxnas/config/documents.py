"""Write what is said of the configuration elsewhere: `config/schema.json` and `config/README.md`.

`make documents` runs it. Both come from the sections' own types and docstrings, so there is one truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foxnas.config.whole import Config

FOLDER = Path(__file__).parent.parent.parent / "config"

_INTRODUCTION = """# Configuration

`config.yaml` is the default, the demo: complete, and valid on its own. Copy it, change a line, and give it with
`snakemake --configfile mine.yaml`; only what depends on that line runs again. Every key is required, so that a
config found alone says everything; unknown keys and impossible combinations are refused at once, by key, with the fix.
`schema.json` is the same in JSON Schema, for editors. `tiny.yaml` is the smallest real run, which the tests use;
`coral.yaml` is a Coral device over SSH; `imagenet.yaml` is the paper's scale, on ImageNet.

What to set first, for a device and data of your own: `devices` (`ssh: null` is the machine that the workflow runs
on), `budgets`, `data.dataset` and `data.folder`, `space`, and `supernet` (a checkpoint of yours, or `source: train`).
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


def schema_text() -> str:
    """Return the JSON schema of the configuration."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


def readme_text() -> str:
    """Return the page that explains every leaf."""
    schema = Config.model_json_schema()
    definitions = schema["$defs"]
    lines = [_INTRODUCTION]
    for section, value in schema["properties"].items():
        reference = value.get("$ref") or value.get("items", {}).get("$ref")
        lines.append(f"## {section}\n")
        if reference:
            lines.append(definitions[_name(reference)]["description"].replace("\n", " ") + "\n")
        lines.append("| key | value | meaning |\n|---|---|---|")
        lines += [f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _leaves(value, section, definitions)]
        lines.append("")
    return "\n".join(lines)


def leaves() -> list[str]:
    """Return the path of every leaf, such as `space.units[].width`."""
    schema = Config.model_json_schema()
    return [path for path, _, _ in _leaves(schema, "", schema["$defs"])]


def _name(reference: str) -> str:
    return reference.rsplit("/", 1)[1]


def _leaves(node: dict[str, Any], path: str, definitions: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (path, kind, meaning); a section that may be null, or one of several, is walked into as well."""
    if "$ref" in node:
        yield from _leaves(definitions[_name(node["$ref"])], path, definitions)
    elif "$ref" in node.get("items", {}) or "anyOf" in node.get("items", {}):
        sections = list(_sections(node["items"]))
        if not sections:
            yield path, _kind(node), _meaning(node)
        for section in sections:
            yield from _leaves(section, f"{path}[]", definitions)
    elif "properties" in node:
        for key, value in node["properties"].items():
            yield from _leaves(value, f"{path}.{key}" if path else key, definitions)
    else:
        yield path, _kind(node), _meaning(node)
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
    if "minimum" in node and "maximum" in node:
        return f"{text} {node['minimum']:g}-{node['maximum']:g}"
    if "minimum" in node:
        return f"{text} >= {node['minimum']:g}"
    if "exclusiveMinimum" in node:
        return f"{text} > {node['exclusiveMinimum']:g}"
    return text


if __name__ == "__main__":
    (FOLDER / "schema.json").write_text(schema_text())
    (FOLDER / "README.md").write_text(readme_text())
