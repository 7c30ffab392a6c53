"""Charts: round ticks, safe words, and dots that cost what they show."""

from __future__ import annotations

import re

import numpy as np
import pytest

from foxnas.report.svg import Chart, Margins, Scale


def test_scale_ticks_are_round_and_within() -> None:
    for low, high, log in ((0.2, 5, True), (0.31, 0.34, True), (88.2, 91.7, False), (-3e-5, 4e-5, False)):
        scale = Scale(low, high, 10, 110, log)
        ticks = scale.ticks(6)
        assert 3 <= len(ticks) <= 9
        assert all(low <= tick <= high for tick in ticks)
        assert all(float(f"{tick:.3g}") == pytest.approx(tick) for tick in ticks)
        assert scale([low, high]).tolist() == pytest.approx([10, 110])


def test_text_in_a_chart_is_escaped() -> None:
    chart = Chart(100, 100, [0, 1], [0, 1], x_label="a < b", y_label="&", title='"quoted" <b>')
    chart.text(0.5, 0.5, "<script>")
    svg = chart.svg()
    assert "<script>" not in svg
    assert "<b>" not in svg
    assert "a &lt; b" in svg


def test_only_dots_that_can_be_seen_are_written() -> None:
    """A close-up of a large sample: the same picture, at the price of what is in it."""
    x, y = np.random.default_rng(0).uniform(-1, 2, (2, 1_000_000))
    chart = Chart(120, 120, [0, 1], [0, 1], x_label="", y_label="", title="", margins=Margins(10, 10, 10, 10))
    chart.dots(x, y, "many")
    drawn = np.array(re.findall(r"M([-\d.]+) ([-\d.]+)h0", chart.svg()), dtype=float)
    assert 7 <= drawn.min() < 10
    assert 110 < drawn.max() <= 113
    pixels = np.column_stack([chart.x(x), chart.y(y)])
    inside = pixels[((pixels >= 10) & (pixels <= 110)).all(axis=1)]
    assert len(drawn) < len(inside) / 2
    nearest = np.abs(drawn[None] - inside[:500, None]).max(axis=2).min(axis=1)
    assert nearest.max() < 0.56, "half a pixel, and the first decimal"


def test_steps_are_written_where_they_can_be_seen() -> None:
    """A close-up of a long frontier: what enters and leaves the area at its sides is as in the whole."""
    x, y = np.arange(1000.0), np.arange(1000.0)[::-1]
    chart = Chart(120, 120, [500, 510], [480, 500], x_label="", y_label="", title="", margins=Margins(10, 10, 10, 10))
    chart.steps(x, y, "many")
    start, path = re.findall(r'<path class="line many" d="M([-\d.]+ [-\d.]+)((?:H[-\d.]+V[-\d.]+)+)"', chart.svg())[0]
    drawn = np.array([start.split(), *re.findall(r"H([-\d.]+)V([-\d.]+)", path)], dtype=float)
    at = int(np.abs(chart.x(x) - drawn[0, 0]).argmin())
    np.testing.assert_allclose(drawn, np.column_stack([chart.x(x), chart.y(y)])[at : at + len(drawn)], atol=0.051)
    assert drawn[0, 0] < 10 < drawn[1, 0]
    assert drawn[-2, 0] < 110 < drawn[-1, 0]


def test_dots_stay_in_order_and_are_all_there_when_apart() -> None:
    chart = Chart(200, 100, [0, 9], [0, 9], x_label="", y_label="", title="")
    chart.dots(np.arange(10)[::-1], np.arange(10), "few")
    xs = [float(x) for x in re.findall(r"M([\d.]+) [\d.]+h0", chart.svg())]
    assert xs == sorted(xs, reverse=True)
    assert len(xs) == 10
