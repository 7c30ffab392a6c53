"""What to say when a batch does not fit the memory: how many images would.

A GPU's memory is whole again after a failure, so there it is tried. A process that ran out of its own is not: the C
library keeps what was freed, and where a step had failed a convolution of one image failed, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch

from foxnas.errors import FoxnasError

T = TypeVar("T")

#: PyTorch's allocator of processors' memory; and oneDNN, which says no more than this.
_SCARCE = ("can't allocate memory", "could not create a primitive")


def out_of_memory(error: BaseException) -> bool:
    """Return whether PyTorch or NumPy has run out of memory, a GPU's or this machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SCARCE)


def fitting_batch(images: int, attempt: Callable[[int], object]) -> int:
    """Return how many images an attempt has memory for, of half of them, a quarter and so on; 0: not even for one."""
    while images := images // 2:
        torch.cuda.empty_cache()
        try:
            attempt(images)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        else:
            return images
    return 0


def within_memory(
    work: Callable[[], T],
    what: str,
    key: str,
    images: int,
    size: int,
    attempt: Callable[[int], object],
    device: torch.device,
    more: str = "",
) -> T:
    """Return the result of some work.

    Parameters
    ----------
    what
        What the work does with so many images, of which size.
    key
        The config's key of `images`.
    size
        Of the largest of them, in pixels.
    attempt
        Does what takes most memory with a number of images.
    device
        Where all of this happens.
    more
        Another way out.

    Raises
    ------
    FoxnasError
        There is too little memory; says how many images fit on a GPU, and half of them on processors, or up to which
        size all of them do: as large as so few have memory for, since activations grow with the pixels.
    """
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # Out here, without the error's traceback, nothing holds any longer what the work held.
    if device.type == "cuda":
        fit = fitting_batch(images, attempt)
        way_out = f"{fit} at a time fit: write {key}: {fit}{more}" if fit else "not even one image fits"
    else:
        fit = max(images // 2, 1)
        way_out = f"write {key}: {fit} or less{more}"
    smaller = f"images of {math.isqrt(size * size * fit // images)} px or less" if fit else "smaller images"
    raise FoxnasError(f"out of memory: {what}; {way_out}, or take {smaller} (space.image_sizes)")
