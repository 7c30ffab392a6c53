"""A model that is a function of one image, as `Predictor` asks an interpreter: for runtimes that are not TFLite's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class OneImage:
    """What `Backend.open` returns.

    Parameters
    ----------
    answer
        Returns the raw outputs (1, ...) for an image (1, H, W, C), both arrays.
    image, output
        Shape, with the batch of 1, and the name of the type of both.
    quantization
        Scale and zero point of the output, where it is quantised and has them at hand.
    """

    def __init__(
        self,
        answer: Callable[[Any], Any],
        image: tuple[Any, str],
        output: tuple[Any, str],
        quantization: tuple[float, int] = (0.0, 0),
    ) -> None:
        self._answer = answer
        self._input = {"index": 0, "shape": image[0], "dtype": image[1]}
        self._output = {"index": 1, "shape": output[0], "dtype": output[1], "quantization": quantization}
        self._given: Any = None
        self._answered: Any = None

    def get_input_details(self) -> list[dict[str, Any]]:
        return [self._input]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [self._output]

    def set_tensor(self, index: int, value: Any) -> None:
        self._given = value

    def invoke(self) -> None:
        import numpy as np

        answered = self._answer(self._given)
        found = answered.dtype.name, tuple(answered.shape)
        said = np.dtype(self._output["dtype"]).name, tuple(map(int, self._output["shape"]))
        if found != said:  # numpy would convert it, or repeat one number
            raise ValueError(f"answers {found[0]} {found[1]} to an image, but `open` said {said[0]} {said[1]}")
        self._answered = answered

    def get_tensor(self, index: int) -> Any:
        return self._answered
