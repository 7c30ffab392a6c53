"""Turn one latency budget into milliseconds."""

from pathlib import Path

from foxnas import cli
from foxnas.files.tables import write_json
from foxnas.predictor.model import Predictor
from foxnas.predictor.population import uniform_predictions
from foxnas.search.budget import Budget
from foxnas.space.pooling import pool
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    requested: str | float,
    rows: int,
    space: SearchSpace,
    sample: SampleConfig,
    tables: list[Path],
    predictors: list[Path],
    budget: Path,
) -> None:
    """Write the budget; a percentile is taken over the first `rows` subnets of every image size.

    Where the measured subnets are not a uniform sample, it is taken over what `predictors` say of a uniform one.
    """
    parsed = Budget.parse(requested)
    if predictors:
        kind = "predicted"
        latencies_ms = uniform_predictions(space, map(Predictor.load, predictors), rows, sample.seed)
    else:
        kind = "measured"
        latencies_ms = pool(tables, ["latency_ms", "usable"], rows).query("usable")["latency_ms"].to_numpy()
    budget_ms = parsed.resolve(latencies_ms)
    parsed.check_reachable(budget_ms, float(latencies_ms.min()), kind)
    write_json(
        budget,
        {
            "made_by": made_by,
            "name": parsed.name,
            "budget_ms": budget_ms,
            "kind": kind,
            "subnets": len(latencies_ms),
            "fastest_ms": float(latencies_ms.min()),
            "slowest_ms": float(latencies_ms.max()),
        },
    )


if __name__ == "__main__":
    cli.run(main)
