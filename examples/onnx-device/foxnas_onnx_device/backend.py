"""What the runner runs on the device: ONNX Runtime's CPU kernels. Sent there with the runner."""

from __future__ import annotations

from typing import Any

from foxnas.runner.backend import Backend, Loaded, by_wall_clock
from foxnas.runner.one_image import OneImage


class OnnxBackend(Backend):
    """One session of ONNX Runtime for each model."""

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise RuntimeError("onnxruntime is not installed in this Python") from None
        self._module = onnxruntime
        self.runtime, self.version = "onnxruntime", str(onnxruntime.__version__)

    def _session(self, model: bytes, threads: int) -> Any:
        options = self._module.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors
        return self._module.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def load(self, model: bytes, settings: dict[str, Any]) -> Loaded:
        """Return a model with a random image that is ready to run."""
        import numpy as np

        session = self._session(model, settings["threads"])
        (image,) = session.get_inputs()
        pixels = np.random.RandomState(settings["seed"]).randint(0, 256, image.shape, np.uint8)
        given = {image.name: pixels}
        facts = {
            "batch": 1,
            "dtype": "int8",
            "signedness": "signed",
            "io_dtype": "uint8",
            "executor": "onnxruntime cpu",
            "fallback_operators": None,
        }
        return Loaded(by_wall_clock(lambda: session.run(None, given)), facts)

    def open(self, model: bytes, threads: int, xnnpack: bool) -> OneImage:
        """Return a model that answers images; `xnnpack` is LiteRT's."""
        session = self._session(model, threads)
        (image,), (logits,) = session.get_inputs(), session.get_outputs()

        def answer(pixels: Any) -> Any:
            return session.run(None, {image.name: pixels})[0]

        return OneImage(answer, (image.shape, "uint8"), (logits.shape, "uint8"))
