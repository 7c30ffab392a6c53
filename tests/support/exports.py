"""Subnets to export, and their int8 files: by TensorFlow's converter, unless another exporter is named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from foxnas.int8.checks import check_operators
from foxnas.int8.config import Exporter
from foxnas.int8.converter import _converter, _quiet
from foxnas.int8.export import export_int8
from foxnas.int8.reading import read_summary
from foxnas.space.arch import Arch
from foxnas.space.operators import input_shape
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet


@dataclass(frozen=True)
class Exported:
    """A folded subnet, images, and its int8 file with ranges of these images."""

    subnet: Subnet
    images: np.ndarray
    int8: bytes


def folded(space: SearchSpace, arch: Arch, images: np.ndarray, seed: int) -> Subnet:
    """A subnet with random weights and gains, the images' statistics, and its batch norms folded."""
    torch.manual_seed(seed)
    subnet = Subnet(Supernet(space), arch)
    for module in subnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
    subnet.train()
    torch_logits(subnet, images)
    return subnet.fold()


def export_float(subnet: Subnet) -> bytes:
    """A folded subnet as a float32 TFLite model: (1, H, W, C) image in [0, 1] -> (1, classes) logits."""
    with _quiet():
        content: bytes = _converter(subnet).convert()
    check_operators(read_summary(content), subnet)
    return content


def blobs(n: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Blobs on a dark ground, turn by turn in each quarter; no pixel is 0 or 255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]] / shape[0]
    quarter = np.arange(n)[:, None, None] % 4
    down, right = rng.normal(0.3, 0.05, (2, n, 1, 1)) + np.stack([quarter // 2, quarter % 2]) * 0.4
    width, height = rng.uniform(0.1, 0.3, (n, 1, 1)), rng.uniform(60, 230, (n, 1, 1))
    images = height * np.exp(-((y - down) ** 2 + (x - right) ** 2) / width**2)
    return np.clip(images[..., None] + rng.normal(0, 5, (n, *shape)), 3, 250).astype(np.uint8)


def taught(space: SearchSpace, arch: Arch, dead_gate: bool, steps: int = 40) -> tuple[Subnet, np.ndarray]:
    """A subnet that has learnt in a few steps to tell the quarters of these images apart.

    Random weights will not do for int8: without anything to learn rounding errors grow by 3 dB a layer.
    """
    torch.manual_seed(0)
    images = blobs(32, input_shape(space, arch)[1:], 0)
    x, labels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255, torch.arange(32) % 4
    supernet = Supernet(space).train()
    if dead_gate:
        gate = next(block.gate for blocks in supernet.units for block in blocks if block.gate is not None)
        nn.init.constant_(gate.reduce.bias, -50.0)
    optimizer = torch.optim.Adam(supernet.parameters(), 3e-3, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(supernet(x, arch), labels).backward()
        optimizer.step()
    subnet = Subnet(supernet, arch).train()
    torch_logits(subnet, images)
    return subnet.eval().fold(), images


def sample(space: SearchSpace, arch: Arch, seed: int = 0) -> tuple[Subnet, np.ndarray]:
    """A folded subnet and images, the same for whoever asks: what the converter makes of them is kept."""
    images = blobs(32, input_shape(space, arch)[1:], seed)
    return folded(space, arch, images, seed), images


def export(space: SearchSpace, arch: Arch, seed: int = 0, exporter: Exporter = "tensorflow") -> Exported:
    subnet, images = sample(space, arch, seed)
    return Exported(subnet, images, export_int8(subnet, images, exporter=exporter))


CASES = ["largest", "smallest", "random 20", "random 24", "random 28", "random 32", "random 36", "random 40"]


def torch_logits(subnet: Subnet, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return subnet(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).numpy()


def exported_case(space: SearchSpace, case: str, exporter: Exporter = "tensorflow") -> Exported:
    """The export of one of `CASES`."""
    kind, _, size = case.partition(" ")
    if kind == "largest":
        return export(space, space.largest(28), exporter=exporter)
    if kind == "smallest":
        return export(space, space.smallest(16), exporter=exporter)
    return export(space, space.draw(int(size), np.random.default_rng(int(size))), exporter=exporter)
