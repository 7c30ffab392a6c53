"""Folders of photographs, images, arrays, checkpoints, tables and functions that no run can use."""

from __future__ import annotations

import functools
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from foxnas.__main__ import write_first_config
from foxnas.files.tables import write_table
from foxnas.images.decoding import ImageFile, decode_files
from foxnas.images.fashion_mnist import read_idx
from foxnas.images.folders import list_images
from foxnas.images.labelled import check_fits, load_arrays
from foxnas.images.split_files import split_files
from foxnas.images.strata import check_trained
from foxnas.images.views import View
from foxnas.predictor.fit import fit
from foxnas.predictor.targets import read_target
from foxnas.search.goal import load_goal
from foxnas.space.config import read_space
from foxnas.supernet.checkpoint import load_supernet, save_supernet, take_checkpoint
from foxnas.supernet.model import Supernet
from foxnas.tables.config import AccuracyTableConfig
from foxnas.tables.reading import read_measurements
from tests.support.bad_configs import BadInput
from tests.support.photographs import data_config

#: Class folders below `photos`, each with one image unless it ends in a slash.
FOLDERS = [
    "", "a", "photos/a photos/b", "a b/", "A/cat A/dog B/cat B/dog", "fold1/a fold1/b fold2/a fold2/b",
    "train/a train/b extra/a extra/b", "train/a train/b training/a training/b",
    "train/a train/b val/a val/b valid/a valid/b", "val/a val/b test/a test/b", "train test",
    "train/a train/b val/images test/unknown", "train/a train/b val/a", "train/a train/b val/a val/b val/c",
    "train/a train/b test/a test/b test/c",
]  # fmt: skip

#: Images per class where the config has 3 classes and splits of 12, 3, 3 and 3 images, stratified.
SPLIT = [
    ("3 images of a class", {"a": 20, "b": 20, "c": 3}), ("a class added after training", dict.fromkeys("abcd", 9)),
    ("a class removed after training", {"a": 20, "b": 20}), ("fewer images than the splits", dict.fromkeys("abc", 4)),
]  # fmt: skip

#: What `python -m foxnas init` is given: images per class (0: one that is damaged), and options.
FIRST_CONFIGS: list[tuple[str, dict[str, int], dict[str, str]]] = [
    ("one class", {"a": 9}, {}), ("3 images of a class", {"a": 9, "b": 3}, {}),
    ("a class in val/ alone", {"train/a": 9, "train/b": 9, "val/a": 2, "val/b": 2, "val/c": 2}, {}),
    ("one validation image of a class",
     {"train/a": 9, "train/b": 9, "val/a": 2, "val/b": 1, "test/a": 2, "test/b": 2}, {}),
    ("a class of damaged images", {"a": 9, "b": 0}, {}), ("--out photos", dict.fromkeys("ab", 9), {"out": "photos"}),
    ("--out nowhere/mine.yaml", dict.fromkeys("ab", 9), {"out": "nowhere/mine.yaml"}),
    ("--budget soon", dict.fromkeys("ab", 9), {"budget": "soon"}),
    ("--device pi@", dict.fromkeys("ab", 9), {"device": "pi@"}),
]  # fmt: skip


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


_HEAD = _chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
_PALETTED = b"".join(
    _chunk(*one)
    for one in (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b"")
    )
)  # fmt: skip

#: Contents of a file named x.png.
IMAGES: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("a web page", b"<!doctype html><title>404</title>"),
    ("a vector drawing", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n"),
    ("a PNG's first bytes", b"\x89PNG\r\n\x1a\n"),
    ("a PNG of 60,000 x 60,000 pixels", b"\x89PNG\r\n\x1a\n" + _HEAD + _chunk(b"IDAT", b"")),
    ("a PNG without its palette", b"\x89PNG\r\n\x1a\n" + _PALETTED),
    ("random bytes", np.random.default_rng(0).bytes(2000)),
]  # fmt: skip

