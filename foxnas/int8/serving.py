"""Runs an exported int8 model with the runtime that serves it."""

from __future__ import annotations

import logging

import numpy as np
from ai_edge_litert import interpreter
from scipy.special import softmax

from foxnas.errors import FoxnasError
from foxnas.files.progress import follow
from foxnas.int8.scored import Scored
from foxnas.runner.predicting import Predictor
from foxnas.runner.tflite import fallback_operators, open_interpreter

log = logging.getLogger(__name__)

#: Pixels of the images that go through a model together: 40 of 28 px, one of 224 px. More of small ones are no faster,
#: nor are several large ones (docs/evidence/int8.md).
_PIXELS = 32_000
#: Images between two looks at the clock, at least.
_BLOCK = 100


class Int8Model:
    """A full-integer model on LiteRT, with or without its XNNPACK delegate.

    int8 arithmetic differs between runtimes in the last places, so the accuracy of a deployed model is
    measured here and not in a simulation.

    Parameters
    ----------
    together
        Images that go through it at a time.
    """

    def __init__(self, content: bytes, threads: int = 1, xnnpack: bool = True, together: int = 1) -> None:
        self._together = together
        try:
            self._interpreter = open_interpreter(interpreter, content, threads, xnnpack)
            if together > 1:
                image = self._interpreter.get_input_details()[0]
                self._interpreter.resize_tensor_input(image["index"], [together, *image["shape"][1:]])
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise FoxnasError(f"the runtime refuses the model: {error}") from error
        self._image = self._interpreter.get_input_details()[0]
        self._logits = self._interpreter.get_output_details()[0]
        if self._image["dtype"] != np.uint8 or self._logits["dtype"] != np.uint8:
            raise FoxnasError(
                f"the model reads {self._image['dtype'].__name__} and writes {self._logits['dtype'].__name__}: "
                "expected a full-integer model with uint8 at both ends"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of one image."""
        return tuple(int(n) for n in self._image["shape"][1:])  # type: ignore[return-value]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return dequantised logits, float32 (n, classes), of raw pixels, uint8 (n, H, W, C)."""
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise FoxnasError(
                f"images are {images.dtype} {images.shape}: the model reads raw uint8 pixels (n, *{self.image_shape})"
            )
        raw = Predictor(self._interpreter).outputs(images) if self._together == 1 else self._outputs(images)
        scale, zero_point = self._logits["quantization"]
        return (raw.astype(np.float32) - zero_point) * np.float32(scale)

    def _outputs(self, images: np.ndarray) -> np.ndarray:
        """Return raw outputs; the last images are repeated until they are as many as go through together."""
        parts = []
        for start in range(0, len(images), self._together):
            part = images[start : start + self._together]
            missing = self._together - len(part)
            self._interpreter.set_tensor(self._image["index"], np.concatenate([part, part[-1:].repeat(missing, 0)]))
            self._interpreter.invoke()
            parts.append(self._interpreter.get_tensor(self._logits["index"])[: len(part)])
        return np.concatenate(parts)

    def fallback_operators(self) -> int | None:
        """Return how many operators run outside the XNNPACK delegate: 2, the QUANTIZE at each end, when all is well.

        Operators whose scales lie too far apart are left out of the delegate in silence.
        """
        return fallback_operators(self._interpreter)


def score(content: bytes, images: np.ndarray, labels: np.ndarray, threads: int, xnnpack: bool) -> Scored:
    """Return what a full-integer model answers on uint8 (n, H, W, C) images with labels (n,)."""
    found = logits(content, images[: len(labels)], threads, xnnpack)
    right = softmax(found.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    return Scored(found.argmax(axis=1) == labels, right)


def answers(content: bytes, images: np.ndarray, threads: int, xnnpack: bool) -> np.ndarray:
    """Return the class, intp (n,), that a full-integer model says for each of uint8 (n, H, W, C) images."""
    return logits(content, images, threads, xnnpack).argmax(axis=1)


def logits(content: bytes, images: np.ndarray, threads: int, xnnpack: bool) -> np.ndarray:
    """Return the dequantised logits, float32 (n, classes), of a full-integer model on uint8 (n, H, W, C) images.

    Small images go through it several at a time, which is faster, and the numbers are the same: integers do not depend
    on what is computed beside them. The first ones are asked one by one, too, and where a runtime's kernels differ all
    are.
    """
    model, found = Int8Model(content, threads, xnnpack), []
    height, width, _ = model.image_shape
    together = max(1, min(_PIXELS // (height * width), len(images)))
    if together > 1:
        first, alone, model = images[:together], model, Int8Model(content, threads, xnnpack, together)
        if not np.array_equal(alone.logits(first), model.logits(first)):
            log.warning("this runtime computes %d images otherwise than one, so they are asked one by one", together)
            model, together = alone, 1
    block = together * max(1, _BLOCK // together)
    starts = range(0, len(images), block)
    for start in follow(starts, len(starts), f"blocks of {block} images through the int8 model", within=True):
        found.append(model.logits(images[start : start + block]))
    return np.concatenate(found)
