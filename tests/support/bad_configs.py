"""Configurations, spaces and names that no run can use, as a user writes them."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

from foxnas.config.whole import load_config, read_config
from foxnas.space.config import read_space
from tests.support.configs import written_out


class Use(Protocol):
    """Reads an input as the workflow does, in an empty working directory."""

    def __call__(self) -> object: ...


class BadInput(NamedTuple):
    """An input of a kind, as a page shows it."""

    kind: str
    given: str
    use: Use


_NPU: dict[str, Any] = {
    "name": "npu", "kind": "ethos-u", "npu": {
        "accelerator_config": "ethos-u55-256", "system_config": "Ethos_U55_High_End_Embedded",
        "memory_mode": "Shared_Sram",
    },
}  # fmt: skip

#: A device likened to others.
_NEAR: dict[str, Any] = {"name": "near", "kind": "tflite", "like": ["local"]}
_LOCAL: dict[str, Any] = {"name": "local", "kind": "tflite"}

#: What a device has that times blocks.
_BLOCKS: dict[str, Any] = {"latency": {"plan": "blocks"}}

#: A network off the shelf.
_SMALL = {"name": "small", "space": "mini", "donor": None}

#: Of a config that is right otherwise: key and value.
VALUES: list[tuple[str, Any]] = [
    ("sampling.subnet", 3), ("wibble", 3), ("sampling.subnets", "300"), ("sampling.subnets", 30),
    ("supernet.source", "trian"), ("supernet.source", "pretrained"), ("supernet.checkpoint", None),
    ("supernet.checkpoint", "we{i}ghts.pt"), ("budgets", []), ("budgets", "p25"), ("budgets", [True]),
    ("budgets", ["p25", "q50"]), ("budgets", ["p101"]), ("budgets", [0]), ("budgets", [-2.5]),
    ("budgets", [float("inf")]), ("budgets", [10**400]), ("budgets", ["p25", "p25.0"]), ("budgets", [[1]]),
    ("refinement", {"rounds": 2, "acquisition": {"rounds": 3}}),
    ("search", None), ("search.seed", -1),
    ("search.seed", 2**64), ("accuracy.batch_size", 10**30), ("search.annealing.guided", 1),
    ("validation.max_drop_percent", float("nan")), ("validation.sustained_s", 0), ("supernet.folds", 0),
    ("supernet.folds", 2), ("finishing.patience", 0), ("supernet.training.phases.0.patience", 2),
    ("data.licence", " "), ("data.licence", 4.0), ("data.licence", "x" * 2000), ("supernet.licence", ["MIT"]),
    ("data.license", "MIT"),
    ("devices", []), ("devices", {"name": "pi"}), ("devices.0.kind", "tfilte"), ("devices.0.kind", "torch"),
    ("devices.0.kind", "ethos-u"), ("devices", [_NPU | {"ssh": {"host": "pi"}}]), ("devices.0.npu", _NPU["npu"]),
    ("devices", [_NPU | {"npu": {**_NPU["npu"], "accelerator_config": "ethos-u65-256"}}]),
    ("devices", [_NPU | {"npu": {**_NPU["npu"], "memory_mode": "Dedicated_Sram"}}]),
    ("devices", [_NPU | {"npu": {**_NPU["npu"], "system_config": "Ethos_U55_High_End"}}]),
    ("devices.0.hosts", []), ("devices.0.hosts", "pi"), ("devices.0.hosts", ["pi", ""]),
    ("devices.0.hosts", ["pi-a", "pi-a "]), ("devices.0.ssh", {"host": " "}),
    ("devices.0.hosts", ["pi-a", "pi-b", "pi-a"]), ("devices", [_NPU | {"hosts": ["pi-a", "pi-b"]}]),
    ("devices", [{"name": "pi", "kind": "tflite", "hosts": ["pi-a", "pi-b"], "ssh": {"host": "pi"}}]),
    ("devices", [{"name": "pi", "kind": "tflite", "hosts": ["pi-a", "pi-b"], "max_board_difference": 0}]),
    ("devices", [_LOCAL, _NEAR]), ("devices", [_LOCAL, _NEAR | {"like": []}]),
    ("devices", [_LOCAL, _NEAR | {"like": "local"}]),
    ("devices", [_LOCAL, _NEAR | {"like": ["locla"]}]), ("devices", [_LOCAL, _NEAR | {"like": ["near"]}]),
    ("devices", [_LOCAL, _NEAR, _NEAR | {"name": "far", "like": ["near"]}]),
    ("devices", [_LOCAL, _NEAR | {"like": ["local", "local"]}]), ("devices", [_LOCAL, _NEAR | {"kind": "edgetpu"}]),
    ("devices", [_LOCAL, _NEAR | {"like": {"devices": ["local"], "until_percent": 0}}]),
    ("devices", [_LOCAL, _NEAR | {"hosts": ["pi-a", "pi-b"]}]),
    ("devices.0.latency", {"plan": "block"}), ("devices.0.latency", {"plan": "blocks"}),
    ("devices.0.latency", {"plan": "blocks", "calibration_subnets": 5}),
    ("devices", [_NPU | _BLOCKS]), ("devices", [_LOCAL | _BLOCKS | {"hosts": ["pi-a", "pi-b"]}]),
    ("devices", [_LOCAL, _NEAR | _BLOCKS]), ("devices", [_LOCAL | {"kind": "edgetpu"} | _BLOCKS]),
    ("devices.0.ssh", "pi"), ("devices.0.ssh", {}), ("devices.0.ssh", {"host": "pi", "port": 70000}),
    ("devices.0.protocol", [3]), ("devices.0.protocol.threads", 0), ("accuracy.recalibration_images", 99999),
    ("data.folder", 3), ("data.dataset", "ImageNet"), ("data.splits.fit", 0),
    ("rivals.networks", ["efficientnet-lite9"]), ("rivals.networks", ["efficientnet-lite0"]),
    ("rivals.networks", [_SMALL, _SMALL]), ("rivals.networks", [{**_SMALL, "space": "mini9"}]),
    ("rivals", {"networks": [_SMALL], "image_sizes": [18]}), ("rivals", {"networks": [_SMALL], "image_sizes": []}),
    ("rivals", {"networks": [{**_SMALL, "name": "a b"}]}), ("rivals", {"networks": ["mobilenet-v2"], "epochs": 0}),
    ("finishing.epochs", -1), ("finishing.epoch", 3), ("finishing", {"epochs": 3, "batch_size": 10**6}),
    ("finishing.distillation", 2), ("accuracy.source", "table"), ("accuracy.source", "tabel"),
    ("accuracy", {"source": "table", "table": {"file": "mine.csv"}}), ("accuracy.table", {"file": "mine.csv"}),
    ("accuracy", {"source": "table", "table": {"file": "mine.csv", "column": "top1_percent", "unit": "fraction"}}),
    ("devices.0.kind", "table"), ("devices", [{"name": "pi", "kind": "table", "table": {"file": "mine.csv"}}]),
    ("devices", [{"name": "pi", "kind": "table", "table": {"file": "{device}.csv"}}]), ("data", None),
    ("devices", [{"name": "pi", "kind": "table", "table": {"file": "of <mine>.csv"}}]),
]  # fmt: skip

NAMES: list[tuple[str, Any]] = [
    ("devices.0.name", "pi 4; rm -rf"), ("devices.0.name", "../pi"), ("devices.0.name", ""),
    ("devices.0.name", "x" * 304), ("devices.0.name", 4), ("space.name", "Mine/1.2"), ("space.name", "report.html"),
]  # fmt: skip

SPACES: list[tuple[str, Any]] = [
    ("space", {"base": "mini", "classes": 10**12}), ("space", {"base": "mini", "stem_width": 10**12}),
    ("space", {"base": "mini", "image_sizes": [10**9]}), ("space", {"base": "mini", "depths": [1, 10**6]}),
    ("space", {"base": "mini", "units": [{"width": 10**12, "stride": 2, "type": 2}]}),
    ("space", "tpv"), ("space", 3), ("space", {"base": "mini", "image_sizes": [16, 22]}),
    ("space", {"base": "mini", "kernel_sizes": [3, 4]}),
    ("space", {"base": "mini", "units": [{"width": 8, "stride": 2, "type": 2, "depths": [1]}]}),
    ("space", {"base": "mini", "depths": [3, 2]}), ("space", {"base": "mini", "units": []}),
    ("space", {"base": "mini", "classes": 1}), ("space", {"base": "mini", "padding": "sam"}),
    ("space", {"base": ["mini"]}), ("space", {"base": "mini", "stem_width": 0}), ("space", "a\0b"),
]  # fmt: skip

#: Twelve lines, each of which names the one before ten times.
ALIASES = "a: &a [x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{above}'] * 10)}]\n" for above, name in pairwise("abcdefghijkl")
)

#: Whole files, by what is wrong with them.
FILES: list[tuple[str, bytes]] = [
    ("no file", b""),
    ("an empty file", b""),
    ("a list", b"- 1\n"),
    ("half a list", b"a: [1,"),
    ("a tab", b"search:\n\tseed: 1\n"),
    ("Latin-1", "data: {folder: \xe9t\xe9}\n".encode("latin-1")),
    ("UTF-16", "search: {seed: 1}\n".encode("utf-16")),
    ("a NUL", b"search: {seed: 1\0}\n"),
    ("a tag of Python", b"search: !!python/object/apply:os.system [true]\n"),
    ("two documents", b"search: {seed: 1}\n---\nsearch: {seed: 2}\n"),
    ("an alias of nothing", b"search: *a\n"),
    ("aliases of aliases", ALIASES.encode()),
    ("a circle", b"search: &s {annealing: *s}\n"),
    ("brackets, 100,000 deep", b"[" * 100_000),
    ("keys, 5,000 deep", b'{"a": ' * 5_000 + b"1" + b"}" * 5_000),
    ("seed: 1e3", b"search: {seed: 1e3}\n"),
    ("seed: 1:30", b"search: {seed: 1:30}\n"),
    ("seed: 010", b"search: {seed: 010}\n"),
    ("seed: 5,000 digits", b"search: {seed: " + b"9" * 5_000 + b"}\n"),
    ("seed: 2021-13-45", b"search: {seed: 2021-13-45}\n"),
    ("JSON with 5,000 digits", b'{"search": {"seed": ' + b"9" * 5_000 + b"}}"),
    ("a key twice", b"search: {seed: 1, seed: 2}\n"),
    ("a key that is a number", b"search: {3: 1}\n"),
    ("a key that is a list", b"? [a]\n: 3\n"),
]


def bad_configs() -> Iterator[BadInput]:
    """Yield them with what reads them."""
    for kind, cases in (("config", VALUES), ("name", NAMES), ("space", SPACES)):
        for key, value in cases:
            given = f"{key}={json.dumps(value, ensure_ascii=False)}"
            yield BadInput(kind, given, functools.partial(load_config, _changed(key, value), "mine.yaml"))
    for given, content in FILES:
        yield BadInput("config file", given, functools.partial(_read_config, given, content))
    yield BadInput("space file", "its base is itself", functools.partial(_read_space, b"base: mine.yaml\n"))
    yield BadInput("space file", "a list", functools.partial(_read_space, b"- 1\n"))
    yield BadInput("space file", "Latin-1", functools.partial(_read_space, b"name: \xe9t\xe9\n"))
    yield BadInput("space file", "aliases of aliases", functools.partial(_read_space, ALIASES.encode()))
    yield BadInput("space file", "half a list", functools.partial(_read_space, b"base: [1,"))
    yield BadInput("space file", "2021-13-45", functools.partial(_read_space, b"name: 2021-13-45\n"))
    yield BadInput("space file", "an unknown key", functools.partial(_read_space, b"base: mini\nwidth: 3\n"))


@functools.cache
def _demo() -> dict[str, Any]:
    return written_out("config")


def _changed(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(_demo())
    *parents, last = path.split(".")
    place: Any = raw
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    return raw


def _read_config(given: str, content: bytes) -> None:
    path = Path("mine.yaml")
    if given != "no file":
        whole = yaml.safe_dump({key: value for key, value in _demo().items() if key != "search"}).encode()
        path.write_bytes(whole + content if content.startswith(b"search: &s") else content)
    read_config(path)


def _read_space(content: bytes) -> None:
    Path("mine.yaml").write_bytes(content)
    read_space("mine.yaml")
