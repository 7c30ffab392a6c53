"""The files that the page shows: stated here for the rule that asks for them and for the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

#: The batch of candidates that are single-knob moves away from the best of the others.
TWIST = "twist"


def command_for(space: str, device: str) -> str:
    """Return the command that exports and measures an architecture, whose text goes where ``{arch}`` stands."""
    return f"snakemake --cores all results/{space}/deploy/{device}/arch-{{arch}}/validation.json"


@dataclass(frozen=True)
class PageFiles:
    """The files of a finished run below `results`.

    Parameters
    ----------
    space, devices, budgets
        Names, as in the folders.
    sizes
        Image sizes in pixels.
    batches
        The batches of candidates of every budget, in order: "round-1" and so on, then "twist" if there is one.
    further_targets
        Names of what else was fitted.
    with_rivals
        Devices on which off-the-shelf networks were timed beside the deployed models.
    verified
        Whether candidates were measured and deployed; else, of tables of the user's, architectures were proposed.
    acquired
        Rounds of acquisition, in order.
    sustained
        Devices on which the deployed models were run without a pause.
    """

    results: Path
    space: str
    sizes: Sequence[int]
    devices: Sequence[str]
    budgets: Sequence[str]
    batches: Sequence[str]
    further_targets: Sequence[str] = ()
    with_rivals: Sequence[str] = ()
    verified: bool = True
    acquired: Sequence[str] = ()
    sustained: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """The folder of the space."""
        return self.results / self.space

    @property
    def rounds(self) -> list[str]:
        """The batches that were searched for."""
        return [batch for batch in self.batches if batch != TWIST]

    def accuracy(self) -> dict[int, Path]:
        """Return the table of accuracies of every image size."""
        return {size: self.folder / str(size) / "accuracy.csv" for size in self.sizes}

    def latency(self, device: str) -> dict[int, Path]:
        """Return the table of latencies of every image size."""
        return {size: self.folder / str(size) / f"latency-{device}.csv" for size in self.sizes}

    def fits(self, name: str) -> dict[int, Path]:
        """Return the regressions of every image size: of "accuracy", or "<target>-<device>"."""
        return {size: self.folder / str(size) / "predictors" / f"{name}-fits.json" for size in self.sizes}

    def baselines(self, device: str) -> Path:
        """Return what the baselines came to."""
        return self.folder / "baselines" / f"{device}.json"

    def rivals(self, device: str) -> Path:
        """Return what off-the-shelf networks came to beside the deployed models."""
        return self.folder / "rivals" / device / "rivals.json"

    def proposals(self, device: str) -> Path:
        """Return what is proposed where nothing was verified."""
        return self.folder / "search" / device / "proposals.json"

    def search(self, device: str, budget: str) -> dict[str, Path]:
        """Return the files of a search, by name: of all rounds together, and of the verdict, where there is one."""
        search = self.folder / "search" / device / budget
        if not self.verified:
            return {"budget": search / "budget.json"}
        return {
            "budget": search / "budget.json",
            "candidates": search / "candidates.csv",
            "winner": search / "winner.json",
            **({"moves": search / TWIST / "moves.json"} if TWIST in self.batches else {}),
            "validation": self.folder / "deploy" / device / budget / "validation.json",
            **(
                {"sustained": self.folder / "deploy" / device / budget / "sustained.json"}
                if device in self.sustained
                else {}
            ),
        }

    def searched(self, device: str, budget: str) -> dict[str, dict[str, Path]]:
        """Return the files of every round, by name."""
        names = ("candidates.csv", "trace.csv", "frontier.csv", "certificate.json")
        search = self.folder / "search" / device / budget
        return {batch: {Path(name).stem: search / batch / name for name in names} for batch in self.rounds}

    def acquisition(self, device: str) -> dict[str, dict[str, Path]]:
        """Return the files of every round of acquisition, by name."""
        names = ("subnets.csv", "agreement.json", "accuracy.csv")
        folder = self.folder / "search" / device / "acquired"
        return {round_: {Path(name).stem: folder / round_ / name for name in names} for round_ in self.acquired}

    def model(self, device: str, budget: str) -> Path:
        """Return the deployed file, which the page links to and does not read."""
        return self.folder / "deploy" / device / budget / "model.tflite"

    def inputs(self) -> dict[str, list[str]]:
        """Return all that the page reads, as the inputs of its rule."""
        fits = ["accuracy"]
        fits += [f"{target}-{device}" for target in ("latency", *self.further_targets) for device in self.devices]
        searches = list(product(self.devices, self.budgets))
        groups = {
            "accuracy": self.accuracy().values(),
            "latency": [path for device in self.devices for path in self.latency(device).values()],
            "fits": [path for name in fits for path in self.fits(name).values()],
            "searches": [path for one in searches for path in self.search(*one).values()],
            "rounds": [path for one in searches for files in self.searched(*one).values() for path in files.values()],
            **({"acquired": acquired} if (acquired := self._acquisition_files()) else {}),
            "baselines": map(self.baselines, self.devices) if self.verified else (),
            "proposals": () if self.verified else map(self.proposals, self.devices),
            "rivals": map(self.rivals, self.with_rivals),
        }
        return {name: list(map(str, paths)) for name, paths in groups.items()}

    def _acquisition_files(self) -> list[Path]:
        rounds = [one for device in self.devices for one in self.acquisition(device).values()]
        return [path for files in rounds for path in files.values()]
