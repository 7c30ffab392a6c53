"""The TFLite runtimes: LiteRT or tflite-runtime, whichever is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class TfliteBackend:
    """LiteRT or tflite-runtime, whichever is installed, with or without its XNNPACK delegate."""

    def __init__(self) -> None:
        try:
            import ai_edge_litert as package
            from ai_edge_litert import interpreter
        except ImportError:
            try:
                import tflite_runtime as package
                from tflite_runtime import interpreter
            except ImportError:
                raise RuntimeError("neither ai-edge-litert nor tflite-runtime is installed in this Python") from None
        self._module = interpreter
        self.runtime = package.__name__
        self.version = str(getattr(package, "__version__", "unknown"))

    def open(self, model: bytes, threads: int, xnnpack: bool) -> Any:
        """Return an interpreter that is ready to run."""
        return open_interpreter(self._module, model, threads, xnnpack)

    def load(self, model: bytes, threads: int, xnnpack: bool, seed: int) -> tuple[Callable[[], None], int | None]:
        """Return what runs one inference, and the number of operators outside the delegate."""
        import numpy as np

        interpreter = self.open(model, threads, xnnpack)
        random = np.random.RandomState(seed)
        for tensor in interpreter.get_input_details():
            dtype, shape = np.dtype(tensor["dtype"]), tuple(tensor["shape"])
            if dtype.kind in "iu":
                limits = np.iinfo(dtype)
                value = random.randint(limits.min, int(limits.max) + 1, size=shape, dtype=dtype)
            else:
                value = random.random_sample(shape).astype(dtype)
            interpreter.set_tensor(tensor["index"], value)
        return interpreter.invoke, fallback_operators(interpreter)


def open_interpreter(module: Any, model: bytes, threads: int, xnnpack: bool) -> Any:
    """Return an allocated interpreter of a runtime's `interpreter` module.

    Without the XNNPACK delegate the runtime's own optimised kernels run every operator.
    """
    kernels = module.OpResolverType
    interpreter = module.Interpreter(
        model_content=model,
        num_threads=threads,
        experimental_op_resolver_type=kernels.AUTO if xnnpack else kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter


def fallback_operators(interpreter: Any) -> int | None:
    """Return how many operators run outside a delegate, None if this runtime does not tell.

    A delegate's node is appended to the graph's and takes over the tensors it writes, so the last node
    that writes a tensor is the one that runs. Walking back from the outputs meets what is executed,
    and nothing that a delegate has swallowed.
    """
    try:
        nodes = interpreter._get_ops_details()
    except AttributeError:
        return None
    writers = {tensor: node for node in nodes for tensor in node["outputs"] if tensor >= 0}
    wanted = [tensor["index"] for tensor in interpreter.get_output_details()]
    seen: set[int] = set()
    outside = 0
    while wanted:
        node = writers.get(wanted.pop())
        if node is None or node["index"] in seen:
            continue
        seen.add(node["index"])
        name = node["op_name"].lower()
        outside += not ("delegate" in name or name == "edgetpu-custom-op")
        wanted.extend(node["inputs"])
    return outside
