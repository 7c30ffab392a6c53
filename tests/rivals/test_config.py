"""Networks by name or as sections: what each is, and how it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torchvision

from foxnas.errors import FoxnasError
from foxnas.rivals.config import KNOWN, OffTheShelfConfig
from foxnas.space.config import complete, read_space
from foxnas.space.costs import costs_of
from foxnas.space.space import SearchSpace
from foxnas.supernet.model import Supernet
from foxnas.supernet.training.recipe import Phase, Recipe

RECIPE = Recipe(
    seed=3, batch_size=64, distillation=0.5, average_decay=0.98,
    phases=(Phase(3, 5e-4, (5,), (6,), (4,)), Phase(10, 2e-4, (3, 5), (3, 4, 6), (1, 2, 3, 4))),
)  # fmt: skip


def config(*networks: object, **more: object) -> OffTheShelfConfig:
    return OffTheShelfConfig.model_validate({"networks": list(networks), **more})


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_network_may_be_named_or_written_out(name: str) -> None:
    found = config(name)
    space, donor = KNOWN[name]
    assert found == config({"name": name, "space": space, "donor": donor})
    assert OffTheShelfConfig.model_validate(found.model_dump(mode="json")) == found


def test_a_network_is_trained_as_the_supernet_is_but_whole() -> None:
    """As many epochs, the rate at which the largest subnet is trained first, and in every unit its largest choices."""
    found = config("efficientnet-lite0")
    network = found.networks[0]
    recipe = found.recipe(network, RECIPE)
    assert (recipe.seed, recipe.batch_size, recipe.average_decay) == (3, 64, 0.98)
    (phase,) = recipe.phases
    assert (phase.epochs, phase.learning_rate) == (13, 5e-4)
    space = network.at(160, 7)
    assert (space.image_sizes, space.classes) == ((160,), 7)
    rng = np.random.default_rng(0)
    drawn = [phase.draw(160, space.choices, rng) for _ in range(3)]
    assert drawn == [read_space("lite0").largest(160)] * 3
    own = config("efficientnet-lite0", epochs=2, learning_rate=0.1)
    assert own.recipe(network, RECIPE).phases == (Phase(2, 0.1, (5,), (6,), (4,)),)


@pytest.mark.parametrize(
    ("rivals", "space", "recipe", "message"),
    [
        (
            {},
            {"image_sizes": [96, 112]},
            RECIPE,
            r"networks.0: efficientnet-lite0 takes .* multiples of 32, and 112 is",
        ),
        ({"image_sizes": [160]}, {"image_sizes": [96]}, RECIPE, r"rivals.image_sizes has 160, which space.image_sizes"),
        ({}, {"base": "mini"}, RECIPE, "efficientnet-lite0 sees 3 channels, but space.image_channels is 1; leave it"),
        ({}, {}, Recipe(), "rivals.epochs is null, but supernet.training.phases, which it is taken of, is empty"),
        ({"epochs": 3}, {}, Recipe(), "rivals.learning_rate is null, but supernet.training.phases"),
        ({}, {}, replace(RECIPE, batch_size=2000), "batch_size is 2000, with which rivals are trained, but the train"),
    ],
)
def test_what_does_not_fit_the_rest_of_the_config_is_refused(
    rivals: dict[str, Any], space: dict[str, Any], recipe: Recipe, message: str
) -> None:
    declared = {"base": "lite0", "size_divisor": 1, **space}
    whole = SearchSpace.from_record(cast(dict[str, Any], complete(declared)))
    with pytest.raises(FoxnasError, match=message):
        config("efficientnet-lite0", **rivals).check(whole, recipe, 1000)
    OffTheShelfConfig().check(whole, recipe, 1000)


def test_mobilenet_v2_is_torchvisions() -> None:
    """Every weight has its shape there, in the same order, and the published multiply-accumulates (0.30 billion)."""
    space = config("mobilenet-v2").networks[0].at(224, 1000)
    theirs = torchvision.models.mobilenet_v2().state_dict()
    shapes = [tuple(tensor.shape) for name, tensor in theirs.items() if name.endswith("weight")]
    ours = [tuple(tensor.shape) for name, tensor in Supernet(space).state_dict().items() if name.endswith("weight")]
    assert sorted(ours) == sorted(shapes)
    costs = costs_of(space, space.largest(224))
    folded = sum(tensor.numel() for name, tensor in theirs.items() if name.endswith((".weight", ".bias")))
    assert costs.parameters == folded - sum(len(t) for n, t in theirs.items() if n.endswith("running_var"))
    assert costs.macs == pytest.approx(0.30e9, rel=0.01)
