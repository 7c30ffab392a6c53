"""Converts stored pixels to the input of a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from foxnas.images.views import middle, resized


def resize(images: np.ndarray, size: int, centre_share: float = 1.0) -> np.ndarray:
    """Resize uint8 (n, H, W, channels) to (n, size, size, channels): antialiased bilinear, as torchvision.

    Parameters
    ----------
    centre_share
        What is kept of the resized shorter side, around the centre: 0.875 is 224 of 256. The longer side, too, is cut.
    """
    if images.shape[1:3] == (size, size) and centre_share == 1:
        return images
    left, top, right, bottom = middle((images.shape[2], images.shape[1]))
    images = images[:, top:bottom, left:right]
    # torchvision's own function takes this path too where there is AVX2 or Arm, and rounds otherwise elsewhere; to load
    # it takes as long as to load torch.
    (width, height), (left, top) = resized((images.shape[2], images.shape[1]), size, centre_share)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    parts = [
        F.interpolate(part, (height, width), mode="bilinear", align_corners=False, antialias=True)[
            ..., top : top + size, left : left + size
        ]
        for part in tensor.split(4096)
    ]
    return torch.cat(parts).permute(0, 2, 3, 1).contiguous().numpy()


def layout(device: torch.device) -> torch.memory_format:
    """Return the order in memory of maps and weights that suits a device: channels last, but channels first on CUDA.

    On an H100 (PyTorch 2.11, cuDNN 9.19) a depthwise convolution in channels last took 160 to 1,200 ms the first time
    that cuDNN met its shape, its gradients 180 to 1,500 ms, and 0.05 to 0.8 ms from then on; in channels first, where
    PyTorch has a kernel of its own, 0.2 to 3.5 ms from the first time on. Random subnets bring new shapes all the time.
    """
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last


def to_input(images: np.ndarray, device: torch.device | None = None) -> Tensor:
    """uint8 (n, H, W, channels), of a read-only map too -> float32 (n, channels, H, W) in [0, 1], in its `layout`."""
    # A copy, since torch takes no read-only array without a warning; as bytes, which is what travels to a GPU. From
    # locked memory they travel while it computes, and nobody waits for them.
    on_gpu = device is not None and device.type == "cuda"
    pixels = torch.empty(images.shape, dtype=torch.uint8, pin_memory=on_gpu)
    pixels.numpy()[...] = images
    there = pixels.to(device, non_blocking=on_gpu).permute(0, 3, 1, 2)
    return there.to(torch.float32, memory_format=layout(there.device)).div_(255)