_WHOLE = np.zeros((4, 6, 8, 3), np.uint8)
_LABELS = np.arange(4) % 2
#: Changed arrays: the file, and its numbers or bytes (None: none at all).
ARRAYS: list[tuple[str, str, Any]] = [
    ("train-images.npy", "missing", None), ("train-images.npy", "empty", b""),
    ("train-images.npy", "its first bytes", b"\x93NUMPY"), ("train-images.npy", "a zip archive", b"PK\3\4" + bytes(40)),
    ("train-images.npy", "a header of brackets", b"\x93NUMPY\1\0" + struct.pack("<H", 2_000) + b"(" * 2_000),
    ("train-images.npy", "float32", _WHOLE.astype(np.float32)), ("train-images.npy", "channels first", _WHOLE[0]),
    ("train-images.npy", "objects", np.array([{}, {}, {}, {}])), ("train-images.npy", "no pixels", _WHOLE[:, :0]),
    ("train-images.npy", "no images", _WHOLE[:0]), ("train-images.npy", "four channels", _WHOLE[..., [0, 1, 2, 2]]),
    ("train-labels.npy", "float64", _LABELS / 2), ("train-labels.npy", "one too few", _LABELS[1:]),
    ("train-labels.npy", "from 1", _LABELS + 9), ("train-labels.npy", "negative", _LABELS - 1),
    ("train-labels.npy", "all alike", _LABELS * 0), ("train-labels.npy", "texts", _LABELS.astype(str)),
    ("train-labels.npy", "beyond int64", _LABELS.astype(np.uint64) + 2**63),
    ("test-images.npy", "without labels", _WHOLE), ("train-images.npy", "in a folder's place", Path),
]  # fmt: skip

TABLES: list[tuple[str, Callable[[list[str]], str | bytes | None]]] = [
    ("missing", lambda rows: None),
    ("empty", lambda rows: ""),
    ("a binary", lambda rows: bytes(range(256)) * 9),
    ("a heading alone", lambda rows: "arch,energy_mj\n"),
    ("another column", lambda rows: "\n".join(["arch,joule", *rows])),
    ("semicolons", lambda rows: "\n".join(["arch,energy_mj", *rows]).replace(",", ";")),
    ("a text for a number", lambda rows: "\n".join(["arch,energy_mj", *rows[:-1], rows[-1].split(",")[0] + ",n/a?"])),
    ("an infinite number", lambda rows: "\n".join(["arch,energy_mj", *rows[:-1], rows[-1].split(",")[0] + ",inf"])),
    (
        "a number beyond squares",
        lambda rows: "\n".join(["arch,energy_mj", *rows[:-1], rows[-1].split(",")[0] + ",1e308"]),
    ),
    ("a name of 1,000,000 characters", lambda rows: "\n".join(["arch,energy_mj", *rows, "x" * 10**6 + ",3"])),
    ("a row without an architecture", lambda rows: "\n".join(["arch,energy_mj", *rows, ",3"])),
    ("a row too long", lambda rows: "\n".join(["arch,energy_mj", *rows, "a,3,4,5"])),
    ("no architecture", lambda rows: "\n".join(["arch,energy_mj", *rows, "resnet50,3"])),
    ("another space's", lambda rows: "\n".join(["arch,energy_mj", *rows, "r24_k9e9,3"])),
    ("a subnet twice", lambda rows: "\n".join(["arch,energy_mj", *rows, rows[0]])),
    ("ten rows", lambda rows: "\n".join(["arch,energy_mj", *rows[:10]])),
    ("all alike", lambda rows: "\n".join(["arch,energy_mj", *(f"{row.split(',')[0]},3" for row in rows)])),
]

