"""Install Arm's compiler for the Ethos-U in an environment of its own."""

from pathlib import Path

from foxnas import cli
from foxnas.errors import FoxnasError
from foxnas.ethosu.environment import install
from foxnas.ethosu.vela import version_of
from foxnas.files.tables import write_json


def main(*, made_by: cli.MadeBy, environment: Path, pins: Path, ready: Path) -> None:
    """Write which version answers there."""
    found = version_of(str(install(pins, environment)))
    if f"ethos-u-vela=={found}" not in pins.read_text().split():
        raise FoxnasError(f"{environment}: Vela {found} was installed, {pins} pins another")
    write_json(ready, {"made_by": made_by, "vela": found})


if __name__ == "__main__":
    cli.run(main)
