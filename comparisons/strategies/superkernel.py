"""The superkernel of Single-Path NAS (Stamoulis et al., 2019, arXiv 1904.02877): all subnets in one network's path.

A decision keeps or drops a group of weights: what a larger kernel adds to a smaller one, the channels that a larger
expansion ratio adds, the layers that a larger depth adds. It is kept where the norm of the group is at least a trained
threshold, and the indicator of that is 0 or 1 forward, a sigmoid backward: `Indicator`, `norm5x5 - t5x5` and
`depthwise_kernel_masked` of the authors' code (nas-search/superkernel.py). A larger choice counts only where every
smaller one is kept, as theirs (`d50c * (kernel_50c + d100c * kernel_100c)`).

Three departures. Norms are those of the weights as they are, in units of what they were at the beginning, so that
thresholds of all groups are of one size; theirs are absolute, and a channel's is that of its masked kernel. Dropped
channels are masked behind batch norm and activation, and inside the gate, so that the network is exactly the subnet
that its decisions spell, where theirs lets the bias of a dropped channel through. And a unit's layers go from the last
one on, since that is what depth means here.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foxnas.space.arch import Arch
from foxnas.space.layers import FUSED
from foxnas.supernet.elastic import ElasticBlock, activate, conv_padded
from foxnas.supernet.model import Supernet


class Places(NamedTuple):
    """Where a unit's decisions stand: one for each choice after the first of its depth, and of each layer's K and E."""

    depth: slice
    kernels: list[slice]
    ratios: list[slice]


def indicator(margin: Tensor) -> Tensor:
    """Return 1 where a margin is at least 0, else 0; its gradient is the sigmoid's."""
    soft = margin.sigmoid()
    return ((margin >= 0).to(soft) - soft).detach() + soft


class Superkernel(nn.Module):
    """A supernet with a threshold for every decision.

    Forward takes images (N, channels, H, W) in [0, 1] and the decisions' values, and returns logits (N, classes).

    Parameters
    ----------
    supernet
        Trained with it, in place.
    """

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet, self.space = supernet, supernet.space
        self.places, count = [], 0

        def next_places(choices: Sequence[int]) -> slice:
            nonlocal count
            count += len(choices) - 1
            return slice(count - len(choices) + 1, count)

        for unit in self.space.choices:
            layers = range(unit.depths[-1])
            self.places.append(
                Places(
                    next_places(unit.depths),
                    [next_places(unit.kernel_sizes) for _ in layers],
                    [next_places(unit.expansion_ratios) for _ in layers],
                )
            )
        with torch.no_grad():
            norms = self.norms()
        self.initial: Tensor
        self.register_buffer("initial", norms.clamp_min(1e-12))
        self.thresholds = nn.Parameter(torch.zeros_like(norms))

    def norms(self) -> Tensor:
        """Return the norm of every decision's group of weights: (decisions,)."""
        found: dict[int, Tensor] = {}
        for choices, places, blocks in zip(self.space.choices, self.places, self._blocks, strict=True):
            for at, (fewer, more) in zip(_of(places.depth), pairwise(choices.depths), strict=True):
                found[at] = torch.cat(
                    [
                        _channels(b)[: b.spec.in_width * choices.expansion_ratios[0]].flatten()
                        for b in blocks[fewer:more]
                    ]
                ).norm()
            for block, kernels, ratios in zip(blocks, places.kernels, places.ratios, strict=True):
                if kernels.stop > kernels.start:
                    shells = _shells(block, choices.kernel_sizes)[1:]
                    found |= {at: shell.norm() for at, shell in zip(_of(kernels), shells, strict=True)}
                for at, (less, more) in zip(_of(ratios), pairwise(choices.expansion_ratios), strict=True):
                    found[at] = _channels(block)[block.spec.in_width * less : block.spec.in_width * more].norm()
        return torch.stack([found[at] for at in range(len(found))])

    def margins(self) -> Tensor:
        """Return by how much every norm is above its threshold, in units of what it was at the beginning."""
        return self.norms() / self.initial - self.thresholds

    @torch.no_grad()
    def move_thresholds(self, rates: Tensor, largest_margin: float) -> None:
        """Let the thresholds follow their gradients, at a rate each, as far as margins stay within the largest."""
        assert self.thresholds.grad is not None
        self.thresholds.sub_(rates * self.thresholds.grad)
        margins = self.margins()
        self.thresholds.add_(margins - margins.clamp(-largest_margin, largest_margin))

    def reached(self, kept: Sequence[bool]) -> list[bool]:
        """Return which decisions are kept and have every smaller choice of their knob kept, too."""
        found = list(kept)
        for unit in self.places:
            for places in (unit.depth, *unit.kernels, *unit.ratios):
                found[places] = accumulate(found[places], operator.and_)
        return found

    def arch(self, kept: Sequence[bool], image_size: int) -> Arch:
        """Return the subnet that decisions spell."""

        def choice(choices: Sequence[int], places: slice) -> int:
            return choices[[*kept[places], False].index(False)]

        units = []
        for choices, places in zip(self.space.choices, self.places, strict=True):
            layers = zip(places.kernels, places.ratios, strict=True)
            every = [(choice(choices.kernel_sizes, k), choice(choices.expansion_ratios, e)) for k, e in layers]
            units.append(tuple(every[: choice(choices.depths, places.depth)]))
        return Arch(image_size, tuple(units))

    def forward(self, x: Tensor, decisions: Tensor) -> Tensor:
        space = self.space
        x = self.supernet.beginning(x)
        for choices, places, blocks in zip(space.choices, self.places, self._blocks, strict=True):
            deeper = decisions[places.depth].cumprod(0)
            for layer, block in enumerate(blocks):
                steps = sum(layer >= depth for depth in choices.depths)
                y = _masked(
                    block, x, choices.kernel_sizes, decisions[places.kernels[layer]].cumprod(0),
                    choices.expansion_ratios, decisions[places.ratios[layer]].cumprod(0),
                )  # fmt: skip
                y = y if not steps else y * deeper[steps - 1]
                x = x + y if block.spec.residual else y
        net = self.supernet
        x = activate(net.head_norm(F.conv2d(x, net.head.weight)), space.head_activation).mean((2, 3), keepdim=True)
        if space.mix_width:
            x = activate(net.mix(x), space.head_activation)
        return net.classifier(x.flatten(1))

    @property
    def _blocks(self) -> list[list[ElasticBlock]]:
        return [[cast(ElasticBlock, block) for block in cast(nn.ModuleList, unit)] for unit in self.supernet.units]


