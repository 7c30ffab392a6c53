"""The device's side, which is sent there with the runner. Import only the standard library, your runtime, and
`foxnas.runner`; numpy inside functions."""

from __future__ import annotations

from foxnas.runner.backend import Backend, Loaded, by_wall_clock
from foxnas.runner.one_image import OneImage


class MyBackend(Backend):
    """What times and serves models. Set `accelerator` to the chip's name where it is not the CPU."""

    def __init__(self):
        try:
            import ai_edge_litert
            from ai_edge_litert import interpreter
        except ImportError:
            raise RuntimeError("ai-edge-litert is not installed in this Python") from None
        self._module, self.runtime, self.version = interpreter, "litert reference", ai_edge_litert.__version__

    def _ready(self, model, threads):
        kernels = self._module.OpResolverType.BUILTIN_REF
        ready = self._module.Interpreter(
            model_content=model, num_threads=threads, experimental_op_resolver_type=kernels
        )
        ready.allocate_tensors()
        return ready, ready.get_input_details()[0], ready.get_output_details()[0]

    def load(self, model, settings):
        """Return what runs the model once, and facts of it. An exception costs this model its row, no more."""
        import numpy as np

        ready, image, _ = self._ready(model, settings["threads"])
        pixels = np.random.RandomState(settings["seed"]).randint(0, 256, image["shape"]).astype(image["dtype"])
        ready.set_tensor(image["index"], pixels)
        facts = {"batch": 1, "dtype": "int8", "signedness": "signed", "io_dtype": "uint8"}
        return Loaded(by_wall_clock(ready.invoke), {**facts, "executor": "reference", "fallback_operators": None})

    def open(self, model, threads, xnnpack):
        """Return what answers one image at a time, for the top-1 on the device."""
        ready, image, logits = self._ready(model, threads)

        def answer(pixels):
            ready.set_tensor(image["index"], pixels)
            ready.invoke()
            return ready.get_tensor(logits["index"])

        return OneImage(answer, (image["shape"], "uint8"), (logits["shape"], "uint8"))
