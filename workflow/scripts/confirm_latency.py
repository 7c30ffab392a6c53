"""Time the verified candidates again, from the best down, until new sessions confirm one."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foxnas import cli
from foxnas.device.baseline import baseline_ms
from foxnas.device.building import build_device
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.rack import open_session
from foxnas.device.retrying import persist
from foxnas.device.whole_models import ModelLatency, measure_models
from foxnas.files.identity import digest, identities
from foxnas.files.journal import Journal
from foxnas.files.tables import read_json, write_json
from foxnas.space.space import SearchSpace
from foxnas.verdict.confirmation import Trial, confirm
from foxnas.verdict.decision import is_over
from foxnas.verdict.verification import latency_of


def main(
    *,
    made_by: cli.MadeBy,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    space: SearchSpace,
    sessions: int,
    most_sessions: int,
    spread_s: float,
    most_candidates: int | None,
    sampled: list[Path],
    references: Path | None = None,
    cache: Path | None = None,
    ranking: Path,
    models: list[Path],
    journal: Path,
    latencies: Path,
) -> None:
    """Write the new sessions of every candidate that was tried, in their order, and what each came to.

    Sessions are added until it is decided whether a candidate keeps the budget, or more of them would not tell, or
    there are `most_sessions`. Where
    none was verified, the closest is timed for the record and cannot be confirmed. `models` has one folder per batch
    of candidates. A candidate that an interrupted job has decided is taken from the journal.
    """
    order = read_json(ranking)
    budget_ms = order["budget_ms"]
    folders = {path.parent.name: path for path in models}
    kind = kind_of(device.kind)
    target, protocol = build_device(
        device,
        access,
        provisioning,
        identities(sampled),
        partial(kind.comparison_probes, space, references, cache),
    )
    reference, written_by = kind.reference(space, references, cache)
    baseline = baseline_ms(sampled, written_by, protocol)

    def hello() -> tuple[str, dict[str, Any]]:
        with open_session(target, protocol) as runner:
            return str(runner.hello["runner"]), runner.identity

    runner, identity = persist(target, hello, lambda: 0)
    key = {
        "settings": made_by["settings_sha256"],
        "code": made_by["code"],
        "runner": runner,
        "device": digest(identity),
        "promise": json.dumps([budget_ms, baseline]),
    }

    def enough(found: ModelLatency) -> bool:
        return is_over(found.session_medians_ms, budget_ms, found.reference_medians_ms, baseline, sessions)

    with Journal(journal, key) as book:
        known = {(record["id"], record["model"]): record["trial"] for record in book.records}

        def try_one(row: Mapping[str, Any]) -> Trial:
            content = kind.prepared(folders[row["batch"]] / f"{row['id']}.tflite")
            place = row["id"], hashlib.sha256(content).hexdigest()[:12]
            if place not in known:
                measured, info = measure_models(
                    target,
                    protocol,
                    {row["id"]: content},
                    reference,
                    sessions,
                    np.random.default_rng(protocol.seed),
                    baseline_ms=baseline,
                    most_sessions=most_sessions,
                    spread_s=spread_s,
                    enough=enough,
                )
                latency = measured[row["id"]].to_json()
                known[place] = {
                    **{name: row[name] for name in ("id", "arch", "source", "batch")},
                    "latency": latency,
                    "decision": asdict(latency_of(latency, baseline, budget_ms, sessions)),
                    "sessions": info["sessions"],
                }
                book.append({"id": place[0], "model": place[1], "trial": known[place]})
            return known[place]

        trials = confirm(order["ranked"], try_one, most_candidates)
        if not order["ranked"]:
            trials = [try_one(order["closest"])]
            trials[0] |= {"decision": trials[0]["decision"] | {"state": "not kept", "reason": order["none"]}}
    last = trials[-1]["decision"]["state"]
    logging.info("%d of %d candidates tried, the last one: %s", len(trials), max(len(order["ranked"]), 1), last)
    known_too = {"device": target.name, "identity": identity, "baseline_ms": baseline, "verified": len(order["ranked"])}
    write_json(latencies, {"made_by": made_by, **known_too, "tried": trials})


if __name__ == "__main__":
    cli.run(main)