def _of(places: slice) -> range:
    return range(places.start, places.stop)


def _channels(block: ElasticBlock) -> Tensor:
    """Return the weights that tell a block's hidden channels apart: those of its spatial convolution."""
    return block.depthwise.weight if hasattr(block, "depthwise") else block.expand.weight


def _shells(block: ElasticBlock, kernel_sizes: Sequence[int]) -> list[Tensor]:
    """Return the smallest kernel and what each larger one adds to the one before, in the frame of the largest."""
    channels, largest = len(block.depthwise.weight), kernel_sizes[-1]
    whole = [F.pad(block.depthwise.slice(k, channels), [(largest - k) // 2] * 4) for k in kernel_sizes]
    return [whole[0], *(more - less for less, more in pairwise(whole))]


def _stepped(values: Sequence[int], larger: Tensor) -> Tensor:
    """Return ones for the smallest of ascending counts, and the decisions' values for what each larger one adds."""
    added = [more - less for less, more in pairwise(values)]
    return torch.cat([larger.new_ones(values[0]), *(d.expand(n) for d, n in zip(larger, added, strict=True))])


def _masked(
    block: ElasticBlock, x: Tensor, kernel_sizes: Sequence[int], kernels: Tensor, ratios: Sequence[int], larger: Tensor
) -> Tensor:
    """Return what a block adds or makes, with decisions for each larger kernel and expansion ratio."""
    spec, y = block.spec, x
    if hasattr(block, "expand"):
        stride = spec.stride if spec.type == FUSED else 1
        y = conv_padded(y, block.expand.weight, None, stride, 1, block.padding)
        y = activate(block.expand_norm(y), spec.activation)
    if hasattr(block, "depthwise"):
        weight, *shells = _shells(block, kernel_sizes)
        for shell, decision in zip(shells, kernels, strict=True):
            weight = weight + decision * shell
        y = conv_padded(y, weight, None, spec.stride, y.shape[1], block.padding)
        y = activate(block.depthwise_norm(y), spec.activation)
    hidden = [spec.in_width * ratio for ratio in ratios]
    y = y * _stepped(hidden, larger).view(-1, 1, 1)
    if (gate := block.gate) is not None:
        reduce_w, reduce_b, expand_w, expand_b = gate.slice(hidden[-1])
        squeezed = activate(F.conv2d(y.mean((2, 3), keepdim=True), reduce_w, reduce_b), gate.rule.activation)
        squeezed = squeezed * _stepped([gate.rule.width(width) for width in hidden], larger).view(-1, 1, 1)
        y = y * F.hardsigmoid(F.conv2d(squeezed, expand_w, expand_b))
    return block.project_norm(F.conv2d(y, block.project.weight))
