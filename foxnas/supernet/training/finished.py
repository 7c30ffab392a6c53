"""Keeps a finished training, so that a run cut a moment too early does not train for days again."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foxnas.files.arrays import array_seal
from foxnas.files.tables import replacing
from foxnas.supernet.checkpoint import CLASSES, save_supernet
from foxnas.supernet.model import Supernet
from foxnas.supernet.tensors import read_tensors

log = logging.getLogger(__name__)


def data_seals(images: Path, labels: Path) -> tuple[str, str]:
    """Return what tells a train split from others: of sealed arrays, or of a list of image files."""
    listed = images.suffix == ".csv"
    return hashlib.sha256(images.read_bytes()).hexdigest() if listed else array_seal(images), array_seal(labels)


class KeptSupernet:
    """A trained supernet beside the journals, named by all that its training depends on.

    Parameters
    ----------
    folder
        Where it is kept; there is one at most.
    made_by
        Of the artefact; settings and code count.
    images, labels
        The data: sealed arrays, or a list of image files.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any], images: Path, labels: Path) -> None:
        #: Digest of the images: of their list, or of their pixels.
        self.content, truth = data_seals(images, labels)
        parts = (made_by["settings_sha256"], made_by["code"], self.content, truth)
        self.made_by = made_by
        self.path = folder / f"trained-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}.safetensors"
        if self.path.exists():
            log.info("trained already: taken from %s; delete that to train anew", self.path)

    def keep(self, supernet: Supernet, classes: Sequence[str] = ()) -> None:
        """Write what was trained, and for which classes, in the place of what was trained otherwise before."""
        for older in self.path.parent.glob("trained-*.safetensors"):
            older.unlink()
        save_supernet(supernet, self.path, self.made_by, **({CLASSES: json.dumps(list(classes))} if classes else {}))

    def take(self, path: Path) -> None:
        """Write the supernet to `path`. Raises FoxnasError when what is kept was damaged."""
        read_tensors(self.path)
        with replacing(path) as temporary:
            shutil.copyfile(self.path, temporary)
