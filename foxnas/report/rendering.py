"""A page from a template: one HTML file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

from foxnas.files.provenance import PAGE_MARK
from foxnas.files.tables import replacing
from foxnas.report.numbers import decimals, milliseconds, p_value, r2, signed, significant, span


def render(page: Path, template: str, made_by: Mapping[str, Any] | None, *loaders: BaseLoader, **values: Any) -> None:
    """Write a page from a template and what it shows; templates are looked for in `loaders`, then in this room."""
    values |= {"mark": PAGE_MARK, "made_by": json.dumps(made_by, sort_keys=True)}
    with replacing(page) as temporary:
        temporary.write_text(_environment(*loaders).get_template(template).render(**values), encoding="utf-8")


@cache
def _environment(*loaders: BaseLoader) -> Environment:
    """Kept, since compiling the templates takes as long as all else of a page."""
    environment = Environment(
        loader=ChoiceLoader([*loaders, PackageLoader("foxnas.report")]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "ms": milliseconds, "significant": significant, "p": p_value, "r2": r2, "signed": signed, "decimals": decimals,
        "thousands": "{:,}".format, "span": span,
    }  # fmt: skip
    return environment
