"""The report page: self-contained, complete, and every number on it is one of the run's files'."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from foxnas.edgetpu.columns import FIGURES
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, read_table, write_json
from foxnas.predictor.model import Predictor
from foxnas.report import provenance
from foxnas.report.data import read_run
from foxnas.report.effects import knob_effects
from foxnas.report.findings import findings
from foxnas.report.holdings import holdings
from foxnas.report.leads import leads
from foxnas.report.numbers import milliseconds, signed, significant
from foxnas.report.page import write_page
from foxnas.report.plane import draw_close_up, draw_plane, frontier_of, predicted_top1
from foxnas.report.traces import draw_trace
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from tests.support.browser import opened, violations
from tests.support.outline import Outline
from tests.support.report_run import DEVICE, ReportRun, add_rivals, add_sustained, add_target, make_run
from tests.support.scripts import script

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def finished(made_up_run: ReportRun, tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    return made_up_run.copy_to(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def html(finished: ReportRun) -> str:
    page = finished.results / "report.html"
    write_page(finished.files, page)
    return page.read_text(encoding="utf-8")


def test_page_loads_nothing_and_its_links_lead_somewhere(finished: ReportRun, html: str) -> None:
    outline = Outline(html)
    assert outline.opened == []
    assert outline.loads == []
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|import\(", html)
    for link in outline.links:
        assert (link[1:] in outline.ids) if link.startswith("#") else (finished.results / link).is_file(), link
    for budget in finished.budgets:
        assert f"{finished.space}/deploy/{DEVICE}/{budget}/model.tflite" in outline.links
    assert len(set(outline.ids)) == len(outline.ids)
    assert len(html) < 10_000_000
    assert """content="default-src 'none'; base-uri 'none'; form-action 'none';""" in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(scheme: str, browser: Browser, finished: ReportRun, html: str) -> None:
    """WCAG 2.1 A and AA, of the whole page with all that can be opened, and once more on a narrow screen."""
    page = finished.results / "report.html"
    with opened(browser, page, color_scheme=scheme, viewport={"width": 1300, "height": 1000}) as shown:
        open_everything(shown)
        shown.locator(".knob").nth(3).click()
        shown.locator("[data-move]").first.click()
        if scheme == "dark":
            shown.set_viewport_size({"width": 400, "height": 800})
        assert violations(shown) == []


def open_everything(page: Page) -> None:
    """Open all that can be; of tables behind charts one of each kind, of rows that are alike three in each table.

    One table keeps fifty, as many as make it scroll.
    """
    page.evaluate("document.querySelectorAll('details:not(.numbers)').forEach((one) => { one.open = true; })")
    for summary in ("Every point of this chart", "Fit of", "Which knob matters for", "Traces of"):
        table_below(page, summary)
    page.evaluate("""() => {
      const rows = (table) => [...table.querySelectorAll("tbody tr")];
      const [long] = [...document.querySelectorAll(".tall table")].sort((a, b) => rows(b).length - rows(a).length);
      for (const table of document.querySelectorAll("table")) {
        const found = {};
        for (const row of rows(table)) {
          const kind = [...row.querySelectorAll("*")].map((one) => `${one.tagName} ${one.className}`).join();
          found[kind] = (found[kind] ?? 0) + 1;
          if (found[kind] > (table === long ? 50 : 3)) row.remove();
        }
      }
    }""")
    scrolled = "[...document.querySelectorAll('.tall')].some((one) => one.scrollHeight > one.clientHeight)"
    assert page.evaluate(scrolled)


def test_every_chart_has_a_table_behind_it(finished: ReportRun, browser: Browser, html: str) -> None:
    """In whose cell it stands, or that can be opened below it."""
    tables = {
        "Accuracy against latency of": r"Every point of this chart as a table",
        "Candidates of budget": r"Candidates of p\d+: \d+ measured",
        "R\u00b2 of the fits of": r"All fits of",
        "Measured against predicted:": r"Fit of .* as a table",
        "Residuals against predicted:": r"Fit of .* as a table",
        "Normal Q-Q:": r"Fit of .* as a table",
        "Effect of each knob": r"Fit of .* as a table",
        "Search trace of budget": r"Traces of p\d+ as a table",
        "Predicted frontier of": r"The frontier as a table",
    }
    with opened(browser, finished.results / "report.html") as page:
        charts = page.evaluate("""() => {
          const tables = [...document.querySelectorAll("summary")];
          return [...document.querySelectorAll("svg[role=img]")].filter((svg) => !svg.closest("td, th")).map((svg) => [
            svg.getAttribute("aria-label"),
            tables.find((one) => svg.compareDocumentPosition(one) & 4)?.textContent,
            svg.nextElementSibling?.textContent,
          ]);
        }""")
        knobs = page.get_by_text("Which knob matters for").count()
    assert {label.split(" r")[0] for label, _, _ in charts} >= {"Architecture"}
    for label, table, after in charts:
        if label.startswith("Architecture "):
            assert after == label.removeprefix("Architecture "), "its text form says the same"
        else:
            (pattern,) = [pattern for start, pattern in tables.items() if label.startswith(start)]
            assert re.match(pattern, table), (label, table)
    assert knobs == sum(label.startswith("Effect of each knob") for label, _, _ in charts)


