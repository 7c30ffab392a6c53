"""The part of the page that answers, in a real browser: what it shows is what the library computes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import special

from foxnas.predictor.contrast import contrast
from foxnas.report.asking import Target
from foxnas.report.costs import LABELS
from foxnas.search.capped import frontier as capped_frontier
from foxnas.search.capped import solver
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import ClassCosts, CostCap
from foxnas.search.problem import Candidate, Cap, InfeasibleBudget, SearchProblem
from foxnas.search.selection import describe
from foxnas.search.strategies import exact
from foxnas.search.twists import single_moves
from foxnas.space.arch import Arch
from foxnas.space.costs import COSTS, costs_of
from foxnas.space.layers import UnitChoices
from foxnas.space.terms import FORMULAS
from tests.support.browser import opened
from tests.support.questions import SPACE, random_predictors, restricted, write_questions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Forms of accuracy and latency, and asymptotes of the sizes: together they have every term and both links.
LANDSCAPES = {
    "paper": ("accuracy", "latency", ()),
    "quadratic": ("accuracy-quadratic", "latency-quadratic", (None, 80.0, 85.0)),
    "layers": ("layers", "layers", (78.0, 80.0, 85.0)),
}
#: So many without caps, and as many under caps.
QUESTIONS = 200

#: Ask through the form, and read every figure that is shown.
_ASK = """questions => questions.map(({budget, sizes, units, caps}) => {
  const box = document.querySelector(".asking"), form = box.querySelector("form");
  for (const size of form.querySelectorAll("[name=size]")) size.checked = sizes.includes(Number(size.value));
  for (const unit of form.querySelectorAll("[name=unit]")) {
    unit.checked = units[unit.dataset.unit].includes(unit.dataset.choice);
  }
  form.querySelectorAll("[name=cap]").forEach((cap, i) => { cap.value = caps[i] ?? ""; });
  form.elements.budget.value = budget;
  form.elements.budget.dispatchEvent(new Event("input", {bubbles: true}));
  const figures = (part) => Object.fromEntries([...part.querySelectorAll("data")].map(
    (figure) => [figure.dataset.figure, Number(figure.value)]));
  return {
    said: box.querySelector("[data-part=said]").textContent, ...figures(box.querySelector("[data-part=said]")),
    ...figures(box.querySelector("[data-part=units]")), ...figures(box.querySelector("[data-part=costs]")),
    text: box.querySelector("[data-part=text]").value,
    moves: [...box.querySelectorAll("[data-part=moves] tr")].map((row) => [row.cells[0].textContent, figures(row)]),
  };
})"""


def landscape_of(name: str) -> Landscape:
    accuracy, latency, asymptotes = LANDSCAPES[name]
    seed = list(LANDSCAPES).index(name)
    return Landscape(
        SPACE,
        random_predictors(SPACE, accuracy, "percent", 10 + seed, asymptotes),
        random_predictors(SPACE, latency, "ms", 20 + seed),
    )


def drawn_question(
    landscape: Landscape, rng: np.random.Generator, capped: bool
) -> tuple[dict[str, Any], SearchProblem]:
    """Return a question for the page, and the same for the library.

    It has some sizes, a part of the choices, a budget, and about two caps where it is `capped`.
    """

    def some(choices: tuple[int, ...]) -> tuple[int, ...]:
        kept = rng.random(len(choices)) < 0.75
        kept[rng.integers(len(choices))] = True
        return tuple(choice for choice, keep in zip(choices, kept, strict=True) if keep)

    sizes = some(SPACE.image_sizes)
    units = [UnitChoices(some(own.depths), some(own.kernel_sizes), some(own.expansion_ratios)) for own in SPACE.choices]
    asked = restricted(landscape, sizes, units)
    ends = [asked.predict(point)[1] for point in (*asked.fastest_by_size, *asked.most_accurate_by_size)]
    # Some are below the fastest.
    budget = float(rng.uniform(min(ends) - 0.1 * (max(ends) - min(ends)), max(ends)))
    choices = [
        [f"{letter}{n}" for letter, some in zip("DKE", astuple(unit), strict=True) for n in some] for unit in units
    ]
    places = [SPACE.image_sizes.index(size) for size in sizes]
    low, high = (astuple(costs_of(SPACE, arch)) for arch in (SPACE.smallest(sizes[0]), SPACE.largest(sizes[-1])))
    asks = capped & (rng.random(len(COSTS)) < 0.6)
    limits = [int(low[i] * (high[i] / low[i]) ** rng.uniform(0.1, 0.9)) if asks[i] else None for i in range(len(COSTS))]
    question = {"budget": budget, "sizes": places, "units": choices, "caps": limits}
    return question, SearchProblem(asked, budget, caps=caps_on(asked, limits))


def caps_on(landscape: Landscape, limits: Sequence[int | None]) -> tuple[Cap, ...]:
    costs = ClassCosts(landscape)
    return tuple(
        Cap(name, "", limit, CostCap(costs, i))
        for i, (name, limit) in enumerate(zip(COSTS, limits, strict=True))
        if limit is not None
    )


def answer_of(problem: SearchProblem) -> Candidate | None:
    """Return what the library finds: its exact frontier's best, or under caps that of the knapsacks."""
    if problem.caps:
        points = solver.best(problem).points
        return describe(problem.landscape, [points[0]])[0] if points else None
    try:
        return exact.frontier(problem.landscape).best_under(problem.budget_ms)
    except InfeasibleBudget:
        return None


