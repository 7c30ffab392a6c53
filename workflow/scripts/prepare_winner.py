"""Write a deployed model in the form that a kind of device serves."""

from pathlib import Path

from foxnas import cli
from foxnas.device.config import MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.files.tables import replacing


def main(*, device: MeasuredConfig, winner: Path, exported: Path, model: Path) -> None:
    """Write what was timed of the exported file; `winner` says which that is."""
    content = kind_of(device.kind).prepared(exported)
    with replacing(model) as temporary:
        temporary.write_bytes(content)


if __name__ == "__main__":
    cli.run(main)
