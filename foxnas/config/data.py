"""The images and their splits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foxnas.config.section import Count, Section


class SplitsConfig(Section):
    """How many images each split takes; all are disjoint."""

    train: Count
    """Trains the supernet; its first images also recalibrate batch norms and calibrate int8."""
    fit: Count
    """Measures the accuracies that the predictors are fitted to."""
    verify: Count
    """Compares the candidates of a search."""
    test: Count
    """Opened for the final report, never for a choice; taken from the published test set."""


class SceneConfig(Section):
    """Every image is put on a larger black canvas at a random place, scale and angle: a harder task."""

    canvas: Annotated[int, Field(ge=28)]
    """Side of the canvas, in pixels."""
    smallest_scale: Annotated[float, Field(gt=0, le=1)]
    """The image's side is this share of the canvas' at least, and all of it at most."""
    largest_angle: Annotated[float, Field(ge=0, le=180)]
    """Turned by at most so many degrees either way."""


class DataConfig(Section):
    """The images."""

    dataset: Literal["fashion-mnist"]
    """Which data set."""
    folder: str | None
    """A folder that already holds the data set's files; null fetches them."""
    scene: SceneConfig | None
    """null: the images as published."""
    seed: int
    """Deals the published training images out to train, fit and verify."""
    splits: SplitsConfig
    """How many images go where."""
