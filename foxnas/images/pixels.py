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


def to_input(images: np.ndarray, device: torch.device | None = None) -> Tensor:
    """uint8 (n, H, W, channels), of a read-only map too -> float32 (n, channels, H, W) in [0, 1], channels_last."""
    # A copy, since torch takes no read-only array without a warning; as bytes, which is what travels to a GPU. From
    # locked memory they travel while it computes, and nobody waits for them.
    on_gpu = device is not None and device.type == "cuda"
    pixels = torch.empty(images.shape, dtype=torch.uint8, pin_memory=on_gpu)
    pixels.numpy()[...] = images
    return pixels.to(device, non_blocking=on_gpu).permute(0, 3, 1, 2).float().div_(255)
