"""Train a budget's winner on its own, and rank it first where that made it better."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from foxnas import cli
from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.preparation import Preparation
from foxnas.accuracy.verify_score import VerifyScore
from foxnas.app.classes import class_names
from foxnas.files.arrays import ArraysBySize, load_array
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, replacing, write_json, write_table
from foxnas.images.config import ViewConfig
from foxnas.images.symmetry import Symmetry
from foxnas.images.train_split import open_images
from foxnas.int8.config import ExportConfig
from foxnas.int8.export import export_int8
from foxnas.int8.ranges import value_ranges
from foxnas.int8.reading import with_metadata
from foxnas.int8.scored import Measure, Scored
from foxnas.int8.serving import score
from foxnas.int8.tasks import Classifier
from foxnas.int8.training import load_folded, save_folded, train_quantised
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet, save_supernet
from foxnas.supernet.finishing_config import FinishingConfig
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from foxnas.supernet.tensors import digest
from foxnas.supernet.training.best_epoch import BestEpoch
from foxnas.supernet.training.fine_tuning import BEST, described, fine_tune, kept
from foxnas.supernet.training.finished import data_seals
from foxnas.supernet.training.processes import join_processes
from foxnas.supernet.training.recipe import ClassWeights
from foxnas.verdict.finishing import (
    FINE_TUNED,
    INHERITED,
    QUANTISATION_AWARE,
    Attempt,
    better,
    of_attempts,
    ranked_first,
)
from foxnas.verdict.verification import EXPORTED_COLUMNS


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    accuracy: AccuracyConfig,
    export: ExportConfig,
    finishing: FinishingConfig,
    view: ViewConfig,
    smallest_crop: float,
    class_weights: ClassWeights,
    symmetry: Symmetry,
    xnnpack: bool,
    max_drop_percent: float,
    chosen_by: Measure,
    dataset: str,
    supernet: Path,
    ranking: Path,
    models: list[Path],
    train_images: Path,
    train_labels: Path,
    calibration: list[Path],
    verify_images: list[Path],
    verify_labels: Path,
    listing: Path | None = None,
    kept_in: Path,
    threads: int,
    gpus: int = 0,
    exported: Path,
    table: Path,
    weights: Path,
    finished: Path,
) -> None:
    """Write the ranking with the finished winner in front, its int8 file, its float weights, and a table with its row.

    Where the inherited weights are no worse, or no candidate was verified, the ranking stays as it is, and folder and
    table are empty. What int8 loses of the float weights decides whether the winner also learns to be rounded.
    `kept_in` has what was trained, by architecture: budgets with one winner train it once.
    """
    torch.set_num_threads(threads)
    exported.mkdir(parents=True, exist_ok=True)
    order, float_weights = read_json(ranking), load_supernet(space, supernet)
    rows: list[dict[str, Any]] = []
    if order["ranked"]:
        first = order["ranked"][0]
        arch, inherited = space.parse(first["arch"]), float_weights
        pixels, truth = ArraysBySize(verify_images).at(arch.image_size), load_array(verify_labels)
        calibrating = ArraysBySize(calibration)
        real = calibrating.at(arch.image_size)[: export.calibration_images]
        names = class_names(dataset, space.classes, listing)
        classifier = Classifier(space.name, arch.image_size, space.image_channels, names)
        folder = kept_in / arch.id
        every = [made_by["code"], arch.text, *data_seals(train_images, train_labels), view.model_dump(mode="json")]

        def prepared(weights: Supernet) -> Subnet:
            return Preparation(weights, calibrating, accuracy.recalibration_images, accuracy.batch_size).subnet(arch)

        def attempt(weights: str, float_top1_percent: float, model: bytes) -> Attempt:
            content = with_metadata(model, {**made_by, "arch": arch.text, "id": arch.id}, classifier)
            return Attempt(weights, float_top1_percent, answered(content), content)

        def answered(content: bytes) -> Scored:
            return score(content, pixels, truth, threads, xnnpack)

        content = read_model({path.parent.name: path for path in models}[first["batch"]] / f"{arch.id}.tflite")
        attempts = [Attempt(INHERITED, first["float_top1_percent"], answered(content), content)]
        labels, floor_percent = load_array(train_labels), order["goal"]["accuracy_floor"]

        if finishing.epochs:
            recipe = finishing.fine_tuning(arch, smallest_crop, class_weights, symmetry)

            verified = VerifyScore(
                [arch], accuracy, calibrating, ArraysBySize(verify_images), truth, names, by=chosen_by
            )

            def tune(state: Path, path: Path) -> None:
                images = open_images(train_images, labels, view, threads, smallest_crop)
                patience, best = finishing.patience, None
                if patience:
                    best = BestEpoch(state.with_suffix(BEST), verified.score, patience, verified.forecast_s)
                with join_processes(gpus) as processes:
                    tuned = fine_tune(inherited, arch, images, labels, recipe, state, processes, best=best)
                save_supernet(tuned, path, made_by, arch=arch.text)

            stop = finishing.patience and [finishing.patience, chosen_by]
            depends_on = [*every, described(recipe), stop, digest(inherited.state_dict())]
            tuned = load_supernet(space, kept(folder, "fine-tuned", depends_on, tune))
            subnet = prepared(tuned)
            top1_percent = evaluate(subnet, pixels, truth, accuracy.batch_size).top1_percent
            attempts.append(
                attempt(
                    FINE_TUNED,
                    top1_percent,
                    export_int8(subnet, real, exporter=export.with_, corrected=export.corrected),
                )
            )
            if better(attempts, chosen_by, floor_percent).weights == FINE_TUNED:
                float_weights = tuned

        best = better(attempts, chosen_by, floor_percent)
        if finishing.quantisation_aware_epochs and best.drop_percent > max_drop_percent:
            subnet = prepared(float_weights)
            aware = finishing.quantisation_aware(arch, smallest_crop, class_weights, symmetry)
            ranges = value_ranges(subnet, real)

            def learn_rounding(state: Path, path: Path) -> None:
                images = open_images(train_images, labels, view, threads, smallest_crop)
                with join_processes(gpus) as processes:
                    trained = train_quantised(subnet, ranges, images, labels, aware, state, processes)
                save_folded(trained, path)

            depends_on = [*every, described(aware), digest(subnet.state_dict()), ranges.tolist()]
            trained = load_folded(subnet, kept(folder, "quantisation-aware", depends_on, learn_rounding))
            model = export_int8(trained, real, corrected=False, ranges=ranges)
            attempts.append(attempt(QUANTISATION_AWARE, best.float_top1_percent, model))
            best = better(attempts, chosen_by, floor_percent)

        order["finishing"] = of_attempts(attempts, best, chosen_by, truth, names)
        if best.weights != INHERITED:
            with replacing(exported / f"{arch.id}.tflite") as temporary:
                temporary.write_bytes(best.content)
            found = {
                "float_top1_percent": best.float_top1_percent,
                **best.scored.percent,
                "model_bytes": len(best.content),
                "model_sha256": hashlib.sha256(best.content).hexdigest(),
            }
            rows = [{**first, **found}]
            order = ranked_first(order, {**first, **found, "batch": exported.parent.name})
    write_table(table, pd.DataFrame(rows, columns=[*EXPORTED_COLUMNS, "model_sha256"]), made_by)
    save_supernet(float_weights, weights, made_by)
    write_json(finished, {**order, "made_by": made_by})


if __name__ == "__main__":
    cli.run(main)
