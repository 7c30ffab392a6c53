"""The superkernel: what its decisions spell is the supernet's own subnet, and what moves its thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from comparisons.strategies.single_path import fit_budget, log_latency
from comparisons.strategies.superkernel import Superkernel, indicator
from foxnas.space.arch import Arch
from foxnas.space.space import SearchSpace
from tests.supernet.test_supernet import shaken
from tests.support.kinds import CPU_LIKE, KINDS


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_decisions_are_the_supernets_subnets(space: SearchSpace, size: int) -> None:
    """All kept (thresholds at minus infinity), none (at infinity), and some, whatever they are."""
    network = Superkernel(shaken(space).double())
    x = torch.rand(8, space.image_channels, size, size, dtype=torch.float64)
    rng, count = np.random.default_rng(size), len(network.thresholds)
    infinite = [torch.full((count,), sign * torch.inf) for sign in (-1, 1)]
    drawn = [torch.tensor(rng.choice([-torch.inf, torch.inf], count, p=(0.8, 0.2))) for _ in range(6)]
    seen = []
    for thresholds in (*infinite, *drawn):
        network.thresholds.data = thresholds.double()
        decisions = indicator(network.margins()).detach()
        arch = network.arch([decision > 0.5 for decision in decisions.tolist()], size)
        seen.append(space.validate(arch))
        with torch.no_grad():
            torch.testing.assert_close(network(x, decisions), network.supernet(x, arch), rtol=1e-9, atol=1e-9)
    assert seen[:2] == [space.largest(size), space.smallest(size)]
    assert len(set(seen)) > 4


def test_at_the_beginning_everything_is_kept() -> None:
    margins = Superkernel(shaken(CPU_LIKE)).margins()
    torch.testing.assert_close(margins, torch.ones_like(margins))


def test_an_indicator_is_a_step_with_a_sigmoids_slope() -> None:
    margins = torch.tensor([-2.0, -1e-6, 0.0, 3.0], requires_grad=True)
    decisions = indicator(margins)
    assert decisions.tolist() == pytest.approx([0, 0, 1, 1], abs=1e-6)
    decisions.sum().backward()
    soft = margins.detach().sigmoid()
    torch.testing.assert_close(margins.grad, soft * (1 - soft))


def relaxed_ms(network: Superkernel, decisions: Sequence[float]) -> float:
    """A latency that is defined between decisions, too: every layer there is costs by its E and, squared, its K."""
    total = 1.0
    for unit, (choices, places) in enumerate(zip(network.space.choices, network.places, strict=True)):

        def grown(values: Sequence[int], at: slice) -> float:
            steps = zip(np.diff(values), np.cumprod(decisions[at]), strict=True)
            return values[0] + sum(step * kept for step, kept in steps)

        there = np.r_[1.0, np.cumprod(decisions[places.depth])]
        for layer, (kernels, ratios) in enumerate(zip(places.kernels, places.ratios, strict=True)):
            squares = grown([k * k for k in choices.kernel_sizes], kernels)
            cost = (0.3 + 0.1 * unit) * grown(choices.expansion_ratios, ratios) * (1 + 0.05 * squares)
            total += cost * there[sum(layer >= depth for depth in choices.depths)]
    return total


def spelt_ms(archs: Sequence[Arch]) -> np.ndarray:
    return np.array(
        [
            1.0 + sum((0.3 + 0.1 * unit) * e * (1 + 0.05 * k * k) for unit, u in enumerate(a.units) for k, e in u)
            for a in archs
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_latencys_gradient_is_that_of_finite_differences(seed: int) -> None:
    network = Superkernel(shaken(CPU_LIKE).double())
    rng = np.random.default_rng(seed)
    network.thresholds.data = torch.tensor(rng.choice([-1.0, 2.0], len(network.thresholds), p=(0.7, 0.3)))
    margins = network.margins()
    decisions = indicator(margins)
    decisions.retain_grad()
    found = log_latency(network, decisions, 32, spelt_ms)
    at = decisions.detach().round().numpy()
    assert found.item() == pytest.approx(np.log(relaxed_ms(network, at)))
    found.backward()
    assert decisions.grad is not None
    step = 1e-6
    for i, value in enumerate(at):
        moved = at.copy()
        moved[i] += -step if value else step
        slope = (np.log(relaxed_ms(network, moved)) - found.item()) / (moved[i] - value)
        assert decisions.grad[i].item() == pytest.approx(slope, rel=1e-4, abs=1e-8)
    soft = margins.detach().sigmoid()
    torch.testing.assert_close(network.thresholds.grad, -decisions.grad * soft * (1 - soft))


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_decisions_are_fitted_to_the_budget_by_their_margins(share: float) -> None:
    network = Superkernel(shaken(CPU_LIKE))
    count, everything = len(network.thresholds), CPU_LIKE.largest(32)
    budget_ms = share * float(spelt_ms([everything])[0])
    network.thresholds.data = torch.linspace(0, 0.9, count)
    found = fit_budget(network, 32, budget_ms, spelt_ms, 2.0)
    assert found.decided == everything
    assert found.latency_ms == spelt_ms([found.arch])[0] <= budget_ms
    # All of the largest margins is kept that can be; the first that cannot is one too many.
    prefixes = [network.arch([place < first for place in range(count)], 32) for first in range(count + 1)]
    first = max(i for i, arch in enumerate(prefixes) if spelt_ms([arch])[0] <= budget_ms)
    assert spelt_ms([prefixes[first]])[0] <= found.latency_ms
    # There is no room for anything else.
    for unit, layers in enumerate(found.arch.units):
        for layer, (kernel, ratio) in enumerate(layers):
            for larger in ((kernel + 2, ratio), (kernel, {2: 3, 3: 4, 4: 6, 6: 7}[ratio])):
                if larger in CPU_LIKE.layers():
                    assert spelt_ms([found.arch.with_layer(unit, layer, larger)])[0] > budget_ms
    # What a training decided for and has room stays as it is, and more is kept.
    network.thresholds.data = torch.full((count,), 2.0)
    assert fit_budget(network, 32, 1e9, spelt_ms, 2.0).arch == everything
