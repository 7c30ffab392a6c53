"""Supernets of random weights and images in memory, which benchmarks of speed and of agreement take."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from foxnas.files.arrays import ArraysBySize
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet


class Held(ArraysBySize):
    """The images, in memory instead of in files."""

    def __init__(self, images: np.ndarray) -> None:
        super().__init__([])
        self._images = images

    def at(self, size: int) -> np.ndarray:
        """Return them."""
        assert self._images.shape[1] == size
        return self._images


def shaken(space: SearchSpace, statistics: bool = False) -> Supernet:
    """Return a supernet of random weights, in which every residual branch counts."""
    torch.manual_seed(0)
    supernet = Supernet(space, statistics=statistics)
    for name, tensor in supernet.state_dict().items():
        if name.endswith("norm.weight"):
            nn.init.uniform_(tensor, 0.5, 1.5)
    return supernet.to(memory_format=torch.channels_last)
