"""The first config of a folder: what is found in it, what is chosen for it, and that the workflow takes it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from foxnas.config.whole import read_config
from foxnas.errors import FoxnasError
from foxnas.files.tables import write_table
from foxnas.images.folders import list_images
from foxnas.images.split_files import split_files
from foxnas.starting.choices import choose
from foxnas.starting.survey import Survey, survey_folder
from tests.support.forked_python import python
from tests.support.photographs import make_tree

ROOT = Path(__file__).resolve().parents[2]


def init(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in the folder beside the photographs."""
    return python(["-m", "foxnas", "init", folder.name, *words], folder.parent, jobs=True)


def rare(tree: Path, left: int) -> None:
    """Leave so many images of the last class."""
    for image in sorted((tree / "n002").iterdir())[left:]:
        image.unlink()


def balanced(root: Path) -> Path:
    return make_tree(root / "Flowers & Co", {"": 30}, shorter=150)


def unbalanced(root: Path) -> Path:
    tree = make_tree(root / "photos", {"": 40}, shorter=100)
    rare(tree, 5)
    return tree


def small(root: Path) -> Path:
    """As few as there can be, smaller than the smallest size, and in grey."""
    return make_tree(root / "photos", {"": 4}, classes=2, shorter=40, mode="L")


def mixed(root: Path) -> Path:
    tree = make_tree(root / "mixed", {"": 12}, shorter=70)
    for image in sorted((tree / "n000").iterdir())[:8]:
        Image.new("RGB", (900, 600)).save(image)
    return tree


def held_out(root: Path) -> Path:
    return make_tree(root / "parts", {"train": 12, "val": 7, "test": 3}, shorter=200)