def table_below(page: Page, summary: str) -> pd.DataFrame:
    """Open a chart's table by the keyboard, and read it as text."""
    opener = page.locator("summary", has_text=summary).first
    opener.focus()
    page.keyboard.press("Enter")
    table = opener.locator("..").locator("table")
    table.wait_for()
    names = table.locator("thead th").all_inner_texts()
    rows = table.evaluate(
        "table => [...table.tBodies[0].rows].map((row) => [...row.cells].map((one) => one.textContent))"
    )
    return pd.DataFrame(rows, columns=names)


def figures(column: pd.Series) -> np.ndarray:
    return column.str.replace(",", "").str.replace("\u2212", "-").astype(float).to_numpy()


def test_tables_behind_charts_hold_the_numbers_of_the_files(finished: ReportRun, browser: Browser, html: str) -> None:
    folder = finished.results / finished.space
    with opened(browser, finished.results / "report.html") as page:
        fits = {name: table_below(page, f"Fit of {name} at 16 px") for name in ("top-1", "latency")}
        knobs = table_below(page, "Which knob matters for latency at 16 px")
        traces, plane = table_below(page, "Traces of p25"), table_below(page, "Every point of this chart")
    for (name, table), file in zip(fits.items(), ("accuracy", f"latency-{DEVICE}"), strict=True):
        predictor = Predictor.load(folder / "16" / "predictors" / f"{file}.json")
        rows = predictor.rows
        assert rows, name
        assert table["subnet"].tolist() == list(rows.id)
        expected = (rows.measured, rows.fitted, rows.held_out, rows.residual, rows.studentised)
        for column, values in zip(table.columns[1:6], expected, strict=True):
            np.testing.assert_allclose(figures(table[column]), values, rtol=1e-4, atol=1e-12)
        ranked = figures(table["normal quantile, sd"])[np.argsort(rows.studentised)]
        np.testing.assert_allclose(ranked, stats.norm.ppf((np.arange(len(ranked)) + 0.5) / len(ranked)), rtol=1e-4)
    effects = knob_effects(predictor)
    found = np.column_stack([figures(knobs[column]) for column in knobs.columns[1:]])
    np.testing.assert_allclose(found, [[one.value, one.lower, one.upper] for one in effects], rtol=1e-4)
    searched = read_table(folder / "search" / DEVICE / "p25" / "round-1" / "trace.csv")
    assert len(traces) == len(searched)
    assert sorted(figures(traces["predictor calls"])) == sorted(searched["calls"])
    (best,) = [column for column in traces if column.startswith("best so far")]
    np.testing.assert_allclose(np.sort(figures(traces[best])), np.sort(searched["best"]), rtol=1e-4)
    measured = {size: read_table(folder / str(size) / "accuracy.csv")["top1_percent"] for size in finished.sizes}
    for size in finished.sizes:
        shown = figures(plane["top-1, %"][plane["what"] == f"{size} px"])
        assert len(shown) > 50
        assert np.abs(measured[size].to_numpy() - shown[:, None]).min(axis=1).max() < 1e-3
    assert {"predicted frontier", "verified candidates", "deployed models"} <= set(plane["what"])


def test_a_table_behind_a_chart_is_printed_when_it_is_open(finished: ReportRun, browser: Browser, html: str) -> None:
    with opened(browser, finished.results / "report.html", viewport={"width": 1100, "height": 800}) as page:
        table_below(page, "Traces of p25")
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator(".numbers:visible").count() == 1
        last = page.locator(".numbers[open] tbody tr").last
        assert last.evaluate(
            "row => row.getBoundingClientRect().bottom <= row.closest('.scroll').getBoundingClientRect().bottom + 1"
        )


def test_without_javascript_a_chart_names_its_files(finished: ReportRun, browser: Browser, html: str) -> None:
    with opened(browser, finished.results / "report.html", java_script_enabled=False) as page:
        opener = page.locator("summary", has_text="Fit of top-1 at 16 px")
        opener.click()
        said = opener.locator("..").locator("p").inner_text()
    assert said.startswith(f"Made from {finished.space}/16/predictors/accuracy-fits.json.")
    assert said.endswith("The table needs JavaScript.")


