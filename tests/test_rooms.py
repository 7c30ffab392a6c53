"""Rooms of the library: which may import which, and where heavy or undocumented packages may be met."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.reporting import LONG_FIRST, LONG_TESTS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "foxnas"
MODULES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))
COMPARISONS = sorted(path.relative_to(ROOT) for path in (ROOT / "comparisons").rglob("*.py"))
SCRIPTS = sorted(path.relative_to(ROOT) for path in (ROOT / "workflow" / "scripts").glob("*.py"))

#: A room imports itself and rooms of lower levels.
LEVELS = [
    ("errors", "runner"),
    ("files", "settings"),
    ("cli",),
    ("space", "images"),
    ("supernet", "predictor", "tables"),
    ("accuracy", "int8", "search"),
    ("device", "verdict", "rivals"),
    ("edgetpu", "ethosu", "config"),
    ("report", "flow", "app", "starting", "doctor"),
    ("__main__",),
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

#: Packages that only these places may import, by the beginning of their path.
ONLY = {
    "torch": ("images", "supernet", "accuracy", "int8", "runner/pytorch", "runner/network"),
    "tensorflow": ("int8/converter",),
    "snakemake": ("flow",),
    "paramiko": ("device/ssh",),
    "jinja2": ("report",),
    "matplotlib": ("report",),
    "statsmodels": ("predictor", "search/twists"),
}


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            assert node.module
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                place = ROOT.joinpath(*full.split("."))
                yield full if place.is_dir() or place.with_suffix(".py").is_file() else node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            yield from (word.value for word in node.args if isinstance(word, ast.Constant))


def room_of(module: Path) -> str:
    return module.parts[1].removesuffix(".py")


def test_every_module_is_in_a_room() -> None:
    loose = {path.stem for path in MODULES if len(path.parts) == 2}
    assert loose - {"__init__", "errors"} == {"cli", "__main__"}
    assert {room_of(path) for path in MODULES} - {"__init__"} == LEVEL.keys()
    assert all((ROOT / path.parent / "__init__.py").is_file() for path in MODULES)


@pytest.mark.parametrize("room", LEVEL)
def test_a_room_imports_only_lower_levels(room: str) -> None:
    for path in MODULES:
        if room_of(path) != room:
            continue
        for name in imported(path):
            if name.startswith("foxnas."):
                other = name.split(".")[1]
                assert other == room or LEVEL[other] < LEVEL[room], f"{path} imports {name}, which is not below it"


def test_no_two_modules_import_each_other() -> None:
    """Over the whole graph, by taking away what imports nothing that is left."""
    left = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): {
            n for n in imported(path) if n[:7] == "foxnas."
        }
        for path in MODULES
    }
    while free := [name for name, names in left.items() if not names & left.keys() - {name}]:
        for name in free:
            del left[name]
    assert not left


def test_what_runs_on_devices_imports_nothing_of_ours() -> None:
    for path in MODULES:
        if room_of(path) == "runner":
            assert not [n for n in imported(path) if n.startswith("foxnas.") and not n.startswith("foxnas.runner")]


@pytest.mark.parametrize("package", ONLY)
def test_a_heavy_package_is_imported_where_it_belongs(package: str) -> None:
    found = {path for path in MODULES if any(name.split(".")[0] == package for name in imported(path))}
    assert found, "nobody imports it"
    for path in found:
        assert str(path.relative_to("foxnas")).startswith(ONLY[package]), f"{path} imports {package}"


#: The same for the comparisons.
THERE = {
    "torch": (
        "predictors/regressors",
        "scripts/score_predictors",
        "scripts/search_single_path",
        "strategies/single_path",
        "strategies/superkernel",
    ),
    "sklearn": ("predictors/regressors",),
    "jinja2": ("report",),
}


def test_what_the_workflow_is_made_of_knows_nothing_of_the_comparisons() -> None:
    for path in [*MODULES, *SCRIPTS]:
        assert not [name for name in imported(path) if name.split(".")[0] == "comparisons"], path
    rules = [*(ROOT / "rules").glob("*.smk"), *(ROOT / "workflow").rglob("Snakefile")]
    names = re.compile(r"comparisons|compare_(?:strategies|predictors)|strategies/|-scores|[a-z]+_found\b")
    for path in [*rules, *(ROOT / "foxnas" / "report").rglob("*.*"), *(ROOT / path for path in SCRIPTS)]:
        if path.suffix != ".pyc" and path.is_file():
            assert not names.findall(path.read_text().replace("foxnas.search.strategies", "")), path


def test_comparisons_import_of_ours_only_what_is_below_the_workflow() -> None:
    names = {name for path in COMPARISONS for name in imported(path)}
    assert {name.split(".")[0] for name in names} & {"foxnas", "comparisons", "tests", "benchmarks"} == {
        "foxnas",
        "comparisons",
    }
    assert not names & {"statsmodels", "tensorflow", "snakemake", "paramiko"}
    for package, places in THERE.items():
        found = {path for path in COMPARISONS if any(name.split(".")[0] == package for name in imported(path))}
        assert found, "nobody imports it"
        assert all(str(path.relative_to("comparisons")).startswith(places) for path in found), package
    packages = {path.parent for path in COMPARISONS} - {Path("comparisons/scripts")}
    assert all((ROOT / path / "__init__.py").is_file() for path in packages)


def test_only_the_snakefile_imports_the_rooms_for_the_workflow() -> None:
    for path in [*MODULES, *SCRIPTS, *COMPARISONS]:
        if room_of(path) != "flow" or path in COMPARISONS:
            assert not [name for name in imported(path) if name.startswith("foxnas.flow")], path


def test_only_the_workflows_side_knows_where_a_checkout_has_its_folders() -> None:
    for path in MODULES:
        if room_of(path) != "flow":
            text = (ROOT / path).read_text()
            assert not [word for word in ('"workflow"', "workflow/scripts", '"envs"', '"scripts"') if word in text], (
                path
            )


@pytest.mark.parametrize("folder", sorted(p.name for p in PACKAGE.iterdir() if (p / "__init__.py").is_file()))
def test_every_room_has_its_tests(folder: str) -> None:
    assert list((ROOT / "tests" / folder).glob("test_*.py"))


def test_what_snakemake_does_not_document_is_used_in_two_modules() -> None:
    """The directives need no import; `ancient`, `local` and `update_config` are documented."""
    documented = {"snakemake.io", "snakemake.utils"}
    for path in MODULES:
        if path not in {Path("foxnas/flow/snakemake_mends.py"), Path("foxnas/flow/snakemake_private.py")}:
            found = {name for name in imported(path) if name.split(".")[0] == "snakemake"}
            assert found <= documented, path


def test_benchmarks_import_no_test() -> None:
    for path in (p.relative_to(ROOT) for p in (ROOT / "benchmarks").glob("*.py")):
        assert not [n for n in imported(path) if n.startswith("tests.") and not n.startswith("tests.support")], path


def test_long_tests_are_there_and_every_room_has_others() -> None:
    """What `make quick` leaves out; what is left covers every room."""
    for name in (*LONG_FIRST, *LONG_TESTS):
        path, _, test = name.partition("::")
        assert f"def {test}" in (ROOT / "tests" / path).read_text(), name
    short = {path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")} - set(
        map(Path, LONG_FIRST)
    )
    assert {path.parts[0] for path in short if len(path.parts) > 1} >= LEVEL.keys() - {
        "errors",
        "settings",
        "cli",
        "__main__",
    }
