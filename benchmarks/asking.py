"""How long the page takes to answer a question: the exact optimum under new caps and allowed choices, in Chromium.

    python -m benchmarks.asking     after `make demo`, or with --config of another finished run; needs Debian's chromium

Each question draws a budget from the slider's range, some image sizes, and one to four caps around the costs of a
random subnet. The clock runs from the event of a changed field to the end of its handler, so that the drawing of the
answer counts. The rival is the library's own search under the same budget and caps, of all image sizes, in this run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.config.whole import read_config
from foxnas.predictor.model import Predictor
from foxnas.search.capped.solver import Options
from foxnas.search.goal import MOST_ACCURATE, Caps
from foxnas.search.landscape import Landscape
from foxnas.search.objectives import problem_of
from foxnas.space.costs import COSTS, costs_of
from foxnas.space.space import SearchSpace
from tests.support.browser import chromium, opened

#: Takes the fields of a question, and returns how long the page took, in ms.
ASK = """({budget, sizes, caps}) => {
  const form = document.querySelector(".asking form"), said = document.querySelector(".asking [data-part=said]");
  for (const size of form.querySelectorAll("[name=size]")) size.checked = sizes.includes(Number(size.value));
  form.querySelectorAll("[name=cap]").forEach((cap, i) => { cap.value = caps[i] ?? ""; });
  form.elements.budget.value = budget;
  const start = performance.now();
  form.elements.budget.dispatchEvent(new Event("input", {bubbles: true}));
  return performance.now() - start;
}"""


def question(space: SearchSpace, lowest: float, highest: float, rng: np.random.Generator) -> dict[str, Any]:
    """Return a budget in ms, places of image sizes, and a cap or none for each of `COSTS`."""
    costs = costs_of(space, space.draw(int(rng.choice(space.image_sizes)), rng))
    capped = rng.permutation(len(COSTS))[: rng.integers(1, len(COSTS) + 1)]
    places = np.flatnonzero(rng.random(len(space.image_sizes)) < 0.7)
    return {
        "budget": float(rng.uniform(lowest, highest)),
        "sizes": places.tolist() or [0],
        "caps": [
            int(getattr(costs, name) * rng.uniform(0.9, 1.5)) if place in capped else None
            for place, name in enumerate(COSTS)
        ],
    }


def library_ms(landscape: Landscape, asked: dict[str, Any]) -> float:
    """Return how long the library takes for a question, of all image sizes."""
    limits = zip(COSTS, asked["caps"], strict=True)
    caps = Caps(**{f"max_{name}": limit for name, limit in limits if limit is not None})
    started = time.perf_counter()
    problem = problem_of(landscape, asked["budget"], MOST_ACCURATE, caps)
    Options(problem).within(asked["budget"], -np.inf).best(1)
    return 1000 * (time.perf_counter() - started)


def figures(times_ms: Sequence[float]) -> str:
    """Return median, 90% and the most of times."""
    return ", ".join(f"{np.quantile(times_ms, share):.1f}" for share in (0.5, 0.9, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    config, rng = read_config(options.config), np.random.default_rng(options.seed)
    space, device = config.space, config.devices[0].name

    def fits(name: str) -> dict[int, Predictor]:
        folders = {size: options.results / space.name / str(size) / "predictors" for size in space.image_sizes}
        return {size: Predictor.load(folder / f"{name}.json") for size, folder in folders.items()}

    landscape = Landscape(space, fits("accuracy"), fits(f"latency-{device}"))
    with chromium() as browser, opened(browser, (options.results / "report.html").resolve()) as page:
        slider = page.locator(".asking [name=slider]").first
        lowest, highest = (float(str(slider.get_attribute(end))) for end in ("min", "max"))
        asked = [question(space, lowest, highest, rng) for _ in range(options.questions)]
        new = [float(page.evaluate(ASK, one)) for one in asked]
        moved = []
        for one in asked[: options.questions // 4]:
            page.evaluate(ASK, one)
            moved.append(float(page.evaluate(ASK, one | {"budget": float(rng.uniform(lowest, highest))})))
    rival = [library_ms(landscape, one) for one in asked[: options.questions // 4]]
    print("milliseconds: median, 90%, most")
    print(f"new caps and image sizes, {len(new)} questions: {figures(new)}; {sum(ms < 100 for ms in new)} under 100 ms")
    print(f"another budget under the same, {len(moved)}: {figures(moved)}")
    print(f"the library, the first {len(rival)} of all image sizes: {figures(rival)}")
    print(f"library over page, of the medians: {np.median(rival) / np.median(new):.1f}")


if __name__ == "__main__":
    main()
