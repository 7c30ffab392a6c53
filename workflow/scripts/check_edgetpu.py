"""Say what would keep a model from the Edge TPU."""

import sys
from pathlib import Path

from foxnas import cli
from foxnas.edgetpu.check import blocking, check_model
from foxnas.edgetpu.known import NEWEST_RUNTIME


def main(*, model: Path, runtime: int = NEWEST_RUNTIME) -> None:
    """Print a line for everything that would fail or run on the CPU; the exit status is 1 if anything would fail."""
    found = check_model(model.read_bytes(), runtime)
    print("\n".join(map(str, found)) or f"{model}: nothing that the Edge TPU compiler is known to refuse")
    if blocking(found):
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
