"""How the latency of a device that is likened to others came to be a mix of theirs, size by size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foxnas.report.data import Fits


@dataclass(frozen=True)
class Mixed:
    """The mix of one image size."""

    image_size: int
    sampled: int
    timed: int
    enough: bool
    """Whether few probes were; else the device is unlike the others, and all subnets were timed."""
    probed: int
    """Probes at the last judgement, and what it came to: 95% of subnets expected within so many percent."""
    probed_percent: float | None
    expected_percent: float | None
    """The same of the mix that the search used; of a device unlike the others, held out, of its own regression."""
    until_percent: float
    weights: str
    donors: str
    """What as many measurements as they have gave of the other devices: the same percentage, held out."""

    @property
    def outdated(self) -> bool:
        """Whether the other devices' regressions are not what they were when probes were chosen."""
        return self.enough and (self.expected_percent is None or self.expected_percent > self.until_percent)


def mixes(fits: Mapping[int, Fits]) -> list[Mixed]:
    """Return one line per image size; none where the device is not likened to others."""
    return [_mixed(size, one.like) for size, one in fits.items() if one.like]


def _mixed(size: int, like: Mapping[str, Any]) -> Mixed:
    last = like["judgements"][-1]
    weights = [f"{weight:.2g} \u00d7 {name}" for name, weight in like["weights"].items() if weight]
    donors = [f"{name} {one['error_percent']:.1f}% ({one['rows']})" for name, one in like["donors"].items()]
    return Mixed(
        image_size=size,
        sampled=like["sampled"],
        timed=like["timed"],
        enough=like["enough"],
        probed=last["probes"],
        probed_percent=last["error_percent"],
        expected_percent=like["error_percent"],
        until_percent=like["until_percent"],
        weights=" + ".join(weights) or "none of them",
        donors=", ".join(donors),
    )
