"""The images and their splits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from foxnas.errors import FoxnasError
from foxnas.settings.limits import Count, Seed
from foxnas.settings.section import HostPath, Line, Section

#: What torchvision's ImageFolder takes for images.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

#: Fashion-MNIST's files, as published.
_IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


class SplitsConfig(Section):
    """How many images each split takes; all are disjoint."""

    train: Count
    """Trains the supernet; its first images also recalibrate batch norms and calibrate int8."""
    fit: Count
    """Measures the accuracies that the predictors are fitted to."""
    verify: Count
    """Compares the candidates of a search."""
    test: Count
    """Opened for the final report, never for a choice; taken from the held-out images, if the data set has any."""


class SceneConfig(Section):
    """Puts every image on a larger black canvas at a random place, scale and angle: a harder task."""

    canvas: Annotated[int, Field(ge=28)]
    """Side of the canvas, in pixels."""
    smallest_scale: Annotated[float, Field(gt=0, le=1)]
    """The image's side is this share of the canvas' at least, and all of it at most."""
    largest_angle: Annotated[float, Field(ge=0, le=180)]
    """Largest rotation either way, in degrees."""


class ViewConfig(Section):
    """What prepared images depend on besides their split and size."""

    folder: str | None
    """The folder of image files; null for arrays."""
    channels: Count
    """Grey or colour."""
    centre_share: float
    """As in `DataConfig`."""
    corrupt_images: Literal["fail", "skip"]
    """As in `DataConfig`."""


class DataConfig(Section):
    """The images."""

    dataset: Literal[
        "fashion-mnist",
        "folder",
        "arrays",
        "CIFAR10",
        "CIFAR100",
        "FashionMNIST",
        "KMNIST",
        "MNIST",
        "STL10",
        "SVHN",
        "USPS",
    ]
    """fashion-mnist: the demo's. folder: image files, one folder per class, or train/ and val/ with such folders
    (ImageNet). arrays: train-images.npy, train-labels.npy and, if there are any, test-images.npy and
    test-labels.npy. Others: torchvision's data set of that name. See docs/how-to/own-data.md."""
    folder: HostPath | None = None
    """The folder that already holds the data set; null fetches it, where that is possible."""
    scene: SceneConfig | None = None
    """null: the images as published."""
    centre_share: Annotated[float, Field(ge=0.1, le=1)] = 1.0
    """What an evaluated image shows of its shorter side, around the centre: 0.875 is the usual 224 of 256; 1: all."""
    corrupt_images: Literal["fail", "skip"] = "fail"
    """An image file that cannot be read stops the run, or is replaced by another one, named and counted."""
    evaluate_on: Literal["train", "held-out"] = "train"
    """Where fit and verify come from: the published training images, or the held-out ones, as test does; the latter for
    a supernet that was trained with all training images."""
    seed: Seed = 0
    """Deals the published images out to the splits."""
    stratified: bool = False
    """true: every split has each class in its share, and at least one image of it; for small or unbalanced sets.
    false: images are dealt out whatever their class."""
    splits: SplitsConfig
    """How many images go where; lower them for less disk, memory and time."""

    @model_validator(mode="after")
    def _consistent(self) -> DataConfig:
        if self.dataset in ("folder", "arrays") and self.folder is None:
            raise FoxnasError(f"folder is null, but the data set is {self.dataset!r}; write the folder's path")
        if self.dataset == "folder" and self.scene is not None:
            raise FoxnasError("scene is for small images that are arrays, not for a folder of files; write null")
        return self

    @property
    def source_files(self) -> list[str]:
        """The files that the fetched data set consists of."""
        match self.dataset:
            case "fashion-mnist":
                return [f"{name}-ubyte.gz" for name in _IDX]
            case "folder":
                return ["images.csv"]
            case _:
                return [f"{part}-{kind}.npy" for part in ("train", "test") for kind in ("images", "labels")]

    @property
    def form(self) -> Literal["csv", "npy"]:
        """How a split's images are stored before they have a size: a list of files, or an array."""
        return "csv" if self.dataset == "folder" else "npy"

    @property
    def dealt(self) -> DataConfig:
        """The same as far as it matters which image is of which split: not what is seen of it later."""
        share = {"centre_share": 1.0}
        dealt = DataConfig(**self.model_dump(include=set(DataConfig.model_fields)))
        return dealt.model_copy(update=share if self.form == "csv" else {**share, "corrupt_images": "fail"})

    def view(self, channels: int) -> ViewConfig:
        """Return what the prepared images of a space with this number of channels depend on."""
        return ViewConfig.model_validate(
            {
                "folder": self.folder if self.form == "csv" else None,
                "channels": channels,
                "centre_share": self.centre_share,
                "corrupt_images": self.corrupt_images if self.form == "csv" else "fail",
            }
        )

    def reading(self, channels: int) -> ViewConfig:
        """Return what training depends on: the same, but for the crop, which is random then."""
        return self.view(channels).model_copy(update={"centre_share": 1.0})


class DescribedDataConfig(DataConfig):
    """The images, and what is to be said of them."""

    licence: Line | None = None
    """Their terms, and whom to name, for the card: such as "CC BY 4.0, A. Photographer". null: what a file LICENSE in
    the folder says, or what the authors of fashion-mnist do; else the card says that it is not known."""
