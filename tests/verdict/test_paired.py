"""What int8 costs in accuracy: bounds of a paired difference, and the verdict on it."""

import numpy as np
import pytest
from scipy import optimize, stats

from foxnas.errors import FoxnasError
from foxnas.verdict.paired import decide_drop, discordant, drop_bounds, packed

Z = float(stats.norm.ppf(0.95))


@pytest.mark.parametrize("images", [10, 1000, 10_000])
def test_without_a_discordant_image_the_bounds_are_the_closed_form(images: int) -> None:
    """Tango (1998), section 3: z^2 / (n + z^2) on either side."""
    lower, upper = drop_bounds(0, 0, images)
    assert upper == pytest.approx(100 * Z**2 / (images + Z**2))
    assert lower == pytest.approx(-upper)


@pytest.mark.parametrize(("lost", "won", "images"), [(30, 25, 1000), (15, 2, 1000), (3, 0, 200), (40, 60, 500)])
def test_bounds_are_where_the_score_test_rejects(lost: int, won: int, images: int) -> None:
    """A second implementation: the nuisance probability by maximising the likelihood, numerically."""
    for bound, limit in zip(drop_bounds(lost, won, images), (Z, -Z), strict=True):
        d = bound / 100

        def loss(only_won: float, d: float = d) -> float:
            only_lost, same = only_won + d, 1 - 2 * only_won - d
            return -(
                lost * np.log(only_lost) + won * np.log(max(only_won, 1e-300)) + (images - lost - won) * np.log(same)
            )

        low, high = max(0.0, -d), (1 - d) / 2
        only_won = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
        score = (lost - won - images * d) / np.sqrt(images * (2 * only_won + d - d * d))
        assert score == pytest.approx(limit, abs=2e-3)


def test_bounds_mirror_when_the_models_change_places() -> None:
    lower, upper = drop_bounds(12, 5, 300)
    assert drop_bounds(5, 12, 300) == pytest.approx((-upper, -lower), abs=1e-6)
    assert lower < 100 * 7 / 300 < upper


@pytest.mark.parametrize(("loss", "noise"), [(0.01, 0.01), (0.01, 0.03), (0.0, 0.002)])
def test_wrong_verdicts_stay_within_the_error(loss: float, noise: float) -> None:
    """A true loss at the very edge, 1,000 images: called kept in about 5%, where the plain difference says 50%."""
    rng, images, runs = np.random.default_rng(0), 1000, 4000
    drawn = rng.multinomial(images, [noise + loss, noise, 1 - 2 * noise - loss], size=runs)
    verdicts = [decide_drop(int(lost), int(won), images, 100 * loss).state for lost, won, _ in drawn]
    assert verdicts.count("kept") / runs <= 0.062
    assert verdicts.count("not kept") / runs <= 0.062


def test_a_loss_half_a_point_beyond_the_limit_is_hardly_ever_called_kept() -> None:
    rng, images = np.random.default_rng(1), 1000
    drawn = rng.multinomial(images, [0.025, 0.010, 0.965], size=2000)
    by_rule = np.mean([decide_drop(int(b), int(c), images, 1.0).state == "kept" for b, c, _ in drawn])
    by_difference = np.mean((drawn[:, 0] - drawn[:, 1]) / images <= 0.01)
    assert by_rule < 0.01 < 0.15 < by_difference


def test_a_verdict_that_is_open_says_why() -> None:
    found = decide_drop(20, 10, 1000, 1.0)
    assert found.state == "undecided"
    assert found.reason == f"1000 test images place the loss between {found.lower:.2f} and {found.upper:.2f} points"
    assert decide_drop(20, 10, 1000, 3.0).state == "kept"
    assert decide_drop(50, 10, 1000, 1.0).state == "not kept"


def test_answers_are_paired_image_by_image() -> None:
    rng = np.random.default_rng(2)
    of_float, of_int8 = rng.random(1003) < 0.8, rng.random(1003) < 0.7
    lost, won = discordant(packed(of_float), packed(of_int8), 1003)
    assert (lost, won) == ((of_float & ~of_int8).sum(), (~of_float & of_int8).sum())
    with pytest.raises(FoxnasError, match="not of the same 1003 images"):
        discordant(packed(of_float), packed(of_int8[:900]), 1003)
