"""Write the page that shows what every strategy found, and what that is worth."""

from pathlib import Path

from comparisons.report.pages import read_budget, write_strategies
from foxnas import cli
from foxnas.accuracy.outcomes import TARGETS
from foxnas.files.identity import identities_of_tables, require_same
from foxnas.space.pooling import accuracy_and_latency


def main(
    *,
    made_by: cli.MadeBy,
    space: str,
    devices: list[str],
    target: str,
    accuracy: list[Path],
    latency: list[Path],
    budgets: list[Path],
    traces: list[Path],
    found: list[Path],
    found_accuracy: list[Path],
    found_latency: list[Path],
    page: Path,
) -> None:
    """Write the page.

    `accuracy` has a table of the sample for every image size, `latency` likewise for one device after the other, and
    the others have a file for every budget of one device after the other.
    """
    files = list(zip(budgets, traces, found, found_accuracy, found_latency, strict=True))
    sizes, count = len(accuracy), len(budgets) // len(devices)
    shown = {}
    for i, device in enumerate(devices):
        sample = latency[i * sizes : (i + 1) * sizes]
        for table in found_latency[i * count : (i + 1) * count]:
            for identity in identities_of_tables([table]):
                require_same(device, identities_of_tables(sample), identity, f"what measured {table}")
        random = accuracy_and_latency(accuracy, sample, TARGETS[target])
        shown[device] = [read_budget(*one, random, target) for one in files[i * count : (i + 1) * count]]
    write_strategies(page, made_by, space, target, shown)


if __name__ == "__main__":
    cli.run(main)