def test_page_holds_every_figure(finished: ReportRun, html: str) -> None:
    charts = Outline(html).charts
    for budget in finished.budgets:
        assert f"Candidates of budget {budget}: predicted and measured" in charts
        searched = finished.results / finished.space / "search" / DEVICE / budget / "round-1" / "certificate.json"
        for one in read_json(searched)["certificates"]:
            assert f"Search trace of budget {budget}, reserve {one['reserve_percent']:g}%" in charts
        winner = read_json(finished.results / finished.space / "search" / DEVICE / budget / "winner.json")
        assert f"Architecture {winner['winner']['arch']}" in charts
    for size in finished.sizes:
        for target in ("top-1", "latency"):
            for title in ("Measured against predicted", "Residuals against predicted", "Normal Q-Q"):
                assert f"{title}: {target} at {size} px" in charts
    assert charts.count("Effect of each knob with its 95% interval") == 2 * len(finished.sizes)
    assert sum(chart.startswith("Accuracy against latency of 180 subnets") for chart in charts) == 1


def test_numbers_on_the_page_are_the_files(finished: ReportRun, html: str) -> None:
    words = set(" ".join(Outline(html).words).replace("(", " ").replace(")", " ").replace("%", "").split())
    folder = finished.results / finished.space
    for budget in finished.budgets:
        verdict = read_json(folder / "deploy" / DEVICE / budget / "validation.json")
        for key in ("budget_ms", "latency_median_ms", "latency_upper_ms"):
            assert f"{verdict[key]:#.4g}" in words
        for key in ("float_top1_percent", "int8_top1_percent", "drop_percent"):
            assert f"{verdict[key]:.2f}" in words
        assert f"{verdict['predicted']['accuracy']:.2f}" in words
        assert f"{verdict['verified']['int8_top1_percent']:.2f}" in words
        assert f"{verdict['slack_percent']:.1f}" in words
        assert f"{verdict['mean_class_percent']:.2f}" in words
        assert f"{verdict['worst_class']['recall_percent']:.2f} {verdict['worst_class']['label']}" in html
        assert verdict["arch"] in words
        for row in read_table(folder / "search" / DEVICE / budget / "candidates.csv").to_dict("records"):
            assert row["arch"] in words
        for one in read_json(folder / "search" / DEVICE / budget / "round-1" / "certificate.json")["certificates"]:
            assert {f"{one['calls']:,}", f"{one['found_accuracy']:.3f}", f"{one['gap']:.4f}"} <= words
    for size in finished.sizes:
        for name in ("accuracy", f"latency-{DEVICE}"):
            for fit in read_json(folder / str(size) / "predictors" / f"{name}-fits.json")["fits"].values():
                quality = fit["quality"]
                for key in ("r2", "adjusted_r2", "r2_cv", "r2_press", "tau", "tau_cv"):
                    assert f"{quality[key]:.3f}".replace("-", "\u2212") in words
            chosen = Predictor.load(folder / str(size) / "predictors" / f"{name}.json")
            assert chosen.statistics
            for value, error in zip(chosen.coefficients, chosen.statistics.standard_error, strict=True):
                assert {significant(value, 4), significant(error)} <= words
    for row in read_json(folder / "baselines" / f"{DEVICE}.json")["budgets"]:
        for rival in ("best_measured", "random_search"):
            assert f"{row[rival]['lead']['points']:+.2f}".replace("-", "\u2212") in words


def test_what_was_timed_is_said_of_every_device(html: str) -> None:
    assert (
        "180 subnets were timed with 1 image at once, int8 (signed) inside and uint8 at the ends, on own kernels"
        in html
    )
    assert re.search(r"on own kernels, 2 operators outside a delegate; clock 1495\u20131500 MHz\.", html)


def test_a_page_that_is_shared_names_no_machine(finished: ReportRun) -> None:
    """Not the `user@host` that somebody types after `ssh`, nor the path of an interpreter there."""
    run = read_run(finished.files)
    for device in run.devices:
        for made_by in (one for shards in device.made_by.values() for one in shards):
            made_by["settings"] = {
                "device": {"host": "me@secret.example", "python": "/home/me/bin/python", "kind": "tflite"}
            }
    shown = "".join(artefact.settings for artefact in provenance.artefacts(run))
    assert '"kind": "tflite"' in shown
    assert "secret.example" not in shown
    assert "/home/me" not in shown


def test_flagged_rows_are_shown_with_their_reason(finished: ReportRun, html: str) -> None:
    words = " ".join(Outline(html).words)
    table = read_table(finished.results / finished.space / "16" / f"latency-{DEVICE}.csv")
    flagged = table[~table["usable"]]
    assert len(flagged) == 2
    for row in flagged.to_dict("records"):
        assert row["id"] in words
        assert row["reason"] in words


