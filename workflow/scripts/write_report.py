"""Write the self-contained page that shows why the deployed models were chosen."""

from pathlib import Path

from foxnas import cli
from foxnas.report.files import PageFiles
from foxnas.report.page import write_page


def main(
    *,
    made_by: cli.MadeBy,
    space: str,
    sizes: list[int],
    devices: list[str],
    budgets: list[str],
    batches: list[str],
    further_targets: list[str],
    with_rivals: list[str],
    verified: bool,
    acquired: list[str],
    sustained: list[str],
    accuracy: list[Path],
    page: Path,
) -> None:
    """Write the page from the files of a finished run, which lie below one folder with the accuracy tables."""
    results = accuracy[0].parents[2]
    files = PageFiles(
        results, space, sizes, devices, budgets, batches, further_targets, with_rivals, verified, acquired, sustained
    )
    write_page(files, page, made_by)


if __name__ == "__main__":
    cli.run(main)
