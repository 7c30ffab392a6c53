"""PyPI's `ofa`, which evaluates subnets as its authors make their accuracy data sets: what we are compared with.

Needs torch, numpy and `ofa` (which wants torchvision, PyYAML and tqdm): a machine with a GPU may have no more.
"""

from __future__ import annotations

import numpy as np
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics
from ofa.imagenet_classification.run_manager.run_manager import RunManager
from torch import Tensor, nn

from foxnas.space.arch import Arch
from foxnas.space.layers import IMAGENET_MEAN, IMAGENET_STD
from foxnas.supernet.model import Supernet
from foxnas.supernet.ofa import to_ofa


class OnceForAll:
    """Their network with our weights, and images that are ready on a device."""

    def __init__(self, supernet: Supernet, ready: Tensor, labels: np.ndarray, batch: int) -> None:
        device = ready.device
        knobs = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
        self.network = OFAMobileNetV3(dropout_rate=0, width_mult=1.0, **knobs)
        self.network.load_state_dict(to_ofa(supernet))
        self.network.to(device)
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        images = ((ready - mean) / std).contiguous()
        self.batches = list(zip(images.split(batch), torch.from_numpy(labels).to(device).split(batch), strict=True))
        # Its constructor wants their configuration of a training; validating needs these two alone.
        self._manager = object.__new__(RunManager)
        self._manager.device, self._manager.test_criterion = device, nn.CrossEntropyLoss()

    def activate(self, arch: Arch) -> None:
        """Set the active subnet and its running statistics."""
        padded = [(*unit, *[unit[-1]] * (4 - len(unit))) for unit in arch.units]
        kernels, ratios = zip(*[layer for unit in padded for layer in unit], strict=True)
        self.network.set_active_subnet(ks=list(kernels), e=list(ratios), d=list(arch.depths))
        set_running_statistics(self.network, self.batches)

    def validate(self) -> None:
        """Evaluate the active subnet."""
        self._manager.validate(net=self.network, data_loader=self.batches, no_logs=True)
