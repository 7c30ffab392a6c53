"""Say which architecture is proposed for each budget, by predictions alone."""

from pathlib import Path

from foxnas import cli
from foxnas.files.tables import read_json, read_table, write_json
from foxnas.verdict.proposals import BASIS, PREDICTED, propose


def main(
    *,
    made_by: cli.MadeBy,
    device: str,
    budgets: list[Path],
    candidates: list[Path],
    certificates: list[Path],
    proposals: Path,
) -> None:
    """Write a proposal per budget, all files in one order."""
    found = [
        propose(
            read_json(budget, ("name", "budget_ms")),
            read_table(table, PREDICTED),
            read_json(certificate, ("certificates",))["certificates"],
        )
        for budget, table, certificate in zip(budgets, candidates, certificates, strict=True)
    ]
    write_json(proposals, {"made_by": made_by, "device": device, "basis": BASIS, "budgets": found})


if __name__ == "__main__":
    cli.run(main)
