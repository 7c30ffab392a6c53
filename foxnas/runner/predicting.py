"""Raw outputs of a model for many images, as the runtime that serves it computes them."""

from __future__ import annotations

from typing import Any


class Predictor:
    """A model with one input and one output, fed one image at a time in the input's own type."""

    def __init__(self, interpreter: Any) -> None:
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0]["shape"][0] != 1:
            raise ValueError(
                f"the model has {len(inputs)} inputs and {len(outputs)} outputs, not one image and its logits"
            )
        self._interpreter, self._input, self._output = interpreter, inputs[0], outputs[0]

    def description(self) -> dict[str, Any]:
        """Return shapes without the batch, types, and the output's scale and zero point."""
        import numpy as np

        scale, zero_point = self._output["quantization"]
        return {
            "image_shape": [int(n) for n in self._input["shape"][1:]],
            "image_dtype": np.dtype(self._input["dtype"]).name,
            "output_shape": [int(n) for n in self._output["shape"][1:]],
            "output_dtype": np.dtype(self._output["dtype"]).name,
            "scale": float(scale),
            "zero_point": int(zero_point),
        }

    def outputs(self, images: Any) -> Any:
        """Return the raw outputs (n, *output_shape) for `images` (n, *image_shape), arrays of the model's types."""
        import numpy as np

        raw = np.empty((len(images), *self._output["shape"][1:]), self._output["dtype"])
        for row, image in zip(raw, images):  # noqa: B905 - Python 3.7; both have len(images)
            self._interpreter.set_tensor(self._input["index"], image[None])
            self._interpreter.invoke()
            row[...] = self._interpreter.get_tensor(self._output["index"])[0]
        return raw

    def answer(self, body: bytes) -> bytes:
        """Return the outputs' bytes for the bytes of as many images as `body` holds."""
        import numpy as np

        shape = [int(n) for n in self._input["shape"][1:]]
        return self.outputs(np.frombuffer(body, self._input["dtype"]).reshape(-1, *shape)).tobytes()
