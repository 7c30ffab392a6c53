"""The two functions of pycoral that the runner calls. The "Edge TPU" is this machine's XNNPACK delegate.

The fake compiler's models are their own sources, so XNNPACK runs them, and a delegate is there to be counted.
"""

from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType


def load_edgetpu_delegate(options: Any = None) -> object:
    """Stand for the delegate that keeps the stick open."""
    return object()


def make_interpreter(model_path_or_content: Any, device: Any = None, delegate: Any = None) -> Interpreter:
    """Return an interpreter whose delegate takes what it can of the model; tensors are not allocated yet."""
    return Interpreter(model_content=bytes(model_path_or_content), experimental_op_resolver_type=OpResolverType.AUTO)