def test_these_landscapes_have_every_term() -> None:
    used = {
        kind for accuracy, latency, _ in LANDSCAPES.values() for form in (accuracy, latency) for kind in FORMULAS[form]
    }
    assert used == set(itertools.chain.from_iterable(FORMULAS.values()))


@pytest.mark.parametrize("name", LANDSCAPES)
def test_answers_are_those_of_the_exact_search(name: str, browser: Browser, tmp_path: Path) -> None:
    """Values, intervals, architecture; of the first ones also contributions and moves, with their statistics."""
    landscape, rng = landscape_of(name), np.random.default_rng(5)
    drawn = [drawn_question(landscape, rng, i % 2 == 1) for i in range(2 * -(-QUESTIONS // len(LANDSCAPES)))]
    write_questions(tmp_path / "page.html", landscape)
    with opened(browser, tmp_path / "page.html") as page:
        answers = page.evaluate(_ASK, [question for question, _ in drawn])
    feasible = bound = 0
    for answer, (question, problem) in zip(answers, drawn, strict=True):
        best = answer_of(problem)
        if best is None:
            assert answer["said"].startswith("No allowed architecture ")
            continue
        feasible += 1
        figures = {
            "best-0": best.accuracy, "best-0-lower": best.accuracy_lower, "best-0-upper": best.accuracy_upper,
            "best-1": best.latency_ms, "best-1-lower": best.latency_lower_ms, "best-1-upper": best.latency_upper_ms,
        }  # fmt: skip
        assert {key: answer[key] for key in figures} == pytest.approx(figures, abs=1e-9, rel=0)
        found = Arch.parse(answer["text"])
        costs = astuple(costs_of(SPACE, found))
        assert [answer[f"cost-{i}"] for i in range(len(COSTS))] == list(costs)
        if problem.caps:
            # Of architectures that the predictors do not tell apart, either may have found another.
            bound += best.accuracy < exact.frontier(problem.landscape).best_under(problem.budget_ms).accuracy
            point = problem.landscape.point_of(found)
            assert problem.landscape.predict(point) == pytest.approx((best.accuracy, best.latency_ms), abs=1e-9)
            assert all(limit is None or cost <= limit for cost, limit in zip(costs, question["caps"], strict=True))
            continue
        assert found == best.arch
        if feasible <= 4:
            check_contributions(landscape, best.arch, answer)
            check_moves(landscape, best.arch, answer["moves"])
    assert len(drawn) > feasible > 0.7 * len(drawn)
    assert bound > 20


def check_contributions(landscape: Landscape, arch: Arch, figures: dict[str, float]) -> None:
    """Against the contrast with the unit at its smallest."""
    for place, own in enumerate(SPACE.choices):
        smaller = arch.with_unit(place, ((own.kernel_sizes[0], own.expansion_ratios[0]),) * own.depths[0])
        for i, predictors in enumerate((landscape.accuracy, landscape.latency)):
            fit = predictors[arch.image_size]
            effect = contrast(fit, smaller, fit, arch)
            for end in ("value", "lower", "upper"):
                assert figures[f"unit-{place}-{i}-{end}"] == pytest.approx(getattr(effect, end), abs=1e-9)


def check_moves(landscape: Landscape, arch: Arch, shown: list[tuple[str, dict[str, float]]]) -> None:
    """Against the moves of the twists, in their order."""
    expected = single_moves(SPACE, arch, landscape.accuracy, landscape.latency)
    assert [text for text, _ in shown] == [move.text for move in expected]
    for (_, figures), move in zip(shown, expected, strict=True):
        for i, (effect, holm) in enumerate(
            ((move.accuracy, move.accuracy_p_holm), (move.latency, move.latency_p_holm))
        ):
            said = {f"move-{i}-{end}": getattr(effect, end) for end in ("value", "lower", "upper", "p")}
            assert {key: figures[key] for key in said} == pytest.approx(said, abs=1e-9, rel=0)
            assert figures[f"move-{i}-holm"] == pytest.approx(holm, abs=1e-9)


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The part with a third target, as a run that searched for another accuracy than top-1 has it."""
    path, landscape = tmp_path_factory.mktemp("asking") / "page.html", landscape_of("layers")
    third = Target("third", random_predictors(SPACE, "accuracy", "percent", 31))
    write_questions(path, landscape, [third])
    with opened(browser, path, viewport={"width": 1300, "height": 1000}) as page:
        yield page


def test_students_t_is_that_of_scipy(page: Page) -> None:
    freedoms = [1.0, 2.5, 7.0, 31.4, 259.0, 1e4]
    ts = [0.0, 1e-6, 0.3, 1.0, 2.0, 5.0, 30.0]
    found = page.evaluate("freedoms => freedoms.map(t95)", freedoms)
    np.testing.assert_allclose(found, special.stdtrit(freedoms, 0.975), rtol=1e-11)
    pairs = list(itertools.product(ts, freedoms))
    found = page.evaluate("pairs => pairs.map(([t, freedom]) => twoSidedP(t, freedom))", pairs)
    expected = [2 * special.stdtr(freedom, -t) for t, freedom in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


@pytest.fixture
def fresh(page: Page) -> Page:
    page.reload()
    return page


def part(page: Page, name: str) -> Any:
    return page.locator(f"[data-part={name}]")


def said(page: Page) -> str:
    return str(part(page, "said").inner_text())


def figure(page: Page, name: str) -> float:
    return float(page.locator(f'[data-part=said] [data-figure="{name}"]').get_attribute("value") or "nan")


def test_the_budget_is_moved_by_slider_field_and_buttons(fresh: Page) -> None:
    slider, field = fresh.get_by_label("over the whole range"), fresh.get_by_label("exactly, ms")
    assert float(field.input_value()) == 104.0
    ends = exact.frontier(landscape_of("layers")).latency_ms[[0, -1]]
    step = float(slider.get_attribute("step") or "nan")
    assert float(slider.get_attribute("min") or "nan") == pytest.approx(ends[0], abs=1.01 * step)
    assert float(slider.get_attribute("max") or "nan") == pytest.approx(ends[1], abs=1.01 * step)
    slider.focus()
    fresh.keyboard.press("End")
    assert field.input_value() == slider.input_value() == slider.get_attribute("max")
    highest = figure(fresh, "best-0")
    fresh.keyboard.press("ArrowLeft")
    assert float(field.input_value()) == pytest.approx(float(slider.get_attribute("max") or "nan") - step)
    fresh.keyboard.press("Home")
    assert figure(fresh, "best-0") < highest
    assert figure(fresh, "best-1") == pytest.approx(ends[0], abs=2 * step)
    field.fill("1")
    assert said(fresh).startswith("No allowed architecture")
    assert part(fresh, "answer").is_hidden()
    field.fill("")
    assert "Write a number of milliseconds" in said(fresh)
    fresh.get_by_role("button", name="p50: 108.5 ms").click()
    assert float(field.input_value()) == 108.5
    assert said(fresh).startswith("Within 108.5 ms the best")
    assert part(fresh, "answer").is_visible()


def test_choices_are_ticked_one_by_one_and_for_every_unit(fresh: Page) -> None:
    fresh.get_by_label("exactly, ms").fill("1000")

    def units() -> list[list[str]]:
        return [unit.split(".") for unit in part(fresh, "text").input_value().split("_")[1:]]

    every = fresh.get_by_label("kernel size 7 in every unit")
    every.uncheck()
    assert not any("k7" in layer for unit in units() for layer in unit)
    for unit in (1, 2, 3):
        assert not fresh.get_by_label(f"kernel size 7 in unit {unit}").is_checked()
    fresh.get_by_label("kernel size 7 in unit 2").check()
    assert every.evaluate("box => [box.checked, box.indeterminate]") == [False, True]
    for depth in (1, 3):
        fresh.get_by_label(f"depth {depth} in unit 1").uncheck()
    assert len(units()[0]) == 2
    fresh.get_by_label("depth 2 in unit 1").uncheck()
    assert said(fresh) == "Unit 1 has no depth left: tick at least one."
    fresh.get_by_role("button", name="Allow everything").click()
    assert fresh.locator("input[type=checkbox]:not(:checked)").count() == 0
    for size in ("160", "224"):
        fresh.get_by_label(size, exact=True).uncheck()
    assert part(fresh, "text").input_value().startswith("r192_")
    fresh.get_by_label("192", exact=True).uncheck()
    assert said(fresh) == "No image size is allowed: tick at least one."
    # Each of the others, by the keyboard: it answers, and answers as before when it is ticked again.
    fresh.get_by_role("button", name="Allow everything").click()
    before = said(fresh).split(", found in")[0]
    for box in fresh.locator("input[type=checkbox]").all():
        box.focus()
        fresh.keyboard.press("Space")
        assert not box.is_checked()
        fresh.keyboard.press("Space")
        assert box.is_checked()
    assert said(fresh).split(", found in")[0] == before


def test_caps_are_set_broken_and_taken_away(fresh: Page) -> None:
    fresh.get_by_label("exactly, ms").fill("1000")
    free, largest = Arch.parse(part(fresh, "text").input_value()), SPACE.largest(224)
    least = astuple(costs_of(SPACE, SPACE.smallest(160)))
    fields = fresh.locator("[name=cap]").all()
    assert len(fields) == len(COSTS)
    for i, (field, label) in enumerate(zip(fields, LABELS.values(), strict=True)):
        assert f"{least[i]:,} to {astuple(costs_of(SPACE, largest))[i]:,}" in field.locator("..").inner_text()
        cap = (least[i] + astuple(costs_of(SPACE, free))[i]) // 2
        field.fill(str(cap))
        assert said(fresh).startswith("Within 1000 ms and the caps the best allowed architecture")
        assert astuple(costs_of(SPACE, Arch.parse(part(fresh, "text").input_value())))[i] <= cap
        fresh.get_by_label("text form", exact=True).fill(largest.text)
        fresh.get_by_role("button", name="Show this one").click()
        assert part(fresh, "costs").inner_text().endswith(f". Above the cap on {label[0]}.")
        field.fill(str(least[i] - 1))
        needed = (
            f"No allowed architecture keeps the cap on {label[0]} of {least[i] - 1:,}{label[1]}: at least {least[i]:,}"
        )
        assert said(fresh) == f"{needed}{label[1]} is needed."
        fresh.get_by_role("button", name="No caps").click()
        assert field.input_value() == ""
        assert Arch.parse(part(fresh, "text").input_value()) == free
    fields[0].focus()
    fresh.keyboard.press("e")
    assert said(fresh) == "Write a number as the cap on parameters, or nothing for none."
    assert fields[0].get_attribute("aria-invalid") == "true"
    fields[0].fill(str(least[0]))
    fresh.get_by_label("exactly, ms").fill("1")
    assert said(fresh).startswith("No allowed architecture that keeps the caps is predicted to take at most 1.000 ms: ")


def test_the_frontier_under_caps_is_that_of_the_library(fresh: Page) -> None:
    landscape = landscape_of("layers")
    apart = replace(landscape, merged=False)
    limits = [int(np.mean([getattr(costs_of(SPACE, end(192)), name) for end in (SPACE.smallest, SPACE.largest)]))
              for name in COSTS[:2]]  # fmt: skip
    front, above = capped_frontier.frontier(SearchProblem(apart, caps=caps_on(apart, [*limits, None, None])))
    fresh.get_by_label("exactly, ms").fill("1000")
    for field, limit in zip(fresh.locator("[name=cap]").all(), limits, strict=False):
        field.fill(str(limit))
    traced = part(fresh, "traced").filter(has_text="is drawn through")
    traced.wait_for(timeout=60_000)
    assert f"is drawn through {len(front)} architectures" in traced.inner_text()
    assert f"rises by at most {above:.2f} points." in traced.inner_text()
    for latency_ms, accuracy in table_of_points(fresh):
        at = int(np.abs(front.latency_ms - latency_ms).argmin())
        assert [front.latency_ms[at], front.accuracy[at]] == pytest.approx([latency_ms, accuracy], abs=1e-9)


def table_of_points(page: Page) -> list[list[float]]:
    rows = part(page, "points").locator("tr")
    found: list[list[float]] = rows.evaluate_all(
        "rows => rows.map((row) => [...row.querySelectorAll('data')].map((one) => Number(one.value)))"
    )
    assert len(found) > 15
    return found


def test_every_knob_shows_its_changes_and_a_change_is_made(fresh: Page) -> None:
    landscape = landscape_of("layers")
    optimum = Arch.parse(part(fresh, "text").input_value())
    for knob in fresh.locator(".knob").all():
        knob.focus()
        fresh.keyboard.press("Enter")
        pressed = fresh.locator(".knob[aria-pressed=true]")
        assert pressed.count() == 1
        assert pressed.evaluate("knob => knob === document.activeElement")
        place = (pressed.get_attribute("data-knob") or "").split()
        rows = part(fresh, "moves").locator("th").all_inner_texts()
        if place == ["size"]:
            assert sorted(rows) == sorted(
                f"image size {optimum.image_size} -> {n}" for n in SPACE.image_sizes if n != optimum.image_size
            )
        elif place[1] == "D":
            assert rows
            assert all(row.startswith(f"depth of unit {int(place[0]) + 1} ") for row in rows)
        else:
            unit, layer = int(place[0]), int(place[1])
            value = optimum.units[unit][layer]["KE".index(place[2])]
            own = SPACE.choices[unit]
            others = {"K": own.kernel_sizes, "E": own.expansion_ratios}[place[2]]
            which = "a later layer" if layer else "the first layer"
            words = f"{place[2]} of {which} of unit {unit + 1} {value} -> "
            assert sorted(rows) == sorted(f"{words}{n}" for n in others if n != value)
        assert part(fresh, "moved").inner_text() == f"{len(rows)} changes of {pressed.get_attribute('aria-label')}."
    fresh.get_by_role("button", name="Show those of all knobs").click()
    first = part(fresh, "moves").locator("tr").first
    words = first.locator("th").inner_text()
    first.get_by_role("button").click()
    changed = Arch.parse(part(fresh, "text").input_value())
    assert part(fresh, "which").inner_text() == "Changed by hand"
    assert part(fresh, "which").evaluate("heading => heading === document.activeElement")
    (move,) = [
        move
        for move in single_moves(SPACE, optimum, landscape.accuracy, landscape.latency)
        if move.text == words and move.arch == changed
    ]
    shown = part(fresh, "against").locator("data").evaluate_all("all => all.map(one => Number(one.value))")
    expected = [getattr(effect, end) for effect in (move.accuracy, move.latency) for end in ("value", "lower", "upper")]
    assert shown[:6] == pytest.approx(expected, abs=1e-9)
    assert len(shown) == 9
    fresh.get_by_role("button", name="Back to the best").click()
    assert Arch.parse(part(fresh, "text").input_value()) == optimum
    assert part(fresh, "against").inner_text() == ""


def test_an_architecture_is_typed_and_copied(fresh: Page) -> None:
    fresh.context.grant_permissions(["clipboard-read", "clipboard-write"])
    field, show = fresh.get_by_label("text form", exact=True), fresh.get_by_role("button", name="Show this one")
    arch = SPACE.largest(224)
    field.fill(arch.text)
    field.press("Enter")
    assert part(fresh, "which").inner_text() == "Changed by hand"
    assert part(fresh, "units").locator(".arch").all_inner_texts() == arch.text.split("_")[1:]
    fresh.get_by_role("button", name="Copy command").click()
    part(fresh, "copied").filter(has_text="Copied.").wait_for()
    command = f"snakemake --cores all results/asked/deploy/board/arch-{arch.text}/validation.json"
    assert fresh.evaluate("navigator.clipboard.readText()") == command
    fresh.get_by_role("button", name="Copy text form").click()
    assert fresh.evaluate("navigator.clipboard.readText()") == arch.text
    for text, fault in (
        ("r224", "This is not an architecture: expected r<size>_k<K>e<E>.k<K>e<E>_..."),
        (arch.text.replace("r224", "r225"), "its image size 225 is not one of 160, 192, 224."),
        (arch.text.rsplit("_", 1)[0], "it has 2 units of 3."),
        (arch.text.replace("_k7e6.k7e6.k7e6", "_k7e6", 2), "depth 1 of unit 2 is not one of 2, 3."),
        (arch.text[:-1] + "4", "layer k7e4 of unit 3 is outside K 3, 5, 7, E 2, 3, 6."),
    ):
        field.fill(text)
        show.click()
        assert part(fresh, "fault").inner_text().endswith(fault)


def test_a_wrong_text_leaves_the_pressed_knob_as_it_is(fresh: Page) -> None:
    fresh.locator(".knob").nth(1).click()
    before = part(fresh, "moves").inner_text()
    fresh.get_by_label("text form", exact=True).fill("R224_K3E2")
    fresh.get_by_role("button", name="Show this one").click()
    assert "This is not an architecture" in part(fresh, "fault").inner_text()
    assert part(fresh, "moves").inner_text() == before
    fresh.locator(".knob[aria-pressed=true]").click()
    assert fresh.locator(".knob[aria-pressed=true]").count() == 0
    assert part(fresh, "moves").inner_text() != before


def test_the_frontiers_table_is_the_frontier_and_gives_a_budget(fresh: Page) -> None:
    front = exact.frontier(landscape_of("layers"))
    fresh.get_by_text("The frontier as a table").click()
    rows = table_of_points(fresh)
    texts = part(fresh, "points").locator(".arch").all_inner_texts()
    for (latency_ms, accuracy), text in zip(rows, texts, strict=True):
        at = int(np.abs(front.latency_ms - latency_ms).argmin())
        assert [front.latency_ms[at], front.accuracy[at]] == pytest.approx([latency_ms, accuracy], abs=1e-9)
        assert front.landscape.arch(front.point(at)).text == text
    part(fresh, "points").get_by_role("button").nth(5).click()
    assert figure(fresh, "best-1") == rows[5][0]
    assert fresh.get_by_label("exactly, ms").evaluate("field => field === document.activeElement")


def test_paper_shows_the_answer_without_its_controls(fresh: Page) -> None:
    fresh.emulate_media(media="print")
    assert fresh.locator("form").first.is_hidden()
    assert part(fresh, "drawing").is_visible()
    assert part(fresh, "moves").locator("tr").last.is_visible()
    assert not any(button.is_visible() for button in fresh.locator("[data-move]").all())
    fresh.emulate_media(media="screen")


def test_a_predictor_of_another_order_of_magnitude_has_a_slider_that_moves(browser: Browser, tmp_path: Path) -> None:
    """Microseconds: steps and ends are round numbers of their own scale."""
    landscape = landscape_of("paper")
    small = {
        size: replace(fit, intercept=fit.intercept * 1e-4, coefficients=tuple(1e-4 * c for c in fit.coefficients))
        for size, fit in landscape.latency.items()
    }
    write_questions(tmp_path / "page.html", Landscape(SPACE, landscape.accuracy, small))
    with opened(browser, tmp_path / "page.html") as page:
        slider = page.get_by_label("over the whole range")
        low, high = (float(slider.get_attribute(end) or "nan") for end in ("min", "max"))
        assert 200 < (high - low) / float(slider.get_attribute("step") or "nan") < 5001
        slider.focus()
        page.keyboard.press("Home")
        assert figure(page, "best-1") <= low