#: Tables of measurements in the place of ours: a subnet at 24 px, and its number twice.
_ARCH = "r24_" + "_".join(["k3e4.k3e4"] * 5)
_LAYERS = ",".join(f"u{unit}_{knob}{layer}" for unit in range(1, 6) for layer in (1, 2, 3, 4) for knob in "ke")
_UNITS = ",".join(f"u{unit}_first,u{unit}_k3e4" for unit in range(1, 6))
MEASUREMENTS: list[tuple[str, str | None]] = [
    ("missing", None), ("empty", ""), ("another column", "arch,top1\n"), ("semicolons", "arch;top1_percent\n"),
    ("a column twice", "arch,top1_percent,top1_percent\n"), ("no rows", "arch,top1_percent\n"),
    ("no architectures", "model,top1_percent\nresnet50,71\n"),
    ("a network that is none", "arch,top1_percent\nresnet50,71\n"),
    ("another space's", "arch,top1_percent\nr24_k9e9,71\n"),
    ("another image size", f"arch,top1_percent\n{_ARCH.replace('r24', 'r17')},71\n"),
    ("a subnet twice", f"arch,top1_percent\n{_ARCH},71\n{_ARCH},72\n"),
    ("no number", f"arch,top1_percent\n{_ARCH},n/a\n"), ("a percent sign", f"arch,top1_percent\n{_ARCH},71.2%\n"),
    ("a decimal comma", f'arch,top1_percent\n{_ARCH},"71,2"\n'), ("an empty cell", f"arch,top1_percent\n{_ARCH},\n"),
    ("a comma that may part thousands", f'arch,top1_percent\n{_ARCH},"71,234"\n'), ("tabs", "arch\ttop1_percent\n"),
    ("one fraction among percents", "arch,top1_percent\n" + "".join(
        f"{_ARCH.replace('k3e4', kind, 1)},{top1}\n" for kind, top1 in (("k3e4", 71), ("k3e6", 0.7), ("k5e4", 72)))),
    ("a cell too many", f"arch,top1_percent\n{_ARCH},71,2\n"), ("above 100%", f"arch,top1_percent\n{_ARCH},712\n"),
    ("infinity", f"arch,top1_percent\n{_ARCH},inf\n"),
    ("fractions", f"arch,top1_percent\n{_ARCH},0.7\n{_ARCH.replace('e4', 'e6')},0.8\n"),
    ("three bad rows", f"arch,top1_percent\n{_ARCH},n/a\n{_ARCH},\nx,71\n"),
    ("layers without a unit", "image_size,u1_d,u1_k1,u1_e1,top1_percent\n24,1,3,4,71\n"),
    ("a layer left out", f"image_size,{_LAYERS},top1_percent\n24,{'3,4,,,5,6,,,' * 5}71\n"),
    ("a layer too many", f"image_size,{_LAYERS},u5_k5,u5_e5,top1_percent\n24,{'3,4,3,4,5,6,3,4,' * 5}"
     "3,4,71\n"),
    ("a unit that is not there", "image_size,u9_k1,top1_percent\n24,3,71\n"),
    ("counts of no first layer", f"image_size,{_UNITS},top1_percent\n24,{'k5e6,2,' * 5}71\n"),
    ("counts without a size", f"{_UNITS},top1_percent\n{'k3e4,2,' * 5}71\n"),
]  # fmt: skip

GOALS = [
    ("no file", ""), ("no such function", "def other(s):\n    return s\n"), ("a number", "score = 3\n"),
    ("a bracket too few", "def score(s:\n"), ("import of what is not there", "import nothing_of_the_kind\n"),
    ("an error", "1 / 0\n"), ("sys.exit()", "import sys\nsys.exit(3)\n"),
]  # fmt: skip


def bad_files() -> Iterator[BadInput]:
    """Yield them with what reads them."""
    yield BadInput("folder", "photos is not there", lambda: list_images(Path("photos")))
    for folders in FOLDERS:
        yield BadInput("folder", folders or "an empty folder", functools.partial(_list, folders))
    for given, target in (("the same folder twice", "a"), ("a link to a folder above", ".")):
        yield BadInput("folder", given, functools.partial(_list, "a b", target))
    yield BadInput("folder", "a name that is not UTF-8", functools.partial(_list, "a b", "", "\udcff.png"))
    for given, images in SPLIT:
        yield BadInput("folder", given, functools.partial(_split, images))
    yield BadInput("folder", "no image of a class to train with", _train_without_a_class)
    for given, images, words in FIRST_CONFIGS:
        yield BadInput("init", given, functools.partial(_init, images, words))
    for given, content in IMAGES:
        yield BadInput("image", given, functools.partial(_decode, content))
    for given in ("half a JPEG", "32-bit grey", "a pipe", "a link to nothing", "grown since it was listed"):
        yield BadInput("image", given, functools.partial(_decode, given))
    for name, given, content in ARRAYS:
        yield BadInput("arrays", f"{name}: {given}", functools.partial(_load_arrays, name, content))
    for given, content in (("empty", b""), ("no gzip", b"no gzip"), ("half", b"\x1f\x8b\x08\0\0")):
        yield BadInput("Fashion-MNIST", f"train-images-idx3-ubyte.gz: {given}", functools.partial(_read_idx, content))
    yield from _bad_checkpoints()
    for given, made in TABLES:
        yield BadInput("own table", given, functools.partial(_fit, made))
    for given, table in MEASUREMENTS:
        yield BadInput("measurements", given, functools.partial(_read_measurements, table))
    for given, text in GOALS:
        yield BadInput("own function", given, functools.partial(_load_goal, text))


