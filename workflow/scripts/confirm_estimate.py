"""Hold the verified candidates' estimates against the budget, from the best down."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.ethosu.verdict import decide
from foxnas.files.tables import read_json, write_json
from foxnas.verdict.confirmation import Trial, confirm


def main(*, made_by: cli.MadeBy, device: str, ranking: Path, estimated: list[Path], latencies: Path) -> None:
    """Write what each candidate that was tried came to; `estimated` has one file per batch of candidates.

    An estimate is the same however often the file is compiled, so the one that it was verified by stands.
    """
    order = read_json(ranking)
    batches = {path.parent.name: read_json(path)["models"] for path in estimated}

    def try_one(row: Mapping[str, Any]) -> Trial:
        latency = batches[row["batch"]][row["id"]]
        decision = decide(latency["median_ms"], order["budget_ms"])
        return {
            **{name: row[name] for name in ("id", "arch", "source", "batch")},
            "latency": latency,
            "decision": decision,
        }

    trials = confirm(order["ranked"], try_one)
    if not order["ranked"]:
        trials = [try_one(order["closest"])]
        trials[0] |= {"decision": trials[0]["decision"] | {"state": "not kept", "reason": order["none"]}}
    logging.info("%s: %s", trials[-1]["arch"], trials[-1]["decision"]["state"])
    known_too = {"device": device, "baseline_ms": None, "verified": len(order["ranked"])}
    write_json(latencies, {"made_by": made_by, **known_too, "tried": trials})


if __name__ == "__main__":
    cli.run(main)
