"""The names of a data set's classes, in the order of their numbers."""

from __future__ import annotations

from pathlib import Path

from foxnas.images.listing import listed_classes

#: Fashion-MNIST's, as its authors' page and torchvision's `FashionMNIST.classes` list them.
_FASHION_MNIST = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_PUBLISHED = {
    "fashion-mnist": _FASHION_MNIST,
    "FashionMNIST": _FASHION_MNIST,
    "MNIST": tuple("0123456789"),
    "USPS": tuple("0123456789"),
    "SVHN": tuple("0123456789"),
}


def class_names(dataset: str, classes: int, listing: Path | None) -> list[str]:
    """Return one name a class, of one line: a folder's, from its images' list; the published one; else the number."""
    names = listed_classes(listing) or list(_PUBLISHED.get(dataset, ()))
    if len(names) != classes:
        return [str(number) for number in range(classes)]
    return ["".join(sign if sign.isprintable() else " " for sign in name) for name in names]