@pytest.mark.parametrize(
    ("made", "sizes", "splits"),
    [
        (balanced, [64, 96, 128], {"train": 55, "fit": 13, "verify": 9, "test": 13}),
        (unbalanced, [64, 96], {"train": 53, "fit": 12, "verify": 8, "test": 12}),
        (small, [64], {"train": 2, "fit": 2, "verify": 2, "test": 2}),
        (mixed, [64], {"train": 23, "fit": 5, "verify": 3, "test": 5}),
        (held_out, [96, 128, 160], {"train": 36, "fit": 13, "verify": 8, "test": 9}),
    ],
)
def test_the_config_of_a_folder_is_valid_and_deals_out_its_images(
    made: Callable[[Path], Path], sizes: list[int], splits: dict[str, int], tmp_path: Path
) -> None:
    """Held to what the workflow does with it: the config is read, and the folder is split by it."""
    tree = made(tmp_path)
    done = init(tree, "--device", "pi@pi4.local", "--budget", "10ms", "--budget", "p25")
    assert done.returncode == 0, done.stderr
    config = read_config(tmp_path / "foxnas.yaml")
    assert (config.space.name.endswith("-lite0"), config.space.image_channels) == (True, 3)
    assert list(config.space.image_sizes) == sizes
    assert config.data.splits.model_dump() == splits
    assert config.budgets == [10, "p25"]
    assert (config.verification.chosen_by, config.finishing.epochs) == ("probability", 12)
    assert config.validation.sustained_s == 300
    # Few images are evaluated by several supernets, where none are held out.
    assert config.supernet.folds == (1 if made is held_out else min(4, 1 + splits["train"] // splits["fit"]))
    (device,) = config.devices
    assert device.ssh is not None
    assert (device.name, device.ssh.host, device.ssh.user) == ("pi4-local", "pi4.local", "pi")
    assert (config.supernet.source, config.supernet.donor) == ("pretrained", "efficientnet-lite0")
    assert config.supernet.training.phases[0].expansion_ratios == (max(config.space.expansion_ratios),)
    listed = list_images(tree)
    write_table(tmp_path / "images.csv", listed.images, {"classes": listed.classes})
    data = config.data.model_copy(update={"folder": str(tree)})
    split_files(data, 3, config.space.classes, tmp_path / "images.csv", tmp_path / "out", 1)
    for name in splits:
        labels = np.load(tmp_path / "out" / f"{name}-labels.npy")
        assert set(labels) == set(range(config.space.classes)), "every class is in every split"
    # Nothing stands in it that is the default anyway, or twice.
    written = yaml.safe_load((tmp_path / "foxnas.yaml").read_text())
    assert all(len(line) <= 120 for line in (tmp_path / "foxnas.yaml").read_text().splitlines())
    assert ("evaluate_on" in written["data"]) == (made is held_out)
    assert "  # licence: ...\n" in (tmp_path / "foxnas.yaml").read_text(), "whose terms nobody can guess"


def test_the_workflow_plans_a_run_of_it_and_the_next_commands_are_those(tmp_path: Path) -> None:
    tree = unbalanced(tmp_path)
    done = init(tree, "--device", "local", "--out", "mine.yaml")
    plan = "snakemake -n --configfile mine.yaml"
    assert plan in done.stdout
    planned = python(["-m", *plan.split(), "--snakefile", str(ROOT / "Snakefile")], tmp_path, jobs=True)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "train_supernet" in planned.stdout
    text = (tmp_path / "mine.yaml").read_text()
    assert "40 (n000)" in text
    assert "n000 has 8.0 times as many as n002" in " ".join(text.replace("# ", "").split())


def test_suspicious_files_are_named_and_counted(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "photos", {"": 8}, shorter=100)
    (tree / "n000" / "broken.png").write_bytes(b"<html>")
    Image.new("RGB", (300, 20)).save(tree / "n000" / "banner.png")
    Image.new("L", (120, 110)).save(tree / "n001" / "grey.png")
    shutil.copy(min((tree / "n000").glob("*.JPEG")), tree / "n000" / "copy.jpg")
    shutil.copy(sorted((tree / "n002").iterdir())[0], tree / "n001" / "of-another-class.png")
    found = survey_folder(tree, 1)
    assert list(found.unreadable) == ["n000/broken.png"]
    assert found.tiny == ["n000/banner.png"]
    assert found.other_modes == {"n001/grey.png": "L"}
    assert sorted(len(group) for group in found.duplicates) == [2, 2]
    (mixed_up,) = found.split_duplicates
    assert "n001/of-another-class.png" in mixed_up
    done = init(tree)
    assert done.returncode == 0, done.stderr
    for said in (
        "n000/broken.png (its content is none of",
        "n000/banner.png",
        "n001/grey.png (L)",
        "n001/of-another-class.png",
    ):
        assert said in done.stdout
    config = read_config(tmp_path / "foxnas.yaml")
    assert config.data.corrupt_images == "skip"
    assert sum(config.data.splits.model_dump().values()) == len(found.images), "the broken file is no image of a split"


def test_a_config_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    tree = balanced(tmp_path)
    (tmp_path / "foxnas.yaml").write_text("mine\n")
    done = init(tree)
    assert done.returncode == 1
    assert done.stderr == (
        "error: foxnas.yaml: is there already, and is not overwritten; move it away, or write --out another.yaml\n"
    )
    assert (tmp_path / "foxnas.yaml").read_text() == "mine\n"
    assert init(tree, "--out", "other.yaml").returncode == 0
    assert (tmp_path / "foxnas.yaml").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["ümläut 'quoted' \"twice\": #x {a}", "yes", "12", "...", "x" * 200])
def test_any_name_of_a_folder_is_one_that_the_config_can_hold(name: str, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / name, {"": 4}, classes=2)
    done = init(tree)
    assert done.returncode == 0, done.stderr
    assert read_config(tmp_path / "foxnas.yaml").data.folder == name


def survey(counts: dict[str, int], parts: dict[str, int] | None = None) -> Survey:
    """A survey of images that need not be there."""
    rows = [
        {"path": f"{part}/{i}/{n}.png", "label": i, "part": part, "width": 400, "height": 300, "mode": "RGB"}
        for part, factor in (parts or {"train": 1}).items()
        for i, images in enumerate(counts.values())
        for n in range(images * factor)
    ]
    return Survey(Path("photos"), list(counts), pd.DataFrame(rows), {}, [])


def test_splits_never_ask_for_more_than_there_is() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        classes = int(rng.integers(2, 8))
        counts = {f"c{i}": int(n) for i, n in enumerate(rng.integers(4, 40, classes))}
        parts = [{"train": 1}, {"train": 2, "test": 1}, {"train": 1, "validation": 1, "test": 1}][int(rng.integers(3))]
        found = survey(counts, parts)
        chosen = choose(found)
        assert min(chosen.splits.values()) >= classes
        of = {
            "train": "train",
            "fit": "validation" if len(parts) == 3 else "train",
            "test": "test" if len(parts) > 1 else "train",
        }
        of["verify"] = of["fit"]
        for part, images in found.parts.items():
            assert sum(n for name, n in chosen.splits.items() if of[name] == part) == images
        assert chosen.batch_size <= chosen.splits["train"]


def test_large_sets_train_what_evaluations_do_not_need() -> None:
    chosen = choose(survey({"a": 60_000, "b": 60_000}))
    assert chosen.splits == {"train": 95_000, "fit": 5_000, "verify": 10_000, "test": 10_000}
    assert chosen.folds == 1
    assert choose(survey({"a": 1_200, "b": 1_200})).folds == 2, "360 fit images"
    assert (chosen.batch_size, chosen.average_decay, chosen.warm_up_steps) == (64, 0.998, 200)


def test_a_class_with_too_few_images_is_named() -> None:
    with pytest.raises(FoxnasError, match=r"photos: class b has 3 images that can be read, .* add images of it"):
        choose(survey({"a": 9, "b": 3}))
