"""Write the page that shows our regressions beside other people's predictors."""

from pathlib import Path

from comparisons.report.contenders import SCORES, compare
from comparisons.report.pages import write_predictors
from foxnas import cli
from foxnas.files.tables import read_table
from foxnas.report.targets import name_of


def main(
    *,
    made_by: cli.MadeBy,
    space: str,
    devices: list[str],
    accuracy_target: str,
    accuracy_form: str,
    latency_form: str,
    accuracy: Path,
    latency: list[Path],
    page: Path,
) -> None:
    """Write the page of the scores of accuracy, and of latency for each device; the forms are those searched with."""
    compared = [compare(read_table(accuracy, SCORES), name_of(accuracy_target), None, "points", accuracy_form)]
    for device, scores in zip(devices, latency, strict=True):
        compared.append(compare(read_table(scores, SCORES), "latency", device, "ms", latency_form))
    write_predictors(page, made_by, space, devices, compared)


if __name__ == "__main__":
    cli.run(main)
