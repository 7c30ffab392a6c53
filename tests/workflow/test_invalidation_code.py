"""Edited code: every module of the library, against what the standard library says that each script imports.

The sources are a copy in which modules are edited one by one. The runs beside them are finished with placeholders;
`test_invalidation.py` says what that means.
"""

from __future__ import annotations

import modulefinder
import os
import re
import shutil
import time
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar

import pytest
import yaml

from tests.support.dag import EVERYTHING, ROOT, DryRuns, Plan
from tests.support.invalidation import BASES, changed
from tests.support.plug_ins import install_template
from tests.support.scripts import RULES, SCRIPTS

_TOGETHER = {"accuracy_sizes": "together"}

#: A run with devices of every compiler and one of a plug-in, rivals, Single-Path and finished winners, one that trains
#: its supernet, has targets and acquires accuracies, both of one image size, one on tables, whose image sizes are
#: fitted together, and one that trains several supernets.
RUNS = {
    "compiled": changed(
        BASES["tiny"].config(),
        {
            "space.image_sizes": [16],
            "devices": [
                *(BASES["devices"].config()["devices"][number] for number in (0, 2)),
                *BASES["npu"].config()["devices"],
                {**BASES["devices"].config()["devices"][0], "name": "mine", "kind": "my-device"},
                BASES["likened"].config()["devices"][1],
                {**BASES["blocks"].config()["devices"][0], "name": "blocked"},
            ],
            "predictors.latency_form": "layers",
            "predictors.further_targets": [],
            "supernet.checkpoint": "mine.safetensors",
            "refinement.rounds": 2,
            "validation.sustained_s": 5.0,
            "rivals": BASES["rivals"].config()["rivals"],
            "finishing": BASES["finishing"].config()["finishing"],
            "comparison.single_path.epochs": 1,
            # A second shard, which a likened device may need, and one that times blocks does not.
            "baselines.extra_subnets": 100,
        },
    ),
    "trained": changed(BASES["own"].config(), {"space.image_sizes": [16], "refinement.acquisition.rounds": 1}),
    "tables": BASES["tables"].config() | {"predictors": BASES["tables"].config()["predictors"] | _TOGETHER},
    "folded": changed(BASES["own"].config(), {"space.image_sizes": [16], "supernet.folds": 2}),
}

#: An architecture that somebody names.
NAMED = "arch-" + "_".join(["r16", *["k3e2.k3e2"] * 5])

#: What there is to ask for in each.
TARGETS = {
    "compiled": (
        *EVERYTHING,
        "examine_devices",
        *(f"results/mini/deploy/{one['name']}/{NAMED}/validation.json" for one in RUNS["compiled"]["devices"]),
    ),
    "trained": EVERYTHING,
    "tables": BASES["tables"].targets,
    "folded": ("results/mini/16/accuracy.csv",),
}

#: The kind of each device of the first, and the scripts whose rules have the digest of its code in a param.
KINDS = {one["name"]: one["kind"] for one in RUNS["compiled"]["devices"]}
GOES_BY_KIND = re.compile(r"\b(device: (Measured|Estimated)Config|kind_code:)")
OF_A_KIND = {path.stem for path in SCRIPTS.values() if GOES_BY_KIND.search(path.read_text())}

#: What only a run on tables does.
TAKING = {"take_accuracies", "take_latencies", "propose_architectures"}

#: What only a run with several supernets does.
FOLDING = {"swap_fold", "resize_fold", "pool_folds"}

#: Rules that measure what somebody may have waited hours for.
MEASURING = {"evaluate_subnets", "time_subnets", "time_chosen", "time_blocks", "time_calibration", "compile_probes"}

#: What accuracy follows, whose new files are new accuracies.
BEFORE = {"fetch_images", "split_images", "resize_images", "take_checkpoint", "train_supernet"}

#: What Snakemake says of a job that only follows others.
FOLLOWS = "Input files updated by another job"

