"""The files of envs/, read as their tests need them."""

from pathlib import Path

from packaging.requirements import Requirement

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "envs"


def read_pins(path: Path) -> dict[str, set[str]]:
    """Return every version that an environment file pins, by name, whatever the marker."""
    pins: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        if text := line.split("#")[0].strip():
            requirement = Requirement(text)
            pins.setdefault(requirement.name, set()).add(str(requirement.specifier).removeprefix("=="))
    return pins
