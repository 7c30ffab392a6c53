"""Small published images, set in a larger scene."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from foxnas.files.progress import follow


def set_in_scene(
    images: np.ndarray,
    canvas: int,
    smallest_scale: float,
    largest_angle: float,
    rng: np.random.Generator,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Put images on a black canvas at a random scale, angle and place, wholly inside when not turned.

    A network that is too rich for its task makes all architectures equal; this makes the task harder.

    Parameters
    ----------
    images
        uint8 (n, H, W, channels).
    canvas
        Side of the square canvas, in pixels.
    smallest_scale
        Scales are uniform from this share of the canvas' side to all of it.
    largest_angle
        Angles are uniform between plus and minus this, in degrees.
    rows
        Which images; by default all. One is set in the same scene, whichever others are.

    Returns
    -------
    ndarray
        uint8 (rows, canvas, canvas, channels).
    """
    n, _, _, channels = images.shape
    scale = rng.uniform(smallest_scale, 1.0, n)
    angle = np.deg2rad(rng.uniform(-largest_angle, largest_angle, n))
    shift_x, shift_y = ((1 - scale) * rng.uniform(-1, 1, n) for _ in range(2))
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    maps = [[cos, sin, -(cos * shift_x + sin * shift_y)], [-sin, cos, sin * shift_x - cos * shift_y]]
    affine = torch.from_numpy(np.stack([np.stack(one, 1) for one in maps], 1)).float()
    rows = np.arange(n) if rows is None else rows
    placed = np.empty((len(rows), canvas, canvas, channels), np.uint8)
    blocks = range(0, len(rows), 4096)
    for start in follow(blocks, len(blocks), "blocks of 4,096 images set in a scene"):
        part = rows[start : start + 4096]
        pixels = torch.tensor(images[part]).permute(0, 3, 1, 2).float()
        grid = F.affine_grid(affine[part], [len(pixels), channels, canvas, canvas], align_corners=False)
        drawn = F.grid_sample(pixels, grid, align_corners=False).round_().clamp_(0, 255)
        placed[start : start + 4096] = drawn.to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return placed
