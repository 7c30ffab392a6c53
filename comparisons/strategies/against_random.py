"""Measured relative improvement of a search strategy over random architectures.

The protocol of Yang, Esperança and Carlucci, *NAS evaluation is frustratingly hard* (ICLR 2020): a strategy's
worth is 100 x (acc - acc_random) / acc_random, where acc_random is the mean accuracy of random architectures
of the same space, trained and evaluated alike. Here both are measured on the same images with the same
supernet, and random architectures are those of the uniform sample that were measured within the budget,
as the strategies had to keep it.
"""

from __future__ import annotations

import pandas as pd

from foxnas.errors import FoxnasError

#: Of the table of what the strategies found: what is predicted of it, the subnets whose accuracy was predicted on the
#: way, and the seconds of training.
FOUND_COLUMNS = ["strategy", "seed", "id", "arch", "accuracy", "latency_ms", "calls", "training_s"]


def relative_improvement(
    found: pd.DataFrame, measured: pd.DataFrame, random: pd.DataFrame, target: str, budget_ms: float
) -> pd.DataFrame:
    """Return one row a strategy, best improvement first.

    Parameters
    ----------
    found
        The best architecture of every strategy and seed by prediction: `FOUND_COLUMNS`; "exact" has the optimum.
    measured
        Of each of those architectures: id, `target` (percent), latency_ms.
    random
        Measured subnets of the uniform sample: `target`, latency_ms.

    Returns
    -------
    DataFrame
        strategy; seeds; architectures (distinct ones found); calls and training_s (means over seeds); predicted and
        measured (means over seeds, percent); improvement_percent, its smallest and largest over seeds; kept_percent,
        the share of seeds whose architecture measured within the budget; gap, of predicted to the optimum, in points.

    Raises
    ------
    FoxnasError
        No random subnet is within the budget, or an architecture was not measured.
    """
    within = random.loc[random["latency_ms"] <= budget_ms, target]
    if within.empty:
        raise FoxnasError(
            f"no random subnet was measured within {budget_ms:.4g} ms, so there is no improvement on them"
        )
    rows = found.merge(measured[["id", target, "latency_ms"]], on="id", how="left", suffixes=("_predicted", ""))
    if rows[target].isna().any():
        raise FoxnasError(f"{rows.loc[rows[target].isna(), 'arch'].iloc[0]}: was found by a strategy but not measured")
    rows["improvement"] = 100 * (rows[target] - within.mean()) / within.mean()
    rows["kept"] = 100.0 * (rows["latency_ms"] <= budget_ms)
    by_strategy = rows.groupby("strategy", sort=False)
    summary = by_strategy.agg(
        seeds=("seed", "size"),
        architectures=("id", "nunique"),
        calls=("calls", "mean"),
        training_s=("training_s", "mean"),
        predicted=("accuracy", "mean"),
        measured=(target, "mean"),
        improvement_percent=("improvement", "mean"),
        smallest=("improvement", "min"),
        largest=("improvement", "max"),
        kept_percent=("kept", "mean"),
    )
    summary["gap"] = found.loc[found["strategy"] == "exact", "accuracy"].max() - summary["predicted"]
    return summary.sort_values("improvement_percent", ascending=False, kind="stable").reset_index()