#: What makes temporary files alone, which are gone, runs for those that need them.
FOR_OTHERS = {"confirm_together": "Missing output files", "confirm_compiled_together": "Missing output files"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout") / "foxnas"
    folder.mkdir()
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("foxnas", "comparisons", "rules", "workflow", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    plug_in = install_template(folder)
    kind = plug_in / "kind.py"
    kind.write_text(kind.read_text().replace("# model_file", "model_file"))
    return folder


@pytest.fixture(scope="module")
def finished(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[DryRuns, Path]]]:
    """A finished run of each kind, with what asks about it."""
    with (
        DryRuns(tree, edited=True) as compiled,
        DryRuns(tree, edited=True) as trained,
        DryRuns(tree, edited=True) as tables,
        DryRuns(tree, edited=True) as folded,
    ):
        asked = {"compiled": compiled, "trained": trained, "tables": tables, "folded": folded}
        folders = {name: tmp_path_factory.mktemp(name) for name in RUNS}
        for name, folder in folders.items():
            BASES["own"].bring(folder)
            BASES["rivals"].bring(folder)
            BASES["tables"].bring(folder)
            (folder / "mine.safetensors").write_bytes(os.urandom(3_000_000))
            asked[name].pretend(folder, RUNS[name], TARGETS[name])
        yield {name: (asked[name], folders[name]) for name in RUNS}


class Finder(ModuleFinder):
    """The standard library's, which reads what `compiled_once` keeps once for all scripts."""

    _read: ClassVar[dict[int, list[Any]]] = {}

    def scan_opcodes(self, co: CodeType) -> Iterator[Any]:
        if id(co) not in self._read:
            self._read[id(co)] = list(super().scan_opcodes(co))
        return iter(self._read[id(co)])


@pytest.fixture(scope="module", autouse=True)
def compiled_once() -> Iterator[None]:
    """Byte code of a module, made once for all scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modulefinder, "compile", cache(compile), raising=False)
        yield


@pytest.fixture(scope="module")
def reached(tree: Path) -> dict[Path, frozenset[str]]:
    """The scripts that import each module, directly or not, as the standard library finds by reading byte code."""
    found = defaultdict(set)
    for script in tree.glob("*/scripts/*.py"):
        finder = Finder([str(tree)])
        finder.run_script(str(script))
        for file in filter(None, (module.__file__ for module in finder.modules.values())):
            found[Path(file)].add(script.stem)
            for template in (Path(file).parent / "templates").glob("*"):
                found[template].add(script.stem)
    return {path: frozenset(scripts) for path, scripts in found.items()}


@pytest.fixture(scope="module")
def of_kinds(tree: Path) -> dict[Path, frozenset[str]]:
    """The kinds of device that consist of each module, likewise; of a plug-in with its backend, which is sent away."""
    points = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["entry-points"]["foxnas.devices"]
    found = defaultdict(set)
    for name, value in {**points, "my-device": "foxnas_my_device.kind:MyKind"}.items():
        finder = Finder([str(tree)])
        finder.run_script(str((tree / Path(*value.partition(":")[0].split("."))).with_suffix(".py")))
        for file in filter(None, (module.__file__ for module in finder.modules.values())):
            found[Path(file)].add(name)
    found[tree / "foxnas_my_device" / "backend.py"].add("my-device")
    return {path: frozenset(kinds) for path, kinds in found.items()}


@contextmanager
def edited(path: Path, old_stamp: bool = False) -> Iterator[None]:
    """A constant more at the end of a module for a while, or a comment at the end of a template."""
    before, stamp = path.read_bytes(), path.stat()
    path.write_bytes(before + (b"<!-- -->\n" if path.suffix == ".j2" else b"\nEDITED = True\n"))
    if old_stamp:
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    yield
    path.write_bytes(before)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def scripts_of_rules() -> dict[str, str]:
    """The script of each rule that has one, read off the rules' text."""
    text = "\n".join(path.read_text() for path in RULES)
    blocks = re.split(r"^\s*(?:use rule \w+ as|rule) (\w+)(?: with)?:", text, flags=re.MULTILINE)
    return {
        name: found[0]
        for name, block in zip(blocks[1::2], blocks[2::2], strict=True)
        if (found := re.findall(r'flow\.script\("(\w+)"[,)]', block))
    }


def telling_apart(sets: Collection[frozenset[str]]) -> list[frozenset[str]]:
    """Few of them, of which one has this member and not that, for every two of which any has; greedily."""
    members = frozenset[str]().union(*sets)
    wanted = {of: set(product(of, members - of)) for of in sets}
    missing, chosen = set[tuple[str, str]]().union(*wanted.values()), []
    while missing:
        chosen.append(max(wanted, key=lambda of: (len(wanted[of] & missing), sorted(of))))
        missing -= wanted[chosen[-1]]
    return chosen


def plans(finished: dict[str, tuple[DryRuns, Path]], *names: str) -> Iterator[Plan]:
    for name in names or finished:
        dry_runs, folder = finished[name]
        yield dry_runs.plan(folder, RUNS[name], TARGETS[name])


def test_the_closure_is_what_the_standard_library_finds(tree: Path, reached: dict[Path, frozenset[str]]) -> None:
    """For every module and every script, so that one module of each kind need be edited below."""
    from foxnas.files import closures

    for script in SCRIPTS.values():
        ours = {path.relative_to(ROOT) for path in map(Path, closures.closure(script))}
        assert ours == {path.relative_to(tree) for path, scripts in reached.items() if script.stem in scripts}


def test_an_edited_module_reruns_the_rules_that_import_it_and_what_follows(
    tree: Path,
    reached: dict[Path, frozenset[str]],
    of_kinds: dict[Path, frozenset[str]],
    finished: dict[str, tuple[DryRuns, Path]],
) -> None:
    """Every other one keeps its old time stamp.

    That every closure is right is tested above; here, that no rule goes by another's, nor one kind of device: of the
    sets of scripts and kinds that import the same modules, so many that each script or kind is edited without each
    other one, if any module does that. A kind's module runs the rules again that go by the kind's code, for devices of
    that kind.
    """
    rules, nobody = scripts_of_rules(), frozenset[str]()
    whose = {path: (reached.get(path, nobody), of_kinds.get(path, nobody)) for path in {*reached, *of_kinds}}
    sets = {scripts | kinds: path for path, (scripts, kinds) in sorted(whose.items(), reverse=True)}
    assert len(sets) > 50
    edits = [sets[of] for of in telling_apart(sets)]
    seen = set()
    for number, path in enumerate(edits):
        scripts, kinds = whose[path]
        with edited(path, old_stamp=bool(number % 2)):
            names = ["compiled", *["trained"] * ("train_supernet" in scripts), *["tables"] * bool(scripts & TAKING)]
            names += ["folded"] * bool(scripts & FOLDING)
            asked = list(plans(finished, *names))
        for plan in asked:
            expected = {
                job
                for job in plan.jobs
                if (script := rules.get(job.rule)) in scripts
                or (script in OF_A_KIND and KINDS.get(dict(job.wildcards).get("device", "")) in kinds)
            }
            alone = {
                job
                for job, reason in plan.runs.items()
                if not reason.startswith((FOLLOWS, FOR_OTHERS.get(job.rule, FOLLOWS)))
            }
            assert alone <= expected, f"{path.name}: ran for another reason than following others"
            assert expected <= set(plan.runs), f"{path.name}: did not run"
            if not kinds and not scripts & (MEASURING | BEFORE):
                assert not plan.rules & MEASURING, f"{path.name}: measures again"
            seen |= {job.rule for job in expected}
    assert seen == set(rules), "rules of which no module was edited"
    assert not any(plan.runs for plan in plans(finished))


def test_an_edit_of_the_sampling_measures_nothing(tree: Path, finished: dict[str, tuple[DryRuns, Path]]) -> None:
    with edited(tree / "workflow" / "scripts" / "sample_subnets.py"):
        assert [plan.rules for plan in plans(finished)] == [
            {"sample_subnets"},
            {"sample_subnets"},
            set(),
            {"sample_subnets"},
        ]
    with edited(tree / "foxnas" / "space" / "sampling.py"):
        for plan in plans(finished, "compiled", "trained"):
            assert "sample_subnets" in plan.rules
            assert not plan.rules & MEASURING


def test_mended_prose_reruns_nothing(tree: Path, finished: dict[str, tuple[DryRuns, Path]]) -> None:
    """A word more in every docstring of every module, and a comment behind it."""
    modules = [path for folder in ("foxnas", "comparisons", "workflow") for path in (tree / folder).rglob("*.py")]
    before = {path: path.read_text() for path in modules}
    said = 0
    for path, text in before.items():
        mended, number = re.subn(r'\."""(?=\n)', '. Mended."""  # a comment', text)
        path.write_text(mended + "# a comment\n")
        said += number
    assert said > 1000
    assert [plan.runs for plan in plans(finished)] == [{}, {}, {}, {}]
    for path, text in before.items():
        path.write_text(text)


def test_an_unused_module_and_the_rules_own_code_rerun_nothing(
    tree: Path, finished: dict[str, tuple[DryRuns, Path]]
) -> None:
    for path in (
        tree / "foxnas" / "flow" / "params.py",
        tree / "foxnas" / "config" / "names.py",
        tree / "Snakefile",
    ):
        path.write_text(path.read_text() + "\nEDITED = True\n")
    assert not any(plan.runs for plan in plans(finished))


def test_a_fresh_checkout_and_touched_files_rerun_nothing(
    tree: Path, finished: dict[str, tuple[DryRuns, Path]]
) -> None:
    """Other inodes and later times for all sources, and later times for all that the run has, inputs before outputs."""
    for path in [path for path in tree.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    for _, folder in finished.values():
        files = sorted(folder.glob("results/**/*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for age_ms, path in enumerate([folder / "mine.safetensors", *reversed(files)]):
            stamp = time.time_ns() - age_ms * 1_000_000
            os.utime(path, ns=(stamp, stamp))
    assert not any(plan.runs for plan in plans(finished))


def test_another_checkpoint_of_the_same_size_is_taken(finished: dict[str, tuple[DryRuns, Path]]) -> None:
    dry_runs, folder = finished["compiled"]
    path = folder / "mine.safetensors"
    before = path.read_bytes()
    path.write_bytes(before[::-1])
    assert "take_checkpoint" in dry_runs.plan(folder, RUNS["compiled"]).rules
    path.write_bytes(before)


def test_comments_and_order_in_the_config_rerun_nothing(
    tmp_path: Path, finished: dict[str, tuple[DryRuns, Path]]
) -> None:
    def reordered(value: object) -> object:
        if isinstance(value, dict):
            return {key: reordered(entry) for key, entry in reversed(value.items())}
        return [reordered(entry) for entry in value] if isinstance(value, list) else value

    config = tmp_path / "reordered.yaml"
    for name, (dry_runs, folder) in finished.items():
        config.write_text("# a comment\n" + yaml.safe_dump(reordered(RUNS[name]), sort_keys=False))
        assert not dry_runs.plan(folder, config, TARGETS[name]).runs
