"""The supernet that a training begins with, made of a pretrained network: the donor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from foxnas.errors import FoxnasError
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet
from foxnas.supernet.model import Supernet
from foxnas.supernet.tensors import read_tensors

#: Ends of the names of a classifier's weight, in the files that are known.
_CLASSIFIERS = ("classifier.weight", "classifier.linear.weight", "_fc.weight")


def initial_supernet(space: SearchSpace, donor: Path) -> Supernet:
    """Return the supernet of `space` with a donor's weights: its largest subnet is the donor, but for the classes.

    The donor is a file of EfficientNet-Lite, of Once-for-All, or of a supernet of ours. If it knows another number of
    classes, the classifier is new and all 0: the first step then changes no other layer by what a random one would
    have told it (Kolesnikov et al., *Big Transfer*, 2020). Running statistics are left out, because they are not those
    of the images to come. Raises FoxnasError when the donor is of another network.
    """
    known = [len(t) for name, t in read_tensors(donor).tensors.items() if name.endswith(_CLASSIFIERS) and t.ndim > 1]
    loaded = load_supernet(replace(space, classes=known[0]) if known else space, donor)
    supernet = Supernet(space)
    weights = {name: tensor for name, tensor in loaded.state_dict().items() if name in supernet.state_dict()}
    if loaded.space.classes != space.classes:
        weights |= _blank_classifier(supernet)
    supernet.load_state_dict(weights)
    return supernet


def supernet_of(space: SearchSpace, tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> Supernet:
    """Return the supernet of `space` with the weights of any network whose layers are those of its largest subnet.

    Saved by `foxnas.supernet.checkpoint.save_supernet`, it is a file that `supernet.donor` can name.

    Parameters
    ----------
    tensors
        The network's, by its own names.
    names
        The network's name of every tensor of ours, which are those of `Supernet(space).state_dict()`. The classifier's
        may be left out; then it is new and all 0.

    Raises FoxnasError that names the first tensor that is missing or has another shape.
    """
    supernet = Supernet(space)
    weights = _blank_classifier(supernet)
    for name, ours in supernet.state_dict().items():
        if name in weights and name not in names:
            continue
        theirs = names.get(name)
        found = tensors.get(theirs) if theirs else None
        if found is None or found.shape != ours.shape:
            of_donor = f"has shape {tuple(found.shape)} in the donor" if found is not None else "is not in the donor"
            raise FoxnasError(f"{name} of shape {tuple(ours.shape)} {of_donor} (its name there: {theirs})")
        weights[name] = found
    supernet.load_state_dict(weights)
    return supernet


def _blank_classifier(supernet: Supernet) -> dict[str, Tensor]:
    return {f"classifier.{name}": tensor * 0 for name, tensor in supernet.classifier.state_dict().items()}
