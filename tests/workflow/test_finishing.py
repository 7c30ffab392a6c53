"""The winner's own training: the script on made-up images, its place among the rules, and a real run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import yaml

from foxnas.accuracy.config import AccuracyConfig
from foxnas.accuracy.evaluation import evaluate
from foxnas.accuracy.preparation import Preparation
from foxnas.errors import FoxnasError
from foxnas.files.arrays import ArraysBySize, load_array, seal_array
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, read_table, write_json
from foxnas.images.config import ViewConfig
from foxnas.int8.config import ExportConfig
from foxnas.int8.export import export_int8
from foxnas.int8.reading import with_metadata
from foxnas.int8.scored import Measure
from foxnas.int8.serving import Int8Model, score
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet, save_supernet
from foxnas.supernet.finishing_config import FinishingConfig
from foxnas.supernet.model import Supernet
from tests.supernet.test_training import Cut, cut_after
from tests.support.configs import written_out
from tests.support.dag import DryRuns, Job
from tests.support.exports import blobs
from tests.support.intact import check_all
from tests.support.invalidation import BASES, changed
from tests.support.scripts import script
from tests.support.tiny_run import snakemake

SIZE = 16
ACCURACY = AccuracyConfig(recalibration_images=64, batch_size=32)
VIEW = ViewConfig(folder=None, channels=1, centre_share=1.0, corrupt_images="fail")
TUNED = FinishingConfig(epochs=6, batch_size=16, learning_rate=0.01)


class Search:
    """The folder of a search that a supernet of random weights has ended: one candidate, ranked."""

    def __init__(self, folder: Path, space: SearchSpace) -> None:
        self.folder, self.space, self.arch = folder, space, space.smallest(SIZE)
        (folder / "16").mkdir()
        for split, count, seed in (("train", 128, 0), ("verify", 100, 1)):
            self._write(f"16/{split}-images", blobs(count, (SIZE, SIZE, 1), seed))
            self._write(f"16/{split}-labels", np.arange(count) % 4 // 2)
        self._write("16/calibration-images", blobs(64, (SIZE, SIZE, 1), 2))
        torch.manual_seed(0)
        save_supernet(Supernet(space), folder / "supernet.safetensors", {})
        supernet = load_supernet(space, folder / "supernet.safetensors")
        self.calibration = ArraysBySize([folder / "16/calibration-images.npy"])
        subnet = Preparation(supernet, self.calibration, 64, 32).subnet(self.arch)
        self.pixels, self.truth = (load_array(folder / f"16/verify-{what}.npy") for what in ("images", "labels"))
        content = with_metadata(export_int8(subnet, self.calibration.at(SIZE)), {})
        (folder / "round-1" / "exported").mkdir(parents=True)
        (folder / "round-1" / "exported" / f"{self.arch.id}.tflite").write_bytes(content)
        self.row: dict[str, Any] = {
            "id": self.arch.id, "arch": self.arch.text, "source": "annealing", "batch": "round-1", "latency_ms": 1.0,
            "float_top1_percent": evaluate(subnet, self.pixels, self.truth, 32).top1_percent,
            **score(content, self.pixels, self.truth, 1, True).percent,
            "model_bytes": len(content), "model_sha256": "",
        }  # fmt: skip
        self.rank([self.row])

    def _write(self, name: str, numbers: np.ndarray) -> None:
        np.save(self.folder / f"{name}.npy", numbers)
        seal_array(self.folder / f"{name}.npy")

    def rank(self, ranked: list[dict[str, Any]]) -> None:
        write_json(
            self.folder / "ranking.json",
            {"made_by": {}, "budget_ms": 2.0, "goal": {"accuracy_floor": None}, "ranked": ranked},
        )

    def finish(
        self,
        finishing: FinishingConfig = TUNED,
        max_drop_percent: float = 1.0,
        to: str = "finished",
        chosen_by: Measure = "top1",
        **export: Any,
    ) -> dict:
        """Run the script, and return the ranking that it writes."""
        here, out = self.folder, self.folder / to
        script("finish_winner")(
            space=self.space, accuracy=ACCURACY, finishing=finishing, view=VIEW, smallest_crop=0.08,
            class_weights="equal", symmetry="mirror", export=ExportConfig(calibration_images=64, **export),
            dataset="fashion-mnist", xnnpack=True, max_drop_percent=max_drop_percent, chosen_by=chosen_by, threads=1,
            supernet=here / "supernet.safetensors", ranking=here / "ranking.json", models=[here / "round-1/exported"],
            calibration=[here / "16/calibration-images.npy"], kept_in=here / "journals/finishing",
            **{f"{split}_{what}": here / f"16/{split}-{what}.npy" for split, what in (
                ("train", "images"), ("train", "labels"), ("verify", "labels"))},
            verify_images=[here / "16/verify-images.npy"],
            exported=out / "exported", table=out / "exported.csv", weights=out / "supernet.safetensors",
            finished=out / "ranking.json",
        )  # fmt: skip
        return read_json(out / "ranking.json")


@pytest.fixture
def search(tmp_path: Path, mini: SearchSpace) -> Search:
    return Search(tmp_path, mini)


def kept_files(search: Search) -> dict[str, int]:
    folder = search.folder / "journals/finishing" / search.arch.id
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_better_winner_is_ranked_first_with_its_file_and_its_weights(search: Search) -> None:
    order = search.finish()
    first, second = order["ranked"]
    assert second == search.row
    assert (first["batch"], first["id"], first["latency_ms"]) == ("finished", search.arch.id, 1.0)
    out = search.folder / "finished"
    content = read_model(out / "exported" / f"{search.arch.id}.tflite")
    assert (
        first["int8_top1_percent"] == score(content, search.pixels, search.truth, 1, True).percent["int8_top1_percent"]
    )
    assert first["int8_top1_percent"] > search.row["int8_top1_percent"] + 10
    assert list(read_table(out / "exported.csv")["id"]) == [search.arch.id]
    subnet = Preparation(
        load_supernet(search.space, out / "supernet.safetensors"), search.calibration, 64, 32
    ).subnet(search.arch)  # fmt: skip
    assert evaluate(subnet, search.pixels, search.truth, 32).top1_percent == first["float_top1_percent"]
    told = order["finishing"]
    assert told["chosen"] == "fine-tuned"
    assert told["attempts"][0]["int8_top1_percent"] == search.row["int8_top1_percent"]
    gained = first["int8_top1_percent"] - search.row["int8_top1_percent"]
    assert told["attempts"][1]["gained"]["points"] == pytest.approx(gained)
    check_all(search.folder)

    search.finish(to="rounded", biases="rounded")
    other = read_model(search.folder / "rounded" / "exported" / f"{search.arch.id}.tflite")
    plain = export_int8(subnet, search.calibration.at(SIZE), corrected=False)
    assert (Int8Model(other).logits(search.pixels) == Int8Model(plain).logits(search.pixels)).all()
    assert (Int8Model(other).logits(search.pixels) != Int8Model(content).logits(search.pixels)).any()


def test_another_budget_with_this_winner_trains_nothing(search: Search) -> None:
    search.finish()
    before, first = kept_files(search), search.folder / "finished"
    search.finish(to="other/finished")
    assert kept_files(search) == before
    for path in first.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (search.folder / "other/finished" / path.relative_to(first)).read_bytes()


def test_cut_in_the_middle_it_continues_to_the_same_file(search: Search) -> None:
    with mock.patch("foxnas.supernet.training.training.READ_AHEAD", 0), cut_after(3), pytest.raises(Cut):
        search.finish()
    assert [Path(name).suffix for name in kept_files(search)] == [".pt"]
    search.finish()
    assert [Path(name).suffix for name in kept_files(search)] == [".safetensors"]
    cut = (search.folder / "finished" / "exported" / f"{search.arch.id}.tflite").read_bytes()
    (kept,) = (search.folder / "journals/finishing" / search.arch.id).iterdir()
    kept.unlink()
    search.finish()
    assert cut == (search.folder / "finished" / "exported" / f"{search.arch.id}.tflite").read_bytes()


def test_with_patience_the_best_epoch_is_taken(search: Search, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        told = search.finish(TUNED.model_copy(update={"patience": 2}))["finishing"]
    scores = [float(text) for text in re.findall(r"epoch \d+: ([\d.]+)% on the verify split", caplog.text)]
    assert 3 <= len(scores) <= TUNED.epochs
    assert told["attempts"][1]["float_top1_percent"] == pytest.approx(max(scores), abs=0.005)
    assert [Path(name).suffix for name in kept_files(search)] == [".safetensors"]


def test_inherited_weights_that_are_no_worse_stay(search: Search) -> None:
    order = search.finish(TUNED.model_copy(update={"epochs": 1, "learning_rate": 1e-12, "distillation": 0.0}))
    assert order["ranked"] == [search.row]
    assert order["finishing"]["chosen"] == "inherited"
    assert read_table(search.folder / "finished" / "exported.csv").empty
    assert not list((search.folder / "finished" / "exported").iterdir())


def test_by_probability_the_row_says_what_chose_it(search: Search) -> None:
    order = search.finish(chosen_by="probability")
    first, second = order["ranked"]
    assert order["finishing"]["chosen_by"] == "probability"
    content = read_model(search.folder / "finished" / "exported" / f"{search.arch.id}.tflite")
    logits = Int8Model(content).logits(search.pixels).astype(float)
    right = np.exp(logits)[np.arange(100), search.truth] / np.exp(logits).sum(axis=1)
    assert first["int8_probability_percent"] == pytest.approx(100 * right.mean())
    gained = order["finishing"]["attempts"][1]["gained_probability"]["points"]
    assert gained == pytest.approx(first["int8_probability_percent"] - second["int8_probability_percent"])


def test_where_no_candidate_was_verified_there_is_nothing_to_finish(search: Search) -> None:
    search.rank([])
    order = search.finish()
    assert order["ranked"] == []
    assert "finishing" not in order
    assert not (search.folder / "journals").exists()


def test_rounding_is_learnt_where_int8_loses_more_than_is_allowed(search: Search) -> None:
    aware = TUNED.model_copy(update={"quantisation_aware_epochs": 2})
    assert len(search.finish(aware, max_drop_percent=100.0)["finishing"]["attempts"]) == 2
    told = search.finish(aware, max_drop_percent=-100.0)["finishing"]
    assert [one["weights"] for one in told["attempts"]] == ["inherited", "fine-tuned", "quantisation-aware"]
    assert told["attempts"][2]["float_top1_percent"] == told["attempts"][1]["float_top1_percent"]
    best = max(one["int8_top1_percent"] for one in told["attempts"])
    assert read_json(search.folder / "finished/ranking.json")["ranked"][0]["int8_top1_percent"] == best
    alone = search.finish(aware.model_copy(update={"epochs": 0}), -100.0)["finishing"]
    assert [one["weights"] for one in alone["attempts"]] == ["inherited", "quantisation-aware"]


def test_damage_to_what_is_kept_is_named(search: Search) -> None:
    search.finish()
    (kept,) = (search.folder / "journals/finishing" / search.arch.id).iterdir()
    kept.write_bytes(kept.read_bytes()[:-4] + b"edit")
    with pytest.raises(FoxnasError, match=rf"{kept}: was edited since it was written; delete the file and run again"):
        search.finish()


def test_its_rules_are_there_only_where_the_config_asks_for_them(tmp_path: Path) -> None:
    """And for every kind of device the finished file is compiled or estimated as all candidates are."""
    with DryRuns() as ready:
        for base, compiling in (("tiny", None), ("devices", "compile_candidates"), ("npu", "estimate_candidates")):
            off = ready.plan(tmp_path, BASES[base].config()).jobs
            assert not [str(job) for job in off if "finish" in str(job)]
            on = set(ready.plan(tmp_path, changed(BASES[base].config(), {"finishing.epochs": 1})).jobs)
            more = {job.rule for job in on - set(off)}
            assert more == {"finish_winner", *filter(None, [compiling])}
            assert all(Job.parse(f"{job.rule} batch=finished").covers(job) for job in on - set(off) if "_c" in job.rule)


def test_a_real_run_finishes_confirms_and_tells(run: Path, tmp_path: Path) -> None:
    config = tmp_path / "finishing.yaml"
    config.write_text(yaml.safe_dump(changed(written_out("tiny"), {"finishing.epochs": 1})))
    targets = "results/mini/deploy/local/p90/card.md", "results/report.html"
    snakemake(run, *targets, config=config)
    results = run / "results"
    order = read_json(results / "mini/search/local/p90/finished/ranking.json")
    decision = read_json(results / "mini/search/local/p90/winner.json")
    assert decision["finishing"] == order["finishing"]
    assert [one["weights"] for one in decision["finishing"]["attempts"]] == ["inherited", "fine-tuned"]
    assert Arch.parse(decision["winner"]["arch"]).text == decision["winner"]["arch"]
    assert "| weights | " in (results / "mini/deploy/local/p90/card.md").read_text()
    assert "own training" in (results / "report.html").read_text()
    check_all(results / "mini")
    assert "Nothing to be done" in snakemake(run, *targets, config=config)
