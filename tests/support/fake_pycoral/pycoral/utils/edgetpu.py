"""The two functions of pycoral that the runner calls. The "Edge TPU" is this machine's CPU.

The fake compiler's models are their own sources, so an ordinary interpreter runs them; it says of itself what a
compiled model would: that one operator, the compiled one, is all there is.
"""

from typing import Any

from ai_edge_litert.interpreter import Interpreter


class FakeCompiled(Interpreter):
    """An interpreter that shows its graph as the compiler would have left it."""

    def _get_ops_details(self) -> list[dict[str, Any]]:
        nodes = super()._get_ops_details()
        return [dict(nodes[0], op_name="edgetpu-custom-op", outputs=[o["index"] for o in self.get_output_details()])]


def load_edgetpu_delegate(options: Any = None) -> object:
    """Stand for the delegate that keeps the stick open."""
    return object()


def make_interpreter(model_path_or_content: Any, device: Any = None, delegate: Any = None) -> FakeCompiled:
    """Return an interpreter of a "compiled" model; tensors are not allocated yet."""
    return FakeCompiled(model_content=bytes(model_path_or_content))
