"""A race of candidates: its test against every population that may be, and how often it drops the best."""

from __future__ import annotations

import numpy as np
from scipy import stats

from benchmarks.racing import ERROR, beaten_by_chance, close_rivals, race, simulate


def test_the_chance_is_that_of_the_worst_population() -> None:
    seen, images = 30, 48
    for discordant in range(1, 25):
        wins = np.arange(discordant + 1)
        found = beaten_by_chance(wins, discordant - wins, seen, images)
        populations = (
            stats.hypergeom.sf(wins - 1, every, at_most, discordant)
            for every in range(discordant, discordant + images - seen + 1)
            for at_most in range(every // 2 + 1)
        )
        worst = np.max(list(populations), axis=0)
        assert (found >= worst - 1e-12).all()
        # No more than one more image makes it: nor is it far above.
        assert (found <= np.maximum(worst * 1.2, worst + 0.03)).all()


def test_the_best_is_dropped_as_seldom_as_stated() -> None:
    # By one image it leads 7 others, the closest that rivals can come.
    saved, lost = simulate(close_rivals(8, 2000, 0.1, np.random.default_rng(0)), 1000, np.random.default_rng(1))
    assert lost <= ERROR
    assert saved < 0.01


def test_a_clearly_beaten_candidate_is_dropped_early_and_nobody_else() -> None:
    rng = np.random.default_rng(0)
    good = rng.random(8000) < 0.9
    bad = good & (rng.random(8000) < 0.9)
    found = race(np.array([good, bad]), rng.permutation(8000))
    assert found.dropped.tolist() == [False, True]
    assert found.seen.tolist() == [8000, 1000]
