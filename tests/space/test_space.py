"""What a subnet is, how many there are, how they are drawn."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foxnas.errors import FoxnasError
from foxnas.settings.section import canonical
from foxnas.space.arch import Arch
from foxnas.space.config import read_space, shipped_spaces
from foxnas.space.layers import SqueezeExcite, UnitSpec
from foxnas.space.space import SearchSpace
from tests.support.kinds import PER_UNIT
from tests.support.published import CPU_SPACE

DIGESTS = {
    "cpu": "d5399b48a42618c6",
    "tpu": "74c579b720de945c",
    "mini": "5b3c993f393b69ca",
    "ofa_mbv3_d234_e346_k357_w1.0": "fdfd44ff6971d244",
    "ofa_mbv3_d234_e346_k357_w1.2": "ad79eb03e8c9c1d9",
}


@pytest.mark.parametrize(
    ("name", "count", "rounded"),
    [
        # Section 3.1 of the paper: 4.1 x 10^22 and 3.7 x 10^13, seven image sizes included.
        ("cpu", 7 * (12**2 + 12**3 + 12**4) ** 5, "4.1e+22"),
        ("tpu", 7 * (3**3 + 3**4 + 3**5) ** 5, "3.7e+13"),
        # Once-for-All's paper, section 3.2: about 2 x 10^19 for one image size.
        ("ofa_mbv3_d234_e346_k357_w1.0", 7 * (9**2 + 9**3 + 9**4) ** 5, "1.5e+20"),
        ("ofa_mbv3_d234_e346_k357_w1.2", 7 * (9**2 + 9**3 + 9**4) ** 5, "1.5e+20"),
        ("mini", 7 * (12**2 + 12**3 + 12**4) ** 5, "4.1e+22"),
        # K fixed in three units: 3 layers, otherwise 6.
        # Two units fused, K = 3 and E of two choices; in the others both K and three E.
        ("pi5", 6 * (2 + 4) * (2 + 4 + 8) * (6**2 + 6**3 + 6**4) ** 3, "1.9e+12"),
        ("lite0", 5 * (3 + 9) * (6 + 36) * (3 + 9 + 27) * (6 + 36 + 216) * (36 + 216 + 1296) * 3, "1.2e+11"),
        (
            "lite1",
            6 * (3 + 9 + 27) * (6 + 36 + 216) * (9 + 27 + 81) * (36 + 216 + 1296) * (216 + 1296 + 7776) * 3,
            "3.0e+14",
        ),
    ],
)
def test_shipped_spaces_have_the_published_sizes(name: str, count: int, rounded: str) -> None:
    space = read_space(name)
    assert (space.name, space.count(), f"{space.count():.1e}") == (name, count, rounded)
    assert name in shipped_spaces()
    assert SearchSpace.from_record(json.loads(json.dumps(space.record()))) == space


def test_ofa_widths_follow_their_multiplier() -> None:
    def scaled(width: int) -> int:  # Once-for-All's make_divisible(1.2 * width, 8)
        rounded = int(width * 1.2 + 4) // 8 * 8
        return rounded + 8 if rounded < 0.9 * 1.2 * width else rounded

    one, other = (read_space(f"ofa_mbv3_d234_e346_k357_w{w}") for w in ("1.0", "1.2"))
    pairs = [(one.stem_width, other.stem_width), (one.head_width, other.head_width), (one.mix_width, other.mix_width)]
    pairs += [(a.width, b.width) for a, b in zip(one.units, other.units, strict=True)]
    assert [scaled(a) for a, _ in pairs] == [b for _, b in pairs]


@pytest.mark.parametrize("hidden", [8, 17, 48, 72, 100, 240, 576, 960])
def test_squeeze_widths_are_rounded_as_mobilenets_are(hidden: int) -> None:
    # make_divisible(hidden // 4, 8), MobileNet's rule as Once-for-All applies it; and ours, at least 4, unrounded.
    rounded = max(8, int(hidden // 4 + 4) // 8 * 8)
    expected = rounded + 8 if rounded < 0.9 * (hidden // 4) else rounded
    assert SqueezeExcite(4, 8, 8, "relu").width(hidden) == expected
    assert SqueezeExcite().width(hidden) == max(4, hidden // 4)


def test_a_user_declares_a_space_in_a_file_or_on_top_of_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: tpu\nname: mine\nimage_sizes: [160]\nclasses: 10\n")
    assert read_space(str(path)) == replace(read_space("tpu"), name="mine", image_sizes=(160,), classes=10)
    with pytest.raises(FoxnasError, match=r"'tpv' is neither shipped \(cpu, lite0, .*\) nor a file"):
        read_space("tpv")
    path.write_text("base: tpu\nname: mine\nimage_size: [160]\n")
    with pytest.raises(FoxnasError, match="image_size: Extra inputs"):
        read_space(str(path))
    path.write_text(f"base: {path}\nname: mine\n")
    with pytest.raises(FoxnasError, match="its base leads back to itself"):
        read_space(str(path))


def test_a_tiny_space_is_counted_by_listing_it() -> None:
    tiny = replace(
        CPU_SPACE,
        image_sizes=(32, 64),
        kernel_sizes=(3,),
        expansion_ratios=(2, 3),
        depths=(2,),
        units=CPU_SPACE.units[:2],
    )
    drawn = {arch for size in tiny.image_sizes for arch in islice(tiny.sample(size, np.random.default_rng(0)), 16)}
    assert len(drawn) == tiny.count() == 32


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(CPU_SPACE.image_sizes))
def test_text_is_the_inverse_of_parsing(seed: int, size: int) -> None:
    arch = CPU_SPACE.draw(size, np.random.default_rng(seed))
    again = CPU_SPACE.parse(arch.text)
    assert (again, again.id) == (arch, arch.id)
    alike = Arch(arch.image_size, tuple((unit[0], *sorted(unit[1:])) for unit in arch.units))
    assert CPU_SPACE.validate(alike) == alike


def test_the_first_n_of_a_larger_sample_are_the_smaller_sample(mini: SearchSpace) -> None:
    few = list(islice(mini.sample(28, np.random.default_rng(7)), 300))
    many = list(islice(mini.sample(28, np.random.default_rng(7)), 400))
    assert many[:300] == few
    assert len(set(many)) == 400


def test_sampling_is_uniform_over_knobs(mini: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    units = [unit for _ in range(3000) for unit in mini.draw(28, rng).units]
    depths = Counter(len(unit) for unit in units)
    # Chi-square with 2 degrees of freedom stays below 13.8 in 99.9% of samples.
    expected = len(units) / 3
    assert sum((depths[d] - expected) ** 2 / expected for d in mini.depths) < 13.8
    layers = Counter(layer for unit in units for layer in unit)
    expected = sum(layers.values()) / 12
    assert sum((layers[value] - expected) ** 2 / expected for value in mini.layers()) < 31.3  # 11 degrees of freedom


def test_an_exhausted_space_says_so() -> None:
    tiny = replace(CPU_SPACE, kernel_sizes=(3,), expansion_ratios=(2, 3), depths=(2,), units=CPU_SPACE.units[:1])
    with pytest.raises(FoxnasError, match="ran out of new subnets after 4"):
        list(islice(tiny.sample(128, np.random.default_rng(0)), 5))


def test_neighbours_differ_in_one_knob_and_neighbourhood_is_mutual(mini: SearchSpace) -> None:
    arch = mini.draw(28, np.random.default_rng(3))
    found = list(mini.neighbours(arch))
    assert len(set(found)) == len(found)
    assert arch not in found
    for other in found:
        mini.validate(other)
        if other.depths == arch.depths:  # a dropped layer cannot be known again
            assert arch in set(mini.neighbours(other))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r28_k3e2", "has 1 units, space mini has 5"),
        ("r30_" + "_".join(["k3e2.k3e2"] * 5), "image size 30 is not one of"),
        ("r28_" + "_".join(["k3e2"] * 5), "depth 1 of unit 1 is not one of"),
        ("r28_" + "_".join(["k3e2.k9e2"] * 5), "layer k9e2 of unit 1 is outside"),
        ("28_k3e2", "is not an architecture"),
        ("r28_k3e2.", "unit 'k3e2.' is not"),
        ("", "is not an architecture"),
    ],
)
def test_a_text_outside_the_space_is_refused_by_name(mini: SearchSpace, text: str, message: str) -> None:
    with pytest.raises(FoxnasError, match=message):
        mini.parse(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_sizes": (3, 4)}, "must be odd"),
        ({"depths": (0, 2)}, "must be ascending positive integers"),
        ({"expansion_ratios": (3, 2)}, "must be ascending"),
        ({"image_sizes": ()}, "must be ascending positive integers"),
        ({"units": ()}, "units is empty"),
        ({"units": (UnitSpec(8, 1, 3),)}, r"fused units .* kernel_sizes must be \[3\], not \[3, 5, 7\]"),
        ({"units": (UnitSpec(8, 1, 2, depths=(3, 2)),)}, r"units.0.depths \[3, 2\] must be ascending"),
        ({"units": (UnitSpec(8, 1, 2, depths=()),)}, r"units.0.depths \[\] must be ascending"),
        (
            {"units": (UnitSpec(8, 1, 2, depths=(1, 2)),)},
            r"units.0.depths has 1, which is not among the space's depths \[2, 3, 4\]; add it there",
        ),
        (
            {"units": (UnitSpec(8, 1, 2, kernel_sizes=(3, 5)), UnitSpec(8, 1, 3, kernel_sizes=(3,)))},
            "kernel_sizes has 7, which none of its units has; leave it out",
        ),
        (
            {"units": (UnitSpec(8, 1, 2), UnitSpec(8, 1, 2, "relu6", 3, kernel_sizes=(3, 5)))},
            r"fused units .* kernel_sizes must be \[3\], not \[3, 5\]; such a unit can have its own",
        ),
        (
            {"first_width": 6},
            r"makes 6 channels \(first_width\) of 4, so it cannot add its input; write first_residual",
        ),
        ({"normalisation": "lite"}, "normalisation lite is of 3 image_channels, not 1"),
        (
            {"size_divisor": 8},
            "image size 20 is not a multiple of size_divisor 8, as every size of this space must be; take 16 or 24",
        ),
    ],
)
def test_an_impossible_space_is_refused(mini: SearchSpace, change: dict[str, object], message: str) -> None:
    with pytest.raises(FoxnasError, match=message):
        replace(mini, **change)  # type: ignore[arg-type]


def test_units_have_choices_of_their_own() -> None:
    space = PER_UNIT
    # Fused: 2 + 2^2; gated: 6 + 6^2 + 6^3; two layers of K 3 or 5: 2^2; one layer of K 5: 3.
    assert space.count() == 2 * (2 + 4) * (6 + 36 + 216) * 4 * 3
    assert space.largest(32).text == "r32_k3e4.k3e4_k5e4.k5e4.k5e4_k5e1.k5e1_k5e4"
    assert space.smallest(32).text == "r32_k3e2_k3e1_k3e1.k3e1_k5e1"
    rng = np.random.default_rng(0)
    drawn = {space.validate(space.draw(32, rng)) for _ in range(3000)}
    for unit, choices in enumerate(space.choices):
        found = {arch.units[unit] for arch in drawn}
        assert all(map(choices.hold, found))
        assert {len(layers) for layers in found} == set(choices.depths)
        assert {layer for layers in found for layer in layers} == set(choices.layers())
    for other in space.neighbours(space.largest(32)):
        space.validate(other)
    with pytest.raises(FoxnasError, match=r"layer k5e2 of unit 1 is outside K \[3\], E \[2, 4\]"):
        space.parse("r32_k5e2_k3e1_k3e1.k3e1_k5e1")
    with pytest.raises(FoxnasError, match=r"depth 3 of unit 1 is not one of \[1, 2\]"):
        space.parse("r32_k3e2.k3e2.k3e2_k3e1_k3e1.k3e1_k5e1")
    assert SearchSpace.from_record(json.loads(json.dumps(space.record()))) == space


def test_the_spaces_own_list_written_out_for_a_unit_is_the_same_space(mini: SearchSpace) -> None:
    spelt = replace(
        mini, units=tuple(replace(u, depths=mini.depths, kernel_sizes=mini.kernel_sizes) for u in mini.units)
    )
    assert spelt == mini
    assert canonical(spelt) == canonical(mini)


@pytest.mark.parametrize("name", DIGESTS)
def test_a_space_keeps_the_digest_that_it_had_before_units_had_choices(name: str) -> None:
    # Of `canonical` in the release before; what was measured in these spaces is known again by it.
    assert hashlib.sha256(canonical(read_space(name)).encode()).hexdigest()[:16] == DIGESTS[name]


def test_lite_spaces_are_those_of_their_donors() -> None:
    """Layers as `round_repeats` of the reference implementation has them; the first and the last are never repeated."""
    for name, depth in (("lite0", 1.0), ("lite1", 1.1)):
        space = read_space(name)
        repeats = [math.ceil(depth * n) for n in (2, 2, 3, 3, 4)]
        assert space.largest(224).depths == (*repeats, 1)
        assert [layers[0] for layers in space.largest(224).units] == [(k, 6) for k in (3, 5, 3, 5, 5, 3)]
        assert [unit.stride for unit in space.units] == [2, 2, 2, 1, 2, 1]


def test_equal_networks_have_one_id() -> None:
    unit = ((3, 2), (5, 4))
    assert Arch(28, (unit, unit)).id == Arch.parse("r28_k3e2.k5e4_k3e2.k5e4").id
