"""Subnets made ready to be evaluated: extracted, with batch-norm statistics of their own, folded.

A batch norm's statistics depend on what lies before it alone. So subnets that begin alike have the same statistics, and
the same activations, up to where they part: these are computed once, bit for bit what each would have by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foxnas.accuracy.hardware import PROCESSORS, Hardware
from foxnas.accuracy.memory import HELD_BYTES
from foxnas.accuracy.sharing import Trail, segments
from foxnas.files.arrays import ArraysBySize
from foxnas.images.pixels import to_input
from foxnas.space.arch import Arch
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import ConvNorm, Subnet, fold


@torch.inference_mode()
def recalibrate(subnet: Subnet, batches: Iterable[Tensor]) -> Subnet:
    """Estimate every batch norm's statistics from batches of calibration images, in place.

    Each batch is normalised by its own mean and biased variance, and these are averaged over the batches, weighted by
    their images: what `set_running_statistics` of Once-for-All does. A subnet's statistics are its own: with the
    largest subnet's, random subnets lose tens of points.
    """
    _exhaust(_calibrating(subnet, Subnet.forward, batches))
    return subnet


def _calibrating(
    module: nn.Module, forward: Callable[[Any, Tensor], Tensor], batches: Iterable[Tensor]
) -> Iterator[Tensor]:
    """Estimate the statistics of a part of a subnet, and yield what it makes of each batch."""
    for part in module.modules():
        if isinstance(part, ConvNorm):
            part.images_seen = 0
    module.train()
    for batch in batches:
        yield forward(module, batch)
    module.eval()


class Preparation:
    """How every subnet of a job is made ready: out of one supernet, with the same calibration images.

    The stem and the first block are the same in every subnet of one image size, and so are their statistics: they are
    made ready once, and the subnets share them.

    Parameters
    ----------
    supernet
        Where the weights come from.
    calibration
        uint8 images by size; the first `images` of a subnet's size estimate its statistics.
    batch_size
        Images at once.
    hardware
        Where subnets are made ready, always in float32.
    """

    def __init__(
        self,
        supernet: Supernet,
        calibration: ArraysBySize,
        images: int,
        batch_size: int,
        hardware: Hardware = PROCESSORS,
    ) -> None:
        self._supernet, self._calibration = supernet.to(hardware.device), calibration
        self._images, self._batch_size, self._hardware = images, batch_size, hardware
        self._held: tuple[int, _Part] | None = None

    def subnet(self, arch: Arch) -> Subnet:
        """Return the folded static subnet with its own statistics. Raises FoxnasError like `ArraysBySize.at`."""
        return next(self.subnets([arch]))

    @torch.inference_mode()
    def subnets(self, archs: Sequence[Arch]) -> Iterator[Subnet]:
        """Yield them one by one; neighbours share the blocks that they begin with, and what made those ready.

        Raises FoxnasError like `ArraysBySize.at`.
        """
        blocks: list[nn.Module] = []
        for arch, own in zip(archs, segments([_steps(arch) for arch in archs]), strict=True):
            subnet = Subnet(self._supernet, arch, blocks[: own[0].begin])
            blocks = list(subnet.blocks)
            beginning = self._begun(subnet)
            if not own[0].begin:
                trail: Trail[_Part] = Trail(beginning)
            for segment in own[:-1]:
                before = trail.before(segment)
                part = nn.Sequential(*blocks[segment.begin : segment.end])
                room = HELD_BYTES - sum(one.held_bytes for one in trail)
                trail.keep(segment, _Part(part, nn.Sequential.forward, before.batches, room))
            rest = partial(Subnet.rest, begin=own[-1].begin)
            _exhaust(_calibrating(subnet, rest, trail.before(own[-1]).batches()))
            yield subnet.fold()

    def _begun(self, subnet: Subnet) -> _Part:
        """Give a subnet the stem and the first block of its size, and return what they make of the images."""
        size = subnet.arch.image_size
        if self._held is None or self._held[0] != size:
            pixels = self._calibration.at(size)[: self._images]
            images = partial(_batches, pixels, self._batch_size, self._hardware)
            self._held = size, _Part(copy.deepcopy(subnet), Subnet.beginning, images, HELD_BYTES)
        part = self._held[1]
        subnet.stem, subnet.first = part.module.stem, part.module.first
        return part

    @torch.inference_mode()
    def attempt(self, size: int, images: int) -> None:
        """Do what takes most memory with so many images: the largest subnet, each batch with its own statistics."""
        space = self._supernet.space
        x = torch.zeros(images, space.image_channels, size, size, device=self._hardware.device)
        Subnet(self._supernet, space.largest(size)).train()(x)


def _steps(arch: Arch) -> list[Hashable]:
    """Return what its blocks are, and its end."""
    blocks = [(arch.image_size, u, i, layer) for u, unit in enumerate(arch.units) for i, layer in enumerate(unit)]
    return [*blocks, "end"]


def _exhaust(batches: Iterable[Tensor]) -> None:
    for _ in batches:
        pass


def _batches(pixels: np.ndarray, batch_size: int, hardware: Hardware) -> Iterator[Tensor]:
    for start in range(0, len(pixels), batch_size):
        yield to_input(pixels[start : start + batch_size], hardware.device)


class _Part:
    """Part of a subnet with its statistics, and what it makes of the calibration images.

    That is held if it fits into `room_bytes`, and computed anew whenever it is asked for if not.
    """

    def __init__(
        self,
        module: Any,
        forward: Callable[[Any, Tensor], Tensor],
        before: Callable[[], Iterable[Tensor]],
        room_bytes: int,
    ) -> None:
        self.module, self._forward, self._before = module, forward, before
        self._outputs: list[Tensor] | None = []
        self.held_bytes = 0
        for output in _calibrating(module, forward, before()):
            if self._outputs is not None:
                self._outputs.append(output)
                self.held_bytes += output.nbytes
                if self.held_bytes > room_bytes:
                    self._outputs, self.held_bytes = None, 0
        self._unfolded = copy.deepcopy(module) if self._outputs is None else None
        fold(module)

    def batches(self) -> Iterator[Tensor]:
        """Yield what comes out of it, batch by batch."""
        if self._outputs is not None:
            return iter(self._outputs)
        assert self._unfolded is not None
        return _calibrating(self._unfolded, self._forward, self._before())
