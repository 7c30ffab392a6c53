"""Runs an exported int8 model with the runtime that serves it."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import interpreter

from foxnas.errors import FoxnasError
from foxnas.files.progress import follow
from foxnas.runner.predicting import Predictor
from foxnas.runner.tflite import fallback_operators, open_interpreter

#: Images between two looks at the clock.
_BLOCK = 100


class Int8Model:
    """A full-integer model on LiteRT, with or without its XNNPACK delegate, one image at a time.

    int8 arithmetic differs between runtimes in the last places, so the accuracy of a deployed model is
    measured here and not in a simulation.
    """

    def __init__(self, content: bytes, threads: int = 1, xnnpack: bool = True) -> None:
        try:
            self._interpreter = open_interpreter(interpreter, content, threads, xnnpack)
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
        raw = Predictor(self._interpreter).outputs(images)
        scale, zero_point = self._logits["quantization"]
        return (raw.astype(np.float32) - zero_point) * np.float32(scale)

    def fallback_operators(self) -> int | None:
        """Return how many operators run outside the XNNPACK delegate: 2, the QUANTIZE at each end, when all is well.

        Operators whose scales lie too far apart are left out of the delegate in silence.
        """
        return fallback_operators(self._interpreter)


def answers(content: bytes, images: np.ndarray, threads: int, xnnpack: bool) -> np.ndarray:
    """Return the class, intp (n,), that a full-integer model says for each of uint8 (n, H, W, C) images."""
    model, found = Int8Model(content, threads, xnnpack), np.empty(len(images), np.intp)
    starts = range(0, len(images), _BLOCK)
    for start in follow(starts, len(starts), f"blocks of {_BLOCK} images through the int8 model", within=True):
        part = slice(start, start + _BLOCK)
        found[part] = model.logits(images[part]).argmax(axis=1)
    return found


def correct_images(content: bytes, images: np.ndarray, labels: np.ndarray, threads: int, xnnpack: bool) -> np.ndarray:
    """Return which uint8 (n, H, W, C) images a full-integer model gets right, bool (n,)."""
    return answers(content, images[: len(labels)], threads, xnnpack) == labels


def top1_percent(content: bytes, images: np.ndarray, labels: np.ndarray, threads: int, xnnpack: bool) -> float:
    """Return the top-1 accuracy in percent of a full-integer model on uint8 (n, H, W, C) images."""
    return 100 * int(correct_images(content, images, labels, threads, xnnpack).sum()) / len(labels)