def _list(folders: str, link: str = "", name: str = "") -> None:
    root = Path("photos")
    root.mkdir()
    for folder in folders.split():
        (root / folder).mkdir(parents=True)
        if not folder.endswith("/"):
            Image.new("L", (8, 6)).save(root / folder / "1.png")
    if link:
        (root / "b" / "more").symlink_to(f"../{link}")
    if name:
        (root / "a" / name).touch()
    list_images(root)


def _fill(images: dict[str, int]) -> Path:
    for name, number in images.items():
        folder = Path("photos") / name
        folder.mkdir(parents=True)
        for i in range(number):
            Image.new("RGB", (80, 60), (i, i, i)).save(folder / f"{i}.png")
        if not number:
            (folder / "0.png").write_bytes(b"")
    return Path("photos")


def _split(images: dict[str, int]) -> None:
    listed = list_images(_fill(images))
    write_table(Path("images.csv"), listed.images, {"classes": listed.classes})
    splits = {"train": 12, "fit": 3, "verify": 3, "test": 3}
    data = data_config(Path("photos"), stratified=True, splits=splits)
    split_files(data, 3, 3, Path("images.csv"), Path(), 1)


def _train_without_a_class() -> None:
    check_trained(np.array([0, 2, 2]), 3, Path("results/data/native/train-labels.npy"))


def _init(images: dict[str, int], options: dict[str, str]) -> None:
    given = {"device": "local", "budget": "10ms", "out": "mine.yaml", **options}
    write_first_config(_fill(images), given["device"], [given["budget"]], Path(given["out"]))


def _decode(content: bytes | str) -> None:
    path, bytes_then = Path("x.png"), None
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "a pipe":
        os.mkfifo(path)
    elif content == "a link to nothing":
        path.symlink_to("nothing.png")
        bytes_then = 0
    elif content == "32-bit grey":
        Image.fromarray(np.arange(48, dtype=np.int32).reshape(6, 8)).save(path, "TIFF")
    else:
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(path, "JPEG")
        if content == "half a JPEG":
            path.write_bytes(path.read_bytes()[:2000])
        else:
            bytes_then = path.stat().st_size - 1
    listed = ImageFile(str(path), path.stat().st_size if bytes_then is None else bytes_then)
    decode_files([listed], View(6, 3, 1), Path("out.npy"), 1)


def _load_arrays(name: str, content: Any) -> None:
    np.save("train-images.npy", _WHOLE)
    np.save("train-labels.npy", _LABELS)
    path = Path(name)
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.unlink()
        if content is Path:
            path.mkdir()
    train, test = load_arrays(Path())
    check_fits([train, test], 3, 10)


def _read_idx(content: bytes) -> None:
    Path("train-images-idx3-ubyte.gz").write_bytes(content)
    read_idx(Path("train-images-idx3-ubyte.gz"))


@functools.cache
def _supernet() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(Supernet(read_space("mini")).state_dict())


