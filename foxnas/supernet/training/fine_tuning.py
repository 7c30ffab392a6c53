"""Train one architecture alone, from the weights that it inherits from the supernet."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from foxnas.settings.limits import plain
from foxnas.space.arch import Arch
from foxnas.supernet.model import Supernet
from foxnas.supernet.tensors import digest
from foxnas.supernet.training.best_epoch import BestEpoch
from foxnas.supernet.training.processes import Processes
from foxnas.supernet.training.recipe import Recipe
from foxnas.supernet.training.steps import Images
from foxnas.supernet.training.train_step import Keys
from foxnas.supernet.training.training import train

log = logging.getLogger(__name__)

#: Suffix of the file of the best epoch, beside that of the state.
BEST = ".best"

KEYS = Keys("finishing.batch_size", "finishing.learning_rate", None)


def fine_tune(
    inherited: Supernet,
    arch: Arch,
    images: Images,
    labels: np.ndarray,
    recipe: Recipe,
    resume_from: Path | None = None,
    processes: Processes | None = None,
    save_every_s: float = 300.0,
    best: BestEpoch[Supernet] | None = None,
) -> Supernet:
    """Return a supernet whose one architecture is fine-tuned; what that one does not use is of no use.

    It is trained as subnets are evaluated, with the statistics of its own batches in every batch norm, so that those
    of calibration images fit it afterwards. With distillation, the inherited largest subnet teaches. Where the best
    epoch is kept, training may stop early, and has its weights. Other parameters and errors are those of
    `foxnas.supernet.training.training.train`.
    """
    teacher = copy.deepcopy(inherited).requires_grad_(False) if recipe.distillation else None
    network = copy.deepcopy(inherited).requires_grad_(True)
    origin = {"arch": arch.text, "inherited_sha256": digest(inherited.state_dict())}
    return train(
        network, inherited.space, images, labels, recipe, origin, resume_from, processes, save_every_s, arch, teacher,
        KEYS, best={0: best} if best else None,
    )  # fmt: skip


def kept(folder: Path, name: str, depends_on: Sequence[object], make: Callable[[Path, Path], None]) -> Path:
    """Return the file of a finished training, made first where there is none: equal trainings are done once.

    Parameters
    ----------
    folder
        Of all trainings of one architecture. While one process makes a file there, others wait for it.
    name
        Of this kind of training; another one of the kind takes its place.
    depends_on
        All that the training depends on, as JSON has it.
    make
        Given the file of its state, from which it continues, and the file to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(json.dumps(list(depends_on), sort_keys=True).encode()).hexdigest()[:12]
    state, path = (folder / f"{name}-{key}.{kind}" for kind in ("pt", "safetensors"))
    with _alone(folder):
        if path.exists():
            log.info("trained already: taken from %s; delete that to train anew", path)
            return path
        for other in folder.glob(f"{name}-*"):
            if other.stem != state.stem:
                other.unlink()
        make(state, path)
        for other in (state, state.with_suffix(BEST)):
            other.unlink(missing_ok=True)
    return path


def described(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as JSON has it."""
    found: dict[str, object] = json.loads(json.dumps(plain(recipe)))
    return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which the kernel takes back from the dead; none where the file system has no locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
