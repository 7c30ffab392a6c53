"""What is pinned where: pyproject.toml, envs/, the Containerfile; and what says how to cite and to catalogue this."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
import types
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from foxnas import cli
from tests.support.examples import ROOT, example

#: Arm's compiler, which the workflow installs in an environment of its own.
VELA = ROOT / "envs" / "host-ethos-u.txt"
HOST = sorted(set((ROOT / "envs").glob("host-*.txt")) - {VELA})
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: Pinned beside what pyproject.toml names, because it has changed what came out.
BESIDE = {"markupsafe"}


def requirements(lines: Iterable[str]) -> dict[str, Requirement]:
    found = [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]
    return {canonicalize_name(one.name): one for one in found}


EXTRAS = [one for name, extra in PROJECT["optional-dependencies"].items() if name != "dev" for one in extra]
OURS = requirements([*PROJECT["dependencies"], *EXTRAS])


@pytest.mark.parametrize("path", HOST, ids=lambda path: path.stem)
def test_an_environment_pins_what_the_project_pins(path: object) -> None:
    for name, pinned in requirements(path.read_text().splitlines()).items():  # type: ignore[attr-defined]
        (exact,) = pinned.specifier
        assert exact.operator == "=="
        assert name in BESIDE or OURS[name].specifier.contains(exact.version), name
        assert name in BESIDE or str(OURS[name].marker) == str(pinned.marker), name


def test_the_compilers_own_environment_is_pinned_whole() -> None:
    pinned = requirements(VELA.read_text().splitlines())
    assert set(pinned) == {"ethos-u-vela", "numpy", "flatbuffers"}
    assert {one.operator for pin in pinned.values() for one in pin.specifier} == {"=="}


def test_every_dependency_is_pinned_in_one_way() -> None:
    """The Containerfile constrains its one installation by all of them."""
    pins: dict[str, set[str]] = {}
    for path in HOST:
        for name, pinned in requirements(path.read_text().splitlines()).items():
            pins.setdefault(name, set()).add(str(pinned.specifier))
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}
    assert set(pins) - BESIDE == set(OURS)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_one_tensorflow_is_installed_on_either_architecture(machine: str) -> None:
    """tensorflow-cpu 2.21 has wheels for x86-64 alone, tensorflow 2.21 for both."""
    converters = {name: one for name, one in OURS.items() if name.startswith("tensorflow")}
    (name,) = (n for n, one in converters.items() if one.marker and one.marker.evaluate({"platform_machine": machine}))
    assert name == {"x86_64": "tensorflow-cpu", "aarch64": "tensorflow"}[machine]
    assert set(converters) <= set(cli.RECORDED_PACKAGES)


@pytest.mark.parametrize(("target", "installs"), [("demo", ["."]), ("unit", [".", ".[dev]"])])
def test_only_the_tests_install_tensorflow(target: str, installs: list[str], tmp_path: Path) -> None:
    told = subprocess.run(
        ["make", "--dry-run", f"VENV={tmp_path / 'none'}", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [shlex.split(line)[-1] for line in told.stdout.splitlines() if "/pip install" in line] == installs
    assert not [name for name in requirements(PROJECT["dependencies"]) if name.startswith("tensorflow")]
    (ours,) = (one for one in PROJECT["optional-dependencies"]["dev"] if one.startswith("foxnas["))
    assert "tensorflow" in Requirement(ours).extras


def test_make_refuses_the_pythons_that_the_project_refuses() -> None:
    text = (ROOT / "Makefile").read_text()
    (check,) = re.findall(r"sys\.exit\((.+ sys\.version_info .+)\)'", text)
    (named,) = re.findall(r"Python ((?:3\.\d+[, or]*)+) is needed", text)
    allowed = Requirement(f"python{PROJECT['requires-python']}").specifier
    for minor in range(9, 20):
        version = types.SimpleNamespace(version_info=(3, minor, 5))
        assert bool(eval(check, {"sys": version})) != allowed.contains(f"3.{minor}.5"), minor
        assert (f"3.{minor}" in re.findall(r"3\.\d+", named)) == allowed.contains(f"3.{minor}.5"), minor


def test_devices_get_what_the_host_serves_models_with() -> None:
    ours = {name: str(one.specifier) for name, one in OURS.items()}
    for path in (ROOT / "envs").glob("*-device.txt"):
        newest = {}  # the first line for a package is the newest
        for line in path.read_text().splitlines():
            if one := requirements([line]):
                newest = one | newest
        for name in {"ai-edge-litert", "torch"} & set(newest):
            assert str(newest[name].specifier) == ours[name], path


def test_the_container_installs_the_pinned_environment() -> None:
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    (install,) = re.findall(r"^RUN pip install (.+)$", text, re.MULTILINE)
    assert {ROOT / name for name in re.findall(r"--constraint (\S+)", install)} == set(HOST)
    (wanted,) = re.findall(r"'\.\[(.+)\]'", install)
    # An image may be passed on, and the photographs of `elpv` not for money.
    assert set(wanted.split(",")) == set(PROJECT["optional-dependencies"]) - {"dev", "elpv"}
    copied = {
        name.rstrip("/") for names in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in names.split()
    }
    assert all((ROOT / name).exists() for name in copied)
    assert {"foxnas", "envs", "pyproject.toml", PROJECT["readme"]} <= copied
    assert "--file Containerfile --tag foxnas" in example("Container", "docker build")
    assert f'container: "{example("Container", "apptainer build").split()[2]}"' in (ROOT / "Snakefile").read_text()
    (image,) = re.findall(r"^FROM python:(\d+\.\d+)-slim$", text, re.MULTILINE)
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(image)


def test_the_citation_is_valid_and_names_the_paper() -> None:
    """Against the schema of the Citation File Format 1.2.0, by its authors, CC-BY-4.0."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    jsonschema.validate(citation, json.loads((ROOT / "tests" / "data" / "cff-1.2.0.json").read_text()))
    assert citation["version"] == PROJECT["version"]
    (paper,) = citation["references"]
    assert paper["url"].endswith("2108.08189")
    assert paper["doi"] == "10.1109/ICCVW54120.2021.00093"
    assert (paper["start"], paper["end"]) == (789, 797)
    assert [author["family-names"] for author in paper["authors"]] == ["Liu", "Han", "Sung", "Lee", "Chiang", "Wu"]


def test_the_catalogue_finds_what_it_asks_for() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert any(usage["software-stack-deployment"].values())
    assert {"desc", "flags"} == set(usage["mandatory-flags"])
    assert usage["report"] is True
    assert (ROOT / "workflow" / "Snakefile").is_file()
    assert (ROOT / "config" / "README.md").read_text().startswith("# Configuration")