def _bad_checkpoints() -> Iterator[BadInput]:
    whole = _supernet()
    stem, classifier = whole["stem.weight"], whole["classifier.weight"]
    tensors: list[tuple[str, Any]] = [
        ("one tensor less", {name: one for name, one in whole.items() if name != "stem.weight"}),
        ("one tensor more", {**whole, "extra.weight": torch.ones(1)}),
        ("a name that colours a terminal", {**whole, "a\n\x1b[31m": stem}),
        ("a name of 1,000,000 characters", {**whole, "x" * 10**6: stem}),
        ("another program's", {"features.0.weight": torch.ones(3)}),
        ("int8 without scales", {**whole, "stem.weight": stem.to(torch.int8)}),
        ("float8", {**whole, "stem.weight": stem.to(torch.float8_e4m3fn)}),
        ("quantised", {**whole, "stem.weight": torch.quantize_per_tensor(stem, 0.1, 0, torch.qint8)}),
        ("complex numbers", {**whole, "stem.weight": stem.to(torch.complex64)}),
        ("sparse", {**whole, "stem.weight": stem.to_sparse()}),
        ("NaN", {**whole, "stem.weight": stem * float("nan")}),
        ("beyond float32", {**whole, "stem.weight": stem.double() * 0 + 1e300}),
        ("all zero", {name: one * 0 for name, one in whole.items()}),
        ("other shapes", {**whole, "stem.weight": stem[:4]}),
        ("11 classes", {**whole, "classifier.weight": torch.cat([classifier, classifier[:1]]),
                        "classifier.bias": torch.ones(11)}),
        ("a whole training state", {"epoch": 3, "optimizer": {}}),
        ("names that are numbers", {3: stem}),
        ("a list", [stem]),
        ("one tensor", stem),
        ("code", {"state_dict": whole, "more": Path("x")}),
    ]  # fmt: skip
    for given, content in tensors:
        yield BadInput("checkpoint", given, functools.partial(_load_supernet, content))
    for given, written in (
        ("missing", None), ("a folder", Path), ("empty", b""), ("a web page", b"<!doctype html><title>404</title>"),
        ("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        ("half a safetensors file", (10**6).to_bytes(8, "little") + b"{"), ("half a zip archive", b"PK\3\4" + bytes(9)),
        ("half a pickle", b"\x80\x02}q\0"),
        ("a header of 20 MB", _huge_header()), ("another space's header", _other_space()),
    ):  # fmt: skip
        yield BadInput("checkpoint", given, functools.partial(_load_supernet, written))
    for given, header in (("classes that are no list", "3"), ("classes of other names", json.dumps([*"abcdefghxy"]))):
        yield BadInput("checkpoint", given, functools.partial(_take_checkpoint, header))


def _huge_header() -> bytes:
    header = json.dumps({"x" * 20_000_000: {"dtype": "NONE", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


def _other_space() -> dict[str, torch.Tensor]:
    return {"safetensors": _supernet()["stem.weight"]}


def _load_supernet(content: Any) -> None:
    path = Path("mine.pt")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is Path:
        path.mkdir()
    elif isinstance(content, dict) and "safetensors" in content:
        record = read_space("cpu").record()
        save_file({"stem.weight": content["safetensors"]}, path, {"space": json.dumps(record)})
    elif content is not None:
        torch.save(content, path)
    load_supernet(read_space("mini"), path)


def _take_checkpoint(header: str) -> None:
    path, space = Path("mine.safetensors"), read_space("mini")
    torch.manual_seed(0)
    save_supernet(Supernet(space), path, {}, classes=header)
    take_checkpoint(space, path, Path("supernet.safetensors"), classes=[*"abcdefghij"])


@functools.cache
def _rows() -> list[str]:
    rng = np.random.default_rng(0)
    archs = islice(read_space("mini").sample(24, rng), 80)
    return [f"{arch.text},{rng.normal(3, 0.1):.4f}" for arch in archs]


def _fit(made: Callable[[list[str]], str | bytes | None]) -> None:
    path, content, space = Path("energy.csv"), made(_rows()), read_space("mini")
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    texts, values = read_target(path, "energy_mj", own=True)
    archs = [space.parse(text) for text in texts]
    fit("latency", space, 24, archs, values, target="energy", unit="mJ", folds=5)


def _read_measurements(text: str | None) -> None:
    path, space = Path("mine.csv"), read_space("mini")
    if text is not None:
        path.write_text(text)
    read_measurements([path], AccuracyTableConfig(file=str(path)), space)


def _load_goal(text: str) -> None:
    if text:
        Path("mine.py").write_text(text)
    load_goal(Path("mine.py"), "score")
