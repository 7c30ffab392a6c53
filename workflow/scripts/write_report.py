"""Write the self-contained page that shows why the deployed models were chosen."""

from pathlib import Path

from foxnas import command
from foxnas.report.page import write_page


def main(
    *,
    space: str,
    sizes: list[int],
    devices: list[str],
    budgets: list[str],
    batches: list[str],
    further_targets: list[str],
    scores: bool,
    results: Path,
    page: Path,
) -> None:
    """Write results/report.html from the files of a finished run."""
    write_page(results, space, sizes, devices, budgets, batches, page, further_targets=further_targets, scores=scores)


if __name__ == "__main__":
    command.run(main)
