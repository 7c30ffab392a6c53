"""The TFLite runtimes: LiteRT or tflite-runtime, whichever is installed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from foxnas.runner.backend import Backend, Loaded, by_wall_clock


def find_runtime() -> tuple[Any, str, str]:
    """Return the installed runtime's `interpreter` module, its package's name and version. Raises RuntimeError."""
    try:
        import ai_edge_litert as package
        from ai_edge_litert import interpreter
    except ImportError:
        try:
            import tflite_runtime as package
            from tflite_runtime import interpreter
        except ImportError:
            raise RuntimeError("neither ai-edge-litert nor tflite-runtime is installed in this Python") from None
    return interpreter, package.__name__, str(getattr(package, "__version__", "unknown"))


class TfliteBackend(Backend):
    """A TFLite runtime with or without its XNNPACK delegate."""

    def __init__(self) -> None:
        self._module, self.runtime, self.version = find_runtime()

    def open(self, model: bytes, threads: int, xnnpack: bool) -> Any:
        """Return an interpreter that is ready to run."""
        return open_interpreter(self._module, model, threads, xnnpack)

    def load(self, model: bytes, settings: dict[str, Any]) -> Loaded:
        """Return a model that is ready to run. Raises RuntimeError when XNNPACK is wanted and takes nothing."""
        interpreter = self.open(model, settings["threads"], settings["xnnpack"])
        loaded = with_random_input(interpreter, settings["seed"])
        delegates = loaded.facts.pop("delegates")
        if settings["xnnpack"] and delegates == 0:
            raise RuntimeError(
                "the XNNPACK delegate took no operator of this model: the runtime is built without it, or cannot "
                "tell what CPU this is (/proc/cpuinfo); set the protocol's xnnpack to false"
            )
        loaded.facts["executor"] = "xnnpack" if settings["xnnpack"] else "own kernels"
        return loaded


def open_interpreter(module: Any, model: bytes, threads: int, xnnpack: bool) -> Any:
    """Return an allocated interpreter of a runtime's `interpreter` module.

    Without the XNNPACK delegate the runtime's own optimised kernels run every operator.
    """
    interpreter = module.Interpreter(
        model_content=model,
        num_threads=threads,
        experimental_op_resolver_type=resolver(module, xnnpack),
    )
    interpreter.allocate_tensors()
    return interpreter


def resolver(module: Any, xnnpack: bool) -> Any:
    """Return the runtime's setting that lets XNNPACK take operators unasked, or not."""
    kernels = module.OpResolverType
    return kernels.AUTO if xnnpack else kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def with_random_input(interpreter: Any, seed: int) -> Loaded:
    """Fill the inputs and return the interpreter as a model that is ready to run."""
    import numpy as np

    random = np.random.RandomState(seed)
    inputs = interpreter.get_input_details()
    for tensor in inputs:
        dtype, shape = np.dtype(tensor["dtype"]), tuple(tensor["shape"])
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            value = random.randint(limits.min, int(limits.max) + 1, size=shape, dtype=dtype)
        else:
            value = random.random_sample(shape).astype(dtype)
        interpreter.set_tensor(tensor["index"], value)
    image = np.dtype(inputs[0]["dtype"])
    arithmetic = _arithmetic(interpreter) or image
    fallback, delegates = count_operators(interpreter)
    facts = {
        "batch": int(inputs[0]["shape"][0]),
        "dtype": arithmetic.name,
        "signedness": "unsigned" if arithmetic.kind == "u" else "signed",
        "io_dtype": image.name,
        "fallback_operators": fallback,
        "delegates": delegates,
    }
    return Loaded(by_wall_clock(interpreter.invoke), facts)


def nodes_of(interpreter: Any) -> list[dict[str, Any]] | None:
    """Return the graph's operators and, after them, its delegates; None if this runtime does not tell."""
    try:
        nodes: list[dict[str, Any]] = interpreter._get_ops_details()
    except AttributeError:
        return None
    return nodes


def _is_delegate(node: dict[str, Any]) -> bool:
    return "delegate" in node["op_name"].lower()


def _arithmetic(interpreter: Any) -> Any:
    """Return the type that most of a model's operators write, None if this runtime does not tell."""
    import numpy as np

    nodes = [node for node in nodes_of(interpreter) or () if node.get("result_types")]
    written = Counter(np.dtype(node["result_types"][0]) for node in nodes)
    return written.most_common(1)[0][0] if written else None


def fallback_operators(interpreter: Any) -> int | None:
    """Return how many operators run outside a delegate, None if this runtime does not tell."""
    return count_operators(interpreter)[0]


def count_operators(interpreter: Any) -> tuple[int | None, int | None]:
    """Return how many operators run outside a delegate, and how many delegates run; None if this runtime does not tell.

    A delegate's node is appended to the graph's and takes over the tensors it writes, so the last node
    that writes a tensor is the one that runs. Walking back from the outputs meets what is executed,
    and nothing that a delegate has swallowed.
    """
    nodes = nodes_of(interpreter)
    if nodes is None:
        return None, None
    writers = {tensor: node for node in nodes for tensor in node["outputs"] if tensor >= 0}
    wanted = [tensor["index"] for tensor in interpreter.get_output_details()]
    seen: set[int] = set()
    outside = delegates = 0
    while wanted:
        node = writers.get(wanted.pop())
        if node is None or node["index"] in seen:
            continue
        seen.add(node["index"])
        delegates += _is_delegate(node)
        outside += not _is_delegate(node)
        wanted.extend(node["inputs"])
    return outside, delegates
