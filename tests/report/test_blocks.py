"""The part of the page about a device that times blocks."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace as Plain
from typing import Any

import pytest
from jinja2 import DictLoader

from foxnas.report.blocks import block_rows
from foxnas.report.data import Fits
from foxnas.report.rendering import render

_PART = '{% from "parts.html.j2" import blocks %}{{ blocks(device) }}'


def fits(**found: Any) -> Fits:
    said = {
        "blocks": 120, "usable_blocks": 120, "sampled": 300, "timed": 20, "weight": 1.05, "error_percent": 3.2,
        "accepted_percent": 10.0, "within_percent": {"5": 100.0, "10": 100.0},
    }  # fmt: skip
    return Fits("latency/layers", {}, {}, 0, {}, None, {**said, **found})


def test_a_device_without_blocks_has_no_such_part() -> None:
    assert block_rows({16: Fits("latency/layers", {}, {}, 0, {})}) == []


@pytest.mark.parametrize("error_percent", [9.0, 12.0])
def test_the_part_says_what_to_write_where_blocks_do_not_add_up(error_percent: float, tmp_path: Path) -> None:
    of_sizes = {
        16: fits(),
        24: fits(error_percent=error_percent, usable_blocks=119, within_percent={"5": 65, "10": 90}),
    }
    quality = Plain(folds=10)
    section = Plain(rows=[Plain(predictor=Plain(quality=quality))])
    device = Plain(run=Plain(name="pi"), blocks=block_rows(of_sizes), sections=[section])
    render(tmp_path / "page.html", "part", {}, DictLoader({"part": _PART}), device=device)
    text = (tmp_path / "page.html").read_text()
    cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr>(<td.*?)</tr>", text)]
    assert cells == [
        ["16", "120", "120", "20", "300", "1.050", "100%", "100%", "3.2%"],
        ["24", "119", "120", "20", "300", "1.050", "65%", "90%", f"{error_percent}%"],
    ]
    assert ("latency: {plan: subnets}" in text) == (error_percent > 10)
    assert 'class="broken">119' in text