def test_a_broken_promise_is_said_with_everyone_that_was_tried(finished: ReportRun, tmp_path: Path) -> None:
    path = finished.results / finished.space / "deploy" / DEVICE / "p25" / "validation.json"
    kept = read_json(path)
    late = {"latency_kept": False, "latency_verdict": "not kept", "latency_upper_ms": 2 * kept["budget_ms"]}
    first = kept["tried"][0] | {"verdict": "not kept", "arch": "r16_passed-over"}
    open_ = kept["tried"][0] | {"verdict": "undecided", "reason": "the clock wandered"}
    pages = []
    for changes in (late | {"tried": [first, open_]}, {"tried": [first, *kept["tried"]]}):
        try:
            write_json(path, {**kept, **changes})
            write_page(finished.files, tmp_path / "page.html")
        finally:
            write_json(path, kept)
        pages.append((tmp_path / "page.html").read_text(encoding="utf-8"))
    broken, handed_over = pages
    assert broken.count("✗ broken") == 1
    assert "1 of 2 deployed int8 models keeps the latency budget" in broken
    assert "Not kept by any: p25; the closest is shown." in broken
    assert "No model keeps this budget: this is the closest" in broken
    assert "No model keeps this budget" not in handed_over
    for page in pages:
        assert "not confirmed, and others tried, at: p25 (2 tried)." in page
        trials = page[page.index("Tried for deployment") :]
        assert trials.index("r16_passed-over") < trials.index(kept["tried"][0]["arch"])
    assert "undecided: the clock wandered" in broken


def test_questions_start_under_the_caps_of_the_search(finished: ReportRun, html: str, tmp_path: Path) -> None:
    assert "Caps on what it costs besides" in html
    assert not re.search(r'name="cap"[^>]* value="[^"]', html)
    path = finished.files.searched(DEVICE, finished.budgets[0])["round-1"]["certificate"]
    found = read_json(path)
    settings = found["made_by"]["settings"]
    capped = {**settings, "caps": settings["caps"] | {"max_macs": 1_234_567}}
    try:
        write_json(path, found | {"made_by": found["made_by"] | {"settings": capped}})
        write_page(finished.files, tmp_path / "page.html")
    finally:
        write_json(path, found)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.findall(r'name="cap"[^>]* value="([^"]*)"', page) == ["", "1234567", "", ""]


