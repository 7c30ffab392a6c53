"""What networks begin alike with is computed once, against a count of the beginnings that there are."""

from __future__ import annotations

import numpy as np
import pytest

from foxnas.accuracy.sharing import Trail, segments


def computed(networks: list[str]) -> tuple[list[str], list[str], list[float]]:
    """What networks of letters come to, each step that was taken for it, and each network's share of them."""
    trail, results, taken = Trail(""), [], []
    shares = np.zeros(len(networks))
    for number, own in enumerate(segments(networks)):
        for segment in own:
            made = trail.before(segment)
            for step in networks[number][segment.begin : segment.end]:
                made += step
                taken.append(made)
                shares[number : number + segment.users] += 1 / segment.users
            if segment is not own[-1]:
                trail.keep(segment, made)
        results.append(made)
    return results, taken, shares.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_every_beginning_is_computed_once(seed: int) -> None:
    """Sorted networks of up to six steps of three kinds, and an end of their own."""
    rng = np.random.default_rng(seed)
    networks = sorted("".join(rng.choice(list("abc"), rng.integers(0, 7))) + "." for _ in range(30))
    results, taken, shares = computed(networks)
    assert results == networks
    beginnings = {network[:end] for network in networks for end in range(1, len(network))}
    assert sorted(taken) == sorted([*beginnings, *networks])
    assert sum(shares) == pytest.approx(len(taken))
    users = {one: sum(network[:-1].startswith(one) for network in networks) for one in beginnings}
    assert shares == pytest.approx([1 + sum(1 / users[n[:end]] for end in range(1, len(n))) for n in networks])


def test_in_any_order_neighbours_share_and_results_are_right() -> None:
    networks = ["abc.", "abd.", "xb.", "abd.", "a.", "abd."]
    results, taken, _ = computed(networks)
    assert results == networks
    assert len(taken) == len("abc.") + len("d.") + len("xb.") + len("abd.") + len(".") + len("bd.")


def test_of_one_network_or_none_nothing_is_shared() -> None:
    assert segments([]) == []
    assert computed(["ab."])[0] == ["ab."]
