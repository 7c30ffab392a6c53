"""Turn one latency budget into milliseconds."""

from pathlib import Path

from foxnas import command
from foxnas.budget import Budget
from foxnas.measured import pool
from foxnas.tables import write_json


def main(*, requested: str | float, rows: int, tables: list[Path], budget: Path) -> None:
    """Write the budget; a percentile is taken over the first `rows` subnets of every image size."""
    parsed = Budget.parse(requested)
    latencies_ms = pool(tables, ["latency_ms", "usable"], rows).query("usable")["latency_ms"].to_numpy()
    budget_ms = parsed.resolve(latencies_ms)
    parsed.check_reachable(budget_ms, float(latencies_ms.min()))
    write_json(
        budget,
        {
            "made_by": command.made_by(__file__, {"requested": requested, "rows": rows}),
            "name": parsed.name,
            "budget_ms": budget_ms,
            "measured_subnets": len(latencies_ms),
            "fastest_measured_ms": float(latencies_ms.min()),
            "slowest_measured_ms": float(latencies_ms.max()),
        },
    )


if __name__ == "__main__":
    command.run(main)
