"""Accuracy of a deployed model, measured on the device with the runtime that will serve it."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.rack import open_session
from foxnas.device.retrying import persist
from foxnas.device.status_line import condition
from foxnas.device.transport import Device, DeviceLost, Implausible
from foxnas.errors import FoxnasError
from foxnas.files.identity import digest
from foxnas.files.journal import Journal
from foxnas.files.progress import Progress

_log = logging.getLogger(__name__)
#: A batch is as large as this allows, so that a slow board is heard of often and a fast one is not kept waiting.
_BATCH_S = 2.0
_BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class Predictions:
    """What a model on a device answered.

    Parameters
    ----------
    classes
        The class of the largest output of every image, int64 (n,); of equal ones, the first.
    identity
        Device and runtime, `Runner.identity`.
    boards
        Those of a rack that answered; empty for another device.
    """

    classes: np.ndarray
    identity: Mapping[str, Any]
    boards: tuple[str, ...] = ()

    def top1_percent(self, labels: np.ndarray) -> float:
        """Return top-1 accuracy in percent."""
        return float(100 * (self.classes == labels).mean())


def predict_images(
    device: Device,
    protocol: MeasurementProtocol,
    model: bytes,
    images: np.ndarray,
    journal: Path,
    code: str = "",
) -> Predictions:
    """Return what a full-integer model on the device answers to every image.

    Images travel in batches, each answered by the model one image at a time and journalled before the next;
    a second call asks only for what is missing. The machine's lock is held: no one measures meanwhile.

    Parameters
    ----------
    protocol
        Its threads and delegate are those that serve the model.
    images
        uint8 (n, H, W, C), raw pixels of the model's size.
    journal
        Keyed by model, images, runner, device, threads, delegate and `code`.
    code
        Digest of the code of a plug-in, whose backend the runner's version says nothing of.

    Raises
    ------
    DeviceLost
        When the device went away and did not come back within `device.away_s`; what it answered is kept.
    FoxnasError
        When the device's runtime refuses the model, or the images do not fit it.
    """
    answered = 0

    def session() -> tuple[Journal, dict[str, Any]]:
        nonlocal answered
        with open_session(device, protocol) as runner:
            described = runner.open(model)
            wanted = (described["image_dtype"], tuple(described["image_shape"]))
            if wanted != (images.dtype.name, images.shape[1:]):
                raise FoxnasError(
                    f"{device}: images are {images.dtype} {images.shape[1:]}, the model reads {wanted[0]} {wanted[1]}"
                )
            with Journal(journal, _key(runner, model, images) | ({"code": code} if code else {})) as book:
                try:
                    _ask_missing(runner, described, book, images)
                finally:
                    answered = len(book.records)
            return book, runner.identity

    try:
        book, identity = persist(device, session, lambda: answered)
    except DeviceLost as error:
        raise DeviceLost(f"{error}. What was answered is kept in {journal}: run again for the rest") from error
    boards = dict.fromkeys(record["board"] for record in book.records if "board" in record)
    return Predictions(_answered(book, len(images)), identity, tuple(boards))


def _key(runner: Runner, model: bytes, images: np.ndarray) -> dict[str, str]:
    return {
        "model": hashlib.sha256(model).hexdigest()[:12],
        "images": hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()[:12],
        "runner": str(runner.hello["runner"]),
        "device": digest(runner.identity),
        "serving": f"{runner.protocol.threads} threads, XNNPACK {'on' if runner.protocol.xnnpack else 'off'}",
    }


def _answered(book: Journal, total: int) -> np.ndarray:
    """Return the class of every image, -1 where the journal has none."""
    classes = np.full(total, -1, np.int64)
    for record in book.records:
        classes[record["first"] : record["first"] + len(record["classes"])] = record["classes"]
    return classes


def _ask_missing(runner: Runner, described: Mapping[str, Any], book: Journal, images: np.ndarray) -> None:
    missing = np.flatnonzero(_answered(book, len(images)) < 0)
    if not len(missing):
        return
    if len(missing) < len(images):
        _log.info("%s: %d of %d images are answered already", runner.device, len(images) - len(missing), len(images))
    largest = max(_BATCH_BYTES // images[0].nbytes, 1)
    progress = Progress(len(missing), f"images on {runner.device.name}", state=lambda: condition(runner.state()))
    board = {"board": found["host"]} if (found := runner.hello.get("board")) else {}
    size, done = 1, 0
    while done < len(missing):
        batch = missing[done : done + size]
        batch = batch[: 1 + int(np.argmin(np.append(np.diff(batch) == 1, False)))]  # a journal line is one range
        asked = time.monotonic()
        content, kind = runner.predict(images[batch].tobytes()), np.dtype(described["output_dtype"])
        spent = time.monotonic() - asked
        if len(content) != len(batch) * math.prod(described["output_shape"]) * kind.itemsize:
            raise Implausible(
                f"{runner.device}: answered {len(content) / kind.itemsize:g} numbers to {len(batch)} images; nothing "
                "of it is kept"
            )
        raw = np.frombuffer(content, kind)
        if kind.kind == "f" and not np.isfinite(raw).all():
            raise Implausible(
                f"{runner.device}: answered no number (NaN or infinite) to an image; nothing of it is kept"
            )
        classes = raw.reshape(len(batch), -1).argmax(axis=1)
        book.append({"first": int(batch[0]), "classes": classes.tolist(), **board})
        done += len(batch)
        size = int(min(max(len(batch) * _BATCH_S / max(spent, 1e-6), 1), 2 * size, largest))
        progress.reached(done)
