"""Off-the-shelf networks that compete with what was searched for: which, and how they are trained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from foxnas.errors import FoxnasError
from foxnas.settings.limits import Above0, Count, Name
from foxnas.settings.section import HostPath, Section, no_wildcards
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from foxnas.supernet.training.recipe import Phase, Recipe

#: Networks by name: the space of which each is the largest subnet, and the donor of its weights, if any can be had.
KNOWN: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        "efficientnet-lite0": ("lite0", "efficientnet-lite0"),
        "efficientnet-lite1": ("lite1", "efficientnet-lite1"),
        "mobilenet-v2": ("mobilenet-v2", None),
    }
)


class NetworkConfig(Section):
    """A static network: the largest subnet of a space."""

    name: Name
    """What it is called in files and on the page."""
    space: Annotated[HostPath, AfterValidator(no_wildcards)]
    """The space of which it is the largest subnet: a shipped one's name, or the path of such a file. The space's image
    sizes and classes do not count: it is trained at those of rivals.image_sizes, for your classes."""
    donor: Annotated[HostPath, AfterValidator(no_wildcards)] | None = None
    """Its weights to begin with, as in supernet.donor; null: random ones, which the page says."""

    @field_validator("space")
    @classmethod
    def _is_there(cls, space: str) -> str:
        read_space(space)
        return space

    @cached_property
    def declared(self) -> SearchSpace:
        """Its space, as it is declared."""
        return read_space(self.space)

    def at(self, size: int, classes: int) -> SearchSpace:
        """Return its space at one image size, for so many classes."""
        return replace(self.declared, image_sizes=(size,), size_divisor=1, classes=classes)


def _complete(network: object) -> object:
    """Return the section that a known network's name stands for. Raises FoxnasError when it is not known."""
    if not isinstance(network, str):
        return network
    if network not in KNOWN:
        near = difflib.get_close_matches(network, KNOWN, 1, 0.4)
        raise FoxnasError(
            f"{network!r} is not a known network ({', '.join(KNOWN)}); "
            + (f"did you mean {near[0]}? " if near else "")
            + "Another one is written {name: ..., space: ..., donor: ...}"
        )
    space, donor = KNOWN[network]
    return {"name": network, "space": space, "donor": donor}


Network = Annotated[NetworkConfig, BeforeValidator(_complete, json_schema_input_type=NetworkConfig | str)]


class OffTheShelfConfig(Section):
    """Static networks off the shelf, trained on the same images, exported and timed beside the deployed models."""

    networks: list[Network] = Field(default=[])
    """efficientnet-lite0, efficientnet-lite1, mobilenet-v2 (from random weights, as none are to be had), or sections
    with the keys below. Empty: no comparison."""
    image_sizes: Annotated[list[Count], Field(min_length=1)] | None = None
    """Image sizes of the space at which each network is trained, once for each; null: all of them."""
    epochs: Count | None = None
    """Passes over the train split; null: as many as all of supernet.training.phases have together. The rest of the
    recipe is supernet.training's, the first phase's patience included."""
    learning_rate: Above0 | None = None
    """Peak learning rate; null: that of the first of supernet.training.phases, which trains the largest subnet."""

    @field_validator("networks")
    @classmethod
    def _names(cls, networks: list[NetworkConfig]) -> list[NetworkConfig]:
        names = [network.name for network in networks]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise FoxnasError(f"{repeated[0]} is listed twice; remove one, or give it a name of its own")
        return networks

    def network(self, name: str) -> NetworkConfig:
        """Return the network of a name."""
        return next(network for network in self.networks if network.name == name)

    def sizes(self, space: SearchSpace) -> list[int]:
        """Return the image sizes at which networks compete with the subnets of a space."""
        return sorted(self.image_sizes or space.image_sizes)

    def recipe(self, network: NetworkConfig, training: Recipe) -> Recipe:
        """Return how a network is trained: as the supernet is, but for one phase, of the largest subnet alone."""
        space = network.declared
        kernel, expansion, depth = map(max, (space.kernel_sizes, space.expansion_ratios, space.depths))
        rate = self.learning_rate or training.phases[0].learning_rate
        patience = training.phases[0].patience if training.phases else None
        phase = Phase(self.epochs or training.epochs, rate, (kernel,), (expansion,), (depth,), patience=patience)
        # There is no teacher in a first phase.
        return replace(training, distillation=0.0, phases=(phase,))

    def check(self, space: SearchSpace, training: Recipe, train_images: int) -> None:
        """Raise FoxnasError that names the first key which does not fit the rest of the config."""
        if not self.networks:
            return
        for size in self.image_sizes or ():
            if size not in space.image_sizes:
                raise FoxnasError(
                    f"rivals.image_sizes has {size}, which space.image_sizes {list(space.image_sizes)} has not: images "
                    "are prepared at the space's sizes; take one of those"
                )
        for key in ("epochs", "learning_rate"):
            if getattr(self, key) is None and not training.phases:
                raise FoxnasError(f"rivals.{key} is null, but supernet.training.phases, which it is taken of, is empty")
        if training.batch_size > train_images:
            raise FoxnasError(
                f"supernet.training.batch_size is {training.batch_size}, with which rivals are trained, but the train "
                f"split has {train_images} images; lower the first"
            )
        for i, network in enumerate(self.networks):
            theirs = network.declared
            if theirs.image_channels != space.image_channels:
                raise FoxnasError(
                    f"rivals.networks.{i}: {network.name} sees {theirs.image_channels} channels, but "
                    f"space.image_channels is {space.image_channels}; leave it out"
                )
            for size in self.sizes(space):
                if size % theirs.size_divisor:
                    raise FoxnasError(
                        f"rivals.networks.{i}: {network.name} takes image sizes that are multiples of "
                        f"{theirs.size_divisor}, and {size} is none; name others in rivals.image_sizes"
                    )
