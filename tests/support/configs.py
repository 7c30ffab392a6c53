"""The shipped configurations, to be changed by a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foxnas.config.whole import read_config

FOLDER = Path(__file__).resolve().parents[2] / "config"


def written_out(name: str) -> dict[str, Any]:
    """Return config/`name`.yaml with every key, those left out with their defaults."""
    return read_config(FOLDER / f"{name}.yaml").model_dump(mode="json")
