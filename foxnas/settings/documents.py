"""YAML documents whose aliases, written out, are of a size that a person writes."""

from __future__ import annotations

from itertools import count

import yaml

from foxnas.errors import FoxnasError

#: Keys and values of a file, with what each alias stands for in its place. A long configuration has some hundred; ten
#: lines of which each names the one before ten times have ten thousand million.
MOST_VALUES = 100_000


def compose(loader: yaml.SafeLoader, file: str) -> yaml.Node | None:
    """Return the one document that a loader is given, None where it is empty.

    Raises FoxnasError naming file and line when it has more than `MOST_VALUES` values, YAMLError when it is no YAML.
    """
    document, visits = loader.get_single_node(), count(1)

    def visit(node: yaml.Node, line: int, above: frozenset[int]) -> None:
        if next(visits) > MOST_VALUES:
            raise FoxnasError(
                f"{file}, line {line}: comes to more than {MOST_VALUES:,} values here, with every alias written out; "
                "write what you mean without aliases of aliases"
            )
        if isinstance(node, yaml.CollectionNode) and id(node) not in above:  # else an alias of what it is in
            for value in node.value:
                for below in value if isinstance(node, yaml.MappingNode) else [value]:
                    visit(below, line, above | {id(node)})

    if document is not None:
        for parts in document.value if isinstance(document, yaml.MappingNode) else [(document,)]:
            for part in parts:
                visit(part, parts[0].start_mark.line + 1, frozenset())
    return document
