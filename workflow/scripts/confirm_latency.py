"""Time the verified candidates again, from the best of each budget down, until new sessions confirm one of each."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache as kept_in_memory
from functools import partial
from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.device.baseline import baseline_ms
from foxnas.device.building import build_device
from foxnas.device.common_sessions import CommonSession, hold_sessions, in_order, latency_in
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.rack import open_session
from foxnas.device.retrying import persist
from foxnas.device.whole_models import ModelLatency
from foxnas.files.identity import digest, identities
from foxnas.files.journal import Journal
from foxnas.files.tables import read_json, write_json
from foxnas.space.space import SearchSpace
from foxnas.verdict.common_sessions import Confirmations, Queue, Rule
from foxnas.verdict.confirmation import Trial, confirm


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
    budgets: list[str],
    rankings: list[Path],
    models: list[Path],
    journals: list[Path],
    confirms: str,
    latencies: Path,
) -> None:
    """Write the new sessions of every candidate that was tried, in their order, and what each came to.

    Sessions are added until it is decided whether a candidate keeps the budget, or more of them would not tell, or
    there are `most_sessions`. Where none was verified, the closest is timed for the record and cannot be confirmed.

    `budgets`, `rankings` and `journals` belong to each other; `models` has one folder per budget and batch of
    candidates. A journal keeps all sessions in which a candidate of its budget took part: those of an interrupted job
    are not made again. Where `confirms` is "all", the budgets that have a journal are confirmed in common sessions, and
    their own jobs find those there; where it is "one", there is one budget.
    """
    here = [i for i, path in enumerate(journals) if confirms == "one" or path.exists()]
    orders = {budgets[i]: read_json(rankings[i]) for i in here}
    if not orders:
        write_json(latencies, {"made_by": made_by, "device": device.name, "budgets": [], "sessions": 0})
        return
    folders = {(path.parents[1].name, path.parent.name): path for path in models}
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
        "usual": json.dumps([hashlib.sha256(reference).hexdigest()[:12], baseline]),
    }
    files: dict[str, Path] = {}

    def name_of(budget: str, row: Mapping[str, Any]) -> str:
        file = folders[budget, row["batch"]] / f"{row['id']}.tflite"
        name = f"{row['id']}-{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"
        return files.setdefault(name, file) and name

    names = {
        budget: [name_of(budget, row) for row in (order["ranked"] or [order["closest"]])[:most_candidates]]
        for budget, order in orders.items()
    }

    @kept_in_memory
    def content(name: str) -> bytes:
        return kind.prepared(files[name])

    def latency_of_model(name: str, timed: Sequence[CommonSession]) -> ModelLatency:
        return latency_in(name, timed, protocol, baseline)

    queues = {budget: Queue(orders[budget]["budget_ms"], models) for budget, models in names.items()}
    with ExitStack() as stack:
        books = {budgets[i]: stack.enter_context(Journal(journals[i], key)) for i in here}
        made = in_order(CommonSession.from_json(one) for book in books.values() for one in book.records)
        found = Confirmations(queues, Rule(sessions, most_sessions, baseline), latency_of_model, made)

        def keep(session: CommonSession) -> None:
            for budget in found.concerned(session):
                books[budget].append(session.to_json())
            found.learn(session)

        made = hold_sessions(target, protocol, content, reference, made, found.next_models, keep, spread_s=spread_s)
    if confirms == "all":
        known = {"device": target.name, "budgets": list(orders), "sessions": len(made)}
        write_json(latencies, {"made_by": made_by, **known})
        return
    ((budget, order),) = orders.items()

    def try_one(row: Mapping[str, Any]) -> Trial:
        outcome = found.outcome(budget, name_of(budget, row))
        return {
            **{name: row[name] for name in ("id", "arch", "source", "batch")},
            "latency": outcome.latency,
            "decision": asdict(outcome.decision),
            "sessions": [one.info for one in outcome.sessions],
        }

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