def test_a_verdict_of_0_1_0_stands_on_the_page(finished: ReportRun, tmp_path: Path) -> None:
    """Beside others: an accepted run to which a budget was added."""
    path = finished.results / finished.space / "deploy" / DEVICE / "p25" / "validation.json"
    now = read_json(path)
    new = (
        "latency_verdict", "latency_lower_ms", "latency_reason", "accuracy_verdict", "drop_lower_percent",
        "drop_upper_percent", "accuracy_reason", "verified_candidates", "tried", "reference_medians_ms",
        "reference_baseline_ms", "sessions_redone", "lost_images", "won_images", "mean_class_percent", "worst_class",
        "classes_without_images",
    )  # fmt: skip
    old = {name: value for name, value in now.items() if name not in new}
    pages = []
    for kept in (True, False):
        try:
            write_json(path, old | {"latency_kept": kept})
            write_page(finished.files, tmp_path / "page.html")
        finally:
            write_json(path, now)
        pages.append((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [page.count("✗ broken") for page in pages] == [0, 1]
    assert "Not kept by any: p25; the closest is shown." in pages[1]
    assert not any("others tried" in page for page in pages), "it was the only one tried"


def test_what_older_shards_do_not_tell_is_no_other_machine(finished: ReportRun) -> None:
    """A run of 0.1.0 that grew: its shards say nothing of kernel and governor."""
    (device,) = read_run(finished.files).devices
    full = device.made_by[16][0]["identity"] | {"kernel": "6.1", "governor": "performance"}
    old = {name: value for name, value in full.items() if name not in ("kernel", "governor")}

    def shown(*identities: dict[str, str]) -> list[object]:
        made_by = {16: [{"identity": one} for one in identities]}
        return list(provenance.identities(replace(device, made_by=made_by)))

    assert shown(old, full, old) == [full], "the one that tells the most"
    assert shown(old, old) == [old]
    assert shown(full, full | {"kernel": "6.8"}, old) == [full, full | {"kernel": "6.8"}]
    assert shown(old, full | {"cpu": "another"}, {}) == [full | {"cpu": "another"}, old]


def noting(read: set[str], reader: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of a path that says what it reads."""
    return lambda path, *how, **named: read.add(str(path)) or reader(path, *how, **named)


def test_a_further_target_is_shown_from_the_files_of_its_rule(
    made_up_run: ReportRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made_up_run.copy_to(tmp_path)
    files = replace(run.files, **add_target(run), **add_sustained(run))
    read: set[str] = set()
    for name in ("read_text", "read_bytes"):
        monkeypatch.setattr(Path, name, noting(read, getattr(Path, name)))
    page = tmp_path / "report.html"
    write_page(files, page)
    monkeypatch.undo()
    asked = {path for paths in files.inputs().values() for path in paths}
    assert read <= asked
    # Of a space's candidates one table is enough to tell which space it is.
    assert {Path(path).name for path in asked - read} == {"candidates.csv"}
    assert len(asked - read) == len(run.budgets) * len(files.rounds) - 1
    assert f"All fits of p90 on {DEVICE}" in page.read_text()
    words = " ".join(" ".join(Outline(page.read_text()).words).split())
    assert words.count("one inference: first 0.7125 ms, p50 0.3000, p90 0.3475, p99 0.4125 ms of 31,415") == 2
    assert words.count("after 300 s without a pause +20.0%, throttled: throttled") == 2
    fits = read_json(run.results / run.space / "16" / "predictors" / f"p90-{DEVICE}-fits.json")
    assert fits["chosen"] == "p90/layers-shrunk"
    assert fits["fits"]["p90/paper"]["unit"] == "ms"


@pytest.mark.parametrize(
    "name",
    [
        "16/accuracy.csv", f"24/latency-{DEVICE}.csv", "16/predictors/accuracy-fits.json",
        f"24/predictors/latency-{DEVICE}-fits.json", f"search/{DEVICE}/p50/budget.json",
        f"search/{DEVICE}/p25/candidates.csv", f"search/{DEVICE}/p50/round-1/trace.csv",
        f"search/{DEVICE}/p25/round-1/frontier.csv", f"search/{DEVICE}/p25/round-1/certificate.json",
        f"search/{DEVICE}/p25/twist/moves.json", f"search/{DEVICE}/p50/winner.json",
        f"deploy/{DEVICE}/p25/validation.json", f"baselines/{DEVICE}.json",
    ],
)  # fmt: skip
@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{}\n")], ids=["missing", "empty"])
def test_a_missing_or_damaged_file_is_named(
    finished: ReportRun, tmp_path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    path = finished.results / finished.space / name
    content = path.read_bytes()
    try:
        spoil(path)
        with pytest.raises(FoxnasError, match=re.escape(str(path))):
            write_page(finished.files, tmp_path / "page.html")
    finally:
        path.write_bytes(content)
    assert not list(tmp_path.iterdir())


def test_search_for_another_target_keeps_top1_on_the_plane(tmp_path: Path) -> None:
    """The frontier of the probability is drawn at the top-1 that is predicted for its architectures."""
    finished = make_run(tmp_path, budgets=("p50",), target="probability", form="quadratic-k", subnets=82)
    write_page(finished.files, tmp_path / "report.html")
    run = read_run(finished.files)
    budget = run.devices[0].budgets[0]
    assert run.searched_for == "probability"
    _, top1 = frontier_of(run, budget)
    archs = [Arch.parse(text) for text in budget.frontier["arch"]]
    keys = {size: fits.chosen.replace("probability", "top1") for size, fits in run.accuracy.items()}
    by_hand = [run.accuracy[a.image_size].predictors[keys[a.image_size]].predict([a]).mean[0] for a in archs]
    np.testing.assert_allclose(top1, by_hand, rtol=1e-12)
    measured = budget.verified["float_top1_percent"]
    assert abs(predicted_top1(run, budget).mean() - measured.mean()) < 5 < abs(top1 - budget.frontier["accuracy"]).min()
    words = Outline((tmp_path / "report.html").read_text(encoding="utf-8")).words
    assert {f"{value:.2f}" for value in predicted_top1(run, budget)} <= set(words), "what the close-up draws"


def test_models_that_are_chosen_by_probability_are_shown_in_that_order(tmp_path: Path) -> None:
    finished = make_run(tmp_path, budgets=("p50",), target="probability", form="quadratic-k", subnets=82)
    write_page(finished.files, tmp_path / "report.html")
    budget = read_run(finished.files).devices[0].budgets[0]
    search = finished.results / finished.space / "search" / DEVICE / "p50"
    ranked = read_json(search / "ranking.json")["ranked"]
    chances = [row["int8_probability_percent"] for row in ranked]
    assert len(chances) >= 3
    assert chances == sorted(chances, reverse=True)
    assert [row["int8_top1_percent"] for row in ranked] != sorted(
        (row["int8_top1_percent"] for row in ranked), reverse=True
    )
    before = [row for row in ranked if row["batch"] != "twist"]
    assert read_json(search / "twist" / "moves.json")["base"]["id"] == before[0]["id"]
    said = " ".join(Outline((tmp_path / "report.html").read_text(encoding="utf-8")).words)
    assert "rows are in the order of what chose, the mean probability of the right class." in said
    shown = [said.index(f"{row['int8_top1_percent']:.2f} {row['int8_probability_percent']:.2f}") for row in ranked]
    assert shown == sorted(shown)
    (tried, *_) = read_json(search / "twist" / "moves.json")["tried"]
    gained = (
        budget.verified.set_index("id").loc[tried, "int8_probability_percent"] - before[0]["int8_probability_percent"]
    )
    assert f"{signed(gained)} points (mean probability of the right class, int8, verify split)" in said


def test_page_shows_both_links_and_which_one_the_search_used(finished: ReportRun, html: str) -> None:
    words = " ".join(Outline(html).words)
    folder = finished.results / finished.space
    for size in finished.sizes:
        fits = read_json(folder / str(size) / "predictors" / "accuracy-fits.json")
        errors = {name: fits["fits"][key]["quality"]["rmse_cv"] for name, key in (
            ("identity", "top1/paper"), ("log-complement", "top1/paper/log-complement"))}  # fmt: skip
        used = min(errors, key=lambda name: errors[name])
        assert fits["link"] == {"asked": "auto", "used": used, "rmse_cv": errors}
        assert fits["chosen"] == ("top1/paper" if used == "identity" else "top1/paper/log-complement")
        chosen = read_json(folder / str(size) / "predictors" / "accuracy.json")
        assert chosen["link"]["name"] == used
        assert chosen["made_by"]["link"] == fits["link"]
        asymptote = fits["fits"]["top1/paper/log-complement"]["link"]["asymptote"]
        change = f"{100 * (errors['log-complement'] / errors['identity'] - 1):.1f}%".replace("-", "\u2212")
        row = [str(size), used, significant(asymptote, 4), *(significant(error) for error in errors.values()), change]
        assert " ".join(row) in words


def test_page_says_how_sizes_are_fitted_together_and_shows_each_apart(finished: ReportRun, tmp_path: Path) -> None:
    """The files of sizes fitted together, in the place of the others."""
    shutil.copytree(finished.results, tmp_path / "results")
    folder = tmp_path / "results" / finished.space
    own = [folder / str(size) for size in finished.sizes]
    settings = read_json(own[0] / "predictors" / "accuracy.json")["made_by"]["settings"]
    fits = [place / "predictors" / "accuracy-fits.json" for place in own]
    before = [read_json(path)["fits"] for path in fits]
    script("fit_accuracy_together")(
        space=SearchSpace.from_record(settings["space"]), target="top1", form="quadratic-shrunk", link="auto", folds=10,
        seed=0, tables=[place / "accuracy.csv" for place in own],
        outcomes=[place / "shards" / "accuracy" / "0.npz" for place in own],
        predictors=[place / "predictors" / "accuracy.json" for place in own], fits=fits,
    )  # fmt: skip
    for path, was in zip(fits, before, strict=True):
        found = read_json(path)
        assert {key: found["fits"][key] for key in was} == was, "fits apart are what they are without"
        assert {f"{key}/together" for key in was} == set(found["fits"]) - set(was)
        used = found["link"]["used"]
        ending = "/together" if used == "identity" else f"/{used}/together"
        assert found["chosen"] == f"top1/quadratic-shrunk{ending}"
        assert found["ceilings"].keys() == {"top1", "probability"}
        chosen = Predictor.load(path.with_name("accuracy.json"))
        assert chosen == Predictor.from_json(found["fits"][found["chosen"]])
        assert chosen.pooling
        assert chosen.pooling.image_sizes == tuple(finished.sizes)
    write_page(replace(finished, results=tmp_path / "results").files, tmp_path / "page.html")
    words = " ".join(Outline((tmp_path / "page.html").read_text()).words)
    assert f"The accuracies of the {len(own)} image sizes, {chosen.pooling.rows} subnets, are fitted" in words
    assert ", fitted together with the other sizes" in words
    assert re.search(r"quadratic-shrunk\s+together\s+used", words)


def test_intervals_that_hold_are_counted_per_form_and_round(finished: ReportRun, html: str) -> None:
    """By hand: from the tables of predictions and of measurements."""
    run = read_run(finished.files)
    (device,) = run.devices
    found = {(row.target, row.form, row.link): row.rounds for row in holdings(run, device)}
    own = [found["top1", None, None], found["latency", None, None]]
    tables = []
    for budget in device.budgets:
        predicted = budget.candidates.rename(columns=lambda name: f"p_{name}" if name != "id" else name)
        tables.append(budget.verified.merge(predicted, on="id"))
    both = pd.concat(tables)
    for held, lower, upper, mean, value in (
        (own[0], "p_accuracy_lower", "p_accuracy_upper", "p_accuracy", "float_top1_percent"),
        (own[1], "p_latency_lower_ms", "p_latency_upper_ms", "p_latency_ms", "latency_ms"),
    ):
        inside = (both[lower] <= both[value]) & (both[value] <= both[upper])
        for batch, rows in both.groupby("batch"):
            assert held[batch].held == inside[both["batch"] == batch].sum()
            assert held[batch].of == len(rows)
            assert held[batch].mean_error == pytest.approx((rows[mean] - rows[value]).mean())
        assert held["all"].held == sum(held[batch].held for batch in both["batch"].unique())
        assert f"{held['all'].held} of {len(both)}" in " ".join(Outline(html).words)
    sizes = [Arch.parse(text).image_size for text in both["arch"]]
    for form in ("paper", "layers-shrunk"):
        inside = 0
        for size, text, value in zip(sizes, both["arch"], both["float_top1_percent"], strict=True):
            said = run.accuracy[size].predictors[f"top1/{form}/log-complement"].predict([Arch.parse(text)])
            inside += int(said.lower[0] <= value <= said.upper[0])
        assert found["top1", form, "log-complement"]["all"].held == inside
    assert ("latency", "layers", "identity") in found


def test_a_knobs_effect_is_the_change_of_the_mean_prediction(finished: ReportRun) -> None:
    """Against predictions of sampled subnets; the interval against the covariance of that difference."""
    run = read_run(finished.files)
    predictor = run.devices[0].latency[16].predictor
    effects = {(effect.knob, effect.unit): effect for effect in knob_effects(predictor)}
    assert len(effects) == 5 * 3
    rng = np.random.default_rng(0)
    sample = [run.space.draw(16, rng) for _ in range(3000)]

    def shifted(choice: int, knob: str) -> list[Arch]:
        archs = []
        for arch in sample:
            first, *rest = arch.units[1]
            if knob == "D":
                unit = (first, *[rest[0]] * (choice - 1))
            elif knob == "K_first":
                unit = ((choice, first[1]), *rest)
            else:
                unit = (first, *[(k, choice) for k, _ in rest])
            archs.append(arch.with_unit(1, unit))
        return archs

    assert predictor.uncertainty
    covariance = predictor.uncertainty.residual_standard_error**2 * np.array(predictor.uncertainty.unscaled_covariance)
    for knob, low, high in (("D", 2, 4), ("K_first", 3, 7), ("E_rest", 2, 6)):
        change = predictor.formula.matrix(shifted(high, knob)) - predictor.formula.matrix(shifted(low, knob))
        contrast = np.r_[0, change.mean(axis=0)]
        effect = effects[knob, 2]
        assert effect.value == pytest.approx(contrast[1:] @ np.array(predictor.coefficients), rel=0.02)
        half = predictor.uncertainty.t_95 * np.sqrt(contrast @ covariance @ contrast)
        assert (effect.upper - effect.lower) / 2 == pytest.approx(half, rel=0.02)


def test_leads_say_what_their_interval_allows() -> None:
    def comparison(points: float, half: float) -> dict[str, object]:
        lead = {"points": points, "lower": points - half, "upper": points + half}
        rivals = {
            "best_measured": {"top1_percent": 90.0, "lead": lead},
            "random_search": {"top1_percent": [90.0, 91.0], "lead": lead},
        }
        average = {"best_measured": lead, "random_search": lead}
        return {"budgets": [{"budget": "p25", "ours": {"top1_percent": 90.0 + points}, **rivals}], "average": average}

    for points, half, verdict in ((0.4, 0.1, "better"), (-0.4, 0.1, "worse"), (0.1, 0.4, "not distinguishable")):
        rows, _ = leads(comparison(points, half))
        assert [row.verdict for row in rows] == [verdict] * 4
        assert rows[1].rival_percent == 90.5


def test_findings_count_what_the_searches_missed(finished: ReportRun) -> None:
    run = read_run(finished.files)
    rows, _ = leads(run.devices[0].baselines)
    said = findings(run, run.devices[0], rows)
    gaps = [one["gap"] for budget in run.devices[0].budgets for one in budget.certificates]
    exact = sum(gap < 1e-9 for gap in gaps)
    runs = len(gaps)
    worded = {0: f"The {runs} searches", runs: f"All {runs} searches"}
    assert said[-1].startswith(worded.get(exact, f"{exact} of {runs}"))
    assert all(f"{budget.validation['int8_top1_percent']:.2f}%" in said[1] for budget in run.devices[0].budgets)


def test_findings_name_each_rival_once_that_is_ahead(finished: ReportRun) -> None:
    run = read_run(finished.files)
    rows, _ = leads(run.devices[0].baselines)
    behind = [replace(row, points=-1.0) if row.rival == "random_search" else replace(row, points=0.5) for row in rows]
    budgets = ", ".join(row.budget for row in rows if row.rival == "random_search" and row.budget != "average")
    (sentence,) = (one for one in findings(run, run.devices[0], behind) if "Averaged over the budgets" in one)
    assert re.search(rf"\. Behind random search with as many measurements \([\d,]+\) at {budgets}\.$", sentence)
    ahead = [replace(row, points=0.5) for row in rows]
    (sentence,) = (one for one in findings(run, run.devices[0], ahead) if "Averaged over the budgets" in one)
    assert sentence.endswith(" Behind neither of them at any budget.")


def test_findings_say_what_an_edge_tpu_cannot_hold(finished: ReportRun) -> None:
    run = read_run(finished.files)
    (device,) = run.devices
    rows, _ = leads(device.baselines)
    assert not any("Edge TPU" in sentence for sentence in findings(run, device, rows))
    said = pd.DataFrame(0, index=range(10), columns=list(FIGURES)).astype("Int64")
    said.loc[:1, "compiled_bytes"] = pd.NA
    said.loc[2:4, "streamed_bytes"] = 4096
    said.loc[5, "operators_cpu"] = 1
    sentence = findings(run, replace(device, compiled=said), rows)[0]
    assert "Of the 10 probes, 2 could not be compiled for the Edge TPU" in sentence
    assert "operators stay on the CPU in 1, and parameters" in sentence
    assert "streamed at every inference in 3." in sentence


def test_plane_places_every_subnet_by_its_own_values(finished: ReportRun) -> None:
    """Pixels, turned back by the axes' own tick marks, are the measurements; subnets on one spot share a dot."""
    run = read_run(finished.files)
    plane = draw_plane(run, run.devices[0])
    subnets = run.devices[0].subnets
    counts = {look: count for look, _, count in plane.kinds}
    assert counts["s0"] + counts["s1"] + counts["flagged"] == len(subnets)
    assert counts["deployed"] == 2
    ticks = re.findall(r'<text class="tick" x="([\d.]+)" y="[\d.]+" text-anchor="middle">([\d.]+)</text>', plane.svg)
    at, value = np.array(ticks, dtype=float).T
    slope, start = np.polyfit(at, np.log(value), 1)
    np.testing.assert_allclose(slope * at + start, np.log(value), atol=1e-3)
    drawn = re.search(r'<path class="dots subnet s1" d="([^"]+)"', plane.svg)
    assert drawn
    xs = [float(x) for x in re.findall(r"M([\d.]+) ", drawn[1])]
    measured = subnets[(subnets["image_size"] == 24) & subnets["usable"]]["latency_ms"]
    apart = np.abs(np.exp(slope * np.array(xs) + start) / measured.to_numpy()[:, None] - 1)
    assert apart.min(axis=1).max() < 5e-3, "a subnet is nowhere"
    assert apart.min(axis=0).max() < 5e-3, "a dot is of no subnet"
    assert len(xs) > 0.9 * len(measured)


def test_a_close_up_names_its_budget_within_the_chart(finished: ReportRun) -> None:
    run = read_run(finished.files)
    device = run.devices[0]
    for name in ("p25", "thirty frames a second beside the display"):
        svg = draw_close_up(run, device, replace(device.budgets[0], name=name, budget_ms=1.618898375))
        named = re.search(r'class="budget-name" x="([\d.]+)"[^>]*>([^<]+)<', svg)
        assert named
        assert named[2] == f"{name}: 1.619 ms"
        assert float(named[1]) + 3.6 * len(named[2]) <= 372


def test_trace_marks_the_optimum_above_everything_found(finished: ReportRun) -> None:
    budget = read_run(finished.files).devices[0].budgets[0]
    svg = draw_trace(budget, budget.certificates[0], "top-1, %")
    optimum = re.search(r'class="line optimum" d="M[\d.]+ ([\d.]+)H', svg)
    best = re.search(r'class="line best" d="M[\d.]+ ([^"]+)"', svg)
    assert optimum
    assert best
    heights = [float(height) for height in re.split(r"H[\d.]+V", best[1])]
    assert min(heights) >= float(optimum[1]) - 0.11
    assert heights == sorted(heights, reverse=True)


def test_numbers_keep_their_digits() -> None:
    assert milliseconds(0.5) == "0.5000"
    assert milliseconds(12.3456) == "12.35"
    assert significant(-0.0012345) == "\u22120.00123"
    assert significant(123456.0, 4) == "1.235e+05"


def test_networks_off_the_shelf_are_in_the_plane_and_in_a_table(finished: ReportRun, html: str) -> None:
    assert "off the shelf" not in html.lower().replace("off the shelf:", "")
    page = finished.results / "rivals.html"
    files = replace(finished.files, **add_rivals(finished))
    write_page(files, page)
    text = page.read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.opened == []
    assert f"rivals-{DEVICE}" in outline.ids
    words = " ".join(" ".join(outline.words).split())
    found = read_json(files.rivals(DEVICE))
    assert len(found["against"]) == 2 * len(finished.budgets)
    for row in found["against"]:
        for key in ("lead", "lead_at_latency"):
            if (estimate := row[key]) is not None:
                value, *ends = (f"{estimate[end]:+.2f}".replace("-", "\u2212") for end in ("value", "lower", "upper"))
                assert f"{value} {ends[0]} to {ends[1]}" in words
        for sentence in row["remarks"]:
            assert sentence in words
    assert any(row["remarks"] for row in found["against"])
    assert any(row["lead"] for row in found["against"])
    # The plane: a mark and a tooltip for each size, named by its network, the random one with a word of it.
    run = read_run(files)
    plane = draw_plane(run, run.devices[0])
    networks = [(name, count) for look, name, count in plane.kinds if look == "rival"]
    assert networks == [("lite", len(finished.sizes)), ("mobile (from random weights)", len(finished.sizes))]
    for row in found["models"]:
        if row["budget"] is None:
            assert f"{row['model']}" in plane.svg
            assert f"{row['latency_ms']:.5g}" in plane.points
    assert text.count('class="mark rival"') == 2 * len(finished.sizes)
    table = read_table(finished.results / finished.space / "rivals" / DEVICE / "rivals.csv")
    assert list(table["weights"]) == ["inherited"] * len(finished.budgets) + ["pretrained"] * 2 + ["random"] * 2
