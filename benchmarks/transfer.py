"""How few probes say what a device's latencies are, from other devices' regressions: leave one device out.

    python -m benchmarks.transfer

Eleven devices, all real or a vendor's own model, were measured once by `benchmarks.transfer_measuring`: the same 330
random subnets of the demo's space at each of two image sizes. For each seed 30 subnets are held out. The other devices'
regressions are fitted to the other 300; a hundred of these are the shard that probes are chosen from. Then every device
in turn is the new one. Beside it: its own regression, fitted to its own 300, and as many probes drawn at random.

`within` is the percentage of the measured latency that 95% of the held-out subnets' predictions lie within, `rank`
Spearman's correlation; both are means over seeds and sizes. `probes` is how many the workflow would time with
`until_percent` as it is by default, and `unlike` how often it would time all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from benchmarks.transfer_measuring import SIZES, SPACE, TABLE
from foxnas.device.chosen import FIRST, MOST, STEP
from foxnas.device.like import LikeConfig
from foxnas.predictor.forms import formula_name
from foxnas.predictor.mix import Basis, fit_mix
from foxnas.predictor.model import Predictor
from foxnas.predictor.solution import least_squares_coefficients
from foxnas.space.config import read_space
from foxnas.space.terms import FloatArray, formula

HELD_OUT, SHARD = 30, 100
UNTIL = LikeConfig(devices=["any"]).until_percent


def family(device: str) -> str:
    """Return what a device shares with others: the runtime, or Vela."""
    name = device.partition("-")[0]
    return "litert" if name == "tflite" else name


def score(predicted: FloatArray, measured: FloatArray) -> dict[str, float]:
    """Return the figures of some predictions."""
    off = np.abs(predicted / measured - 1)
    return {"rank": float(stats.spearmanr(predicted, measured)[0]), "within": float(100 * np.quantile(off, 0.95))}


def one_device(
    basis: Basis, design: FloatArray, y: FloatArray, shard: FloatArray, held_out: FloatArray, order: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield the figures of one new device for each number of probes, chosen or not."""

    def judged(places: list[int]) -> dict[str, Any]:
        rows = shard[places]
        mix = fit_mix(basis, design[rows], y[rows])
        predicted = design[held_out] @ mix.coefficients
        variance = 1 + np.einsum("ij,jk,ik->i", design[held_out], mix.unscaled_covariance, design[held_out])
        half = special.stdtrit(mix.degrees_of_freedom, 0.975) * mix.scale * np.sqrt(variance)
        expected = mix.expected_error_percent(design[shard])
        off = np.abs(design[held_out] @ mix.coefficients - y[held_out])
        return {
            "probes": len(rows), "expected": expected, "covered": float(np.mean(off <= half)),
            "held": float(np.mean(off <= expected / 100 * predicted)), **score(predicted, y[held_out]),
        }  # fmt: skip

    for count in (10, 30, 60, SHARD):
        yield {"how": f"{count} probes", **judged(order[:count])}
    for count in (10, 30):
        yield {"how": f"{count} at random", **judged(list(range(count)))}
    for count in range(FIRST, MOST + 1, STEP):
        if (found := judged(order[:count]))["expected"] <= UNTIL:
            yield {"how": "until", **found, "unlike": 0.0}
            break
    else:
        yield {"how": "until", "probes": 300, "unlike": 1.0}


def figures(form: str, seeds: int, table: Path, strangers: bool) -> pd.DataFrame:
    """Return one row per size, seed, device and way."""
    space = read_space(SPACE)
    least = pd.read_csv(table).drop(columns="pass").groupby("arch", sort=True).min()
    found = []
    for size, seed in product(SIZES, range(seeds)):
        measured = least[least.index.str.startswith(f"r{size}_")]
        archs = [space.parse(str(text)) for text in measured.index]
        terms = formula(formula_name("latency", form), space)
        design = np.column_stack([np.ones(len(archs)), terms.matrix(archs)])
        held_out, rest = np.split(np.random.default_rng([seed, size]).permutation(len(archs)), [HELD_OUT])
        shard = rest[:SHARD]
        fitted = {
            name: least_squares_coefficients(design[rest][:, 1:], measured[name].to_numpy()[rest]) for name in measured
        }
        regressions = {
            name: Predictor.published("latency", "ms", size, terms, one[0], one[1:]) for name, one in fitted.items()
        }
        for device in measured:
            y = measured[device].to_numpy()
            donors = {
                name: one
                for name, one in regressions.items()
                if name != device and not (strangers and family(name) == family(device))
            }
            basis = Basis.of(donors, [archs[place] for place in shard])
            order = basis.most_telling_first([archs[place] for place in shard])
            where = {"size": size, "seed": seed, "device": device}
            found += [{**where, **one} for one in one_device(basis, design, y, shard, held_out, order)]
            found.append({**where, "how": "own 300", **score(design[held_out] @ fitted[device], y[held_out])})
    return pd.DataFrame(found)


def show(found: pd.DataFrame) -> None:
    """Print a line per device, then medians and worsts over devices."""
    means = found.groupby(["device", "how"], sort=False)[
        ["rank", "within", "expected", "covered", "held", "probes", "unlike"]
    ].mean()
    ways = ["10 probes", "30 probes", "60 probes", "own 300", "10 at random", "30 at random"]
    for name, figure, digits in (("Spearman", "rank", 3), ("95% within, %", "within", 1)):
        wide = means[figure].unstack()[ways]
        bad = min if figure == "rank" else max
        wide.loc["median"] = wide.median()
        wide.loc["worst"] = [bad(wide[way].iloc[:-1]) for way in ways]
        print(f"\n{name}\n{wide.round(digits).to_string()}")
    covered = found[found["how"].str.endswith("probes")].groupby("how")[["covered", "held"]].mean()
    print(
        "\nheld-out subnets inside 95% intervals (covered), and within the expected percentage (held)\n"
        f"{covered.round(3).to_string()}"
    )
    stops = found[found["how"] == "until"]
    per = stops.groupby("device", sort=False).agg(
        probes=("probes", "median"), unlike=("unlike", "mean"), within=("within", "mean"), held=("held", "mean")
    )
    print(
        f"\nuntil {UNTIL:g}%: median number of probes, share of runs in which all were timed, error where not\n"
        f"{per.round(3).to_string()}"
    )
    hopeless = found[found["how"].isin(["60 probes", f"{SHARD} probes"])].pivot_table(
        index=["device", "size", "seed"], columns="how", values="expected"
    )
    late = ((hopeless["60 probes"] > UNTIL) & (hopeless[f"{SHARD} probes"] <= UNTIL)).mean()
    print(f"\n{100 * late:.1f}% of runs would have been close enough with {SHARD} probes, and were not with 60")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", default="layers", help="form of all regressions, as predictors.latency_form")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--strangers", action="store_true", help="no device of the new one's runtime, or compiler")
    options = parser.parse_args()
    show(figures(options.form, options.seeds, options.table, options.strangers))


if __name__ == "__main__":
    main()
