"""Say which promises no model keeps, and fail if the config says so."""

import logging
from pathlib import Path
from typing import Literal

from foxnas import cli
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, write_json
from foxnas.verdict.promises import broken


def main(*, made_by: cli.MadeBy, unkept: Literal["fail", "report"], verdicts: list[Path], promises: Path) -> None:
    """Write every broken promise, one sentence each; `verdicts` lie in a folder per device and budget.

    Raises FoxnasError with these sentences where `unkept` is "fail".
    """
    sentences = [one for path in verdicts for one in broken(path.parent.parent.name, read_json(path), path)]
    if sentences and unkept == "fail":
        raise FoxnasError("\n".join(sentences))
    for sentence in sentences:
        logging.warning("%s", sentence)
    write_json(promises, {"made_by": made_by, "kept": not sentences, "broken": sentences})


if __name__ == "__main__":
    cli.run(main)
