"""Identities of devices, as artefacts record them, held against each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from foxnas.errors import FoxnasError
from foxnas.files.rerun import rerun
from foxnas.files.tables import read_json, read_provenance

Identity = Mapping[str, Any]

#: Names that older records lack: there they are not compared.
_ADDED = ("kernel", "governor")

_WORDS = {"cpu": "CPU", "runtime_version": "runtime version"}


def digest(identity: Identity) -> str:
    """Return what stands for an identity in the key of a journal."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def changes(before: Identity, now: Identity) -> str:
    """Return what is another in `now`, in words: ``kernel "6.1" -> "6.8"``; empty if nothing is."""
    names = [name for name in {**before, **now} if name not in _ADDED or (name in before and name in now)]
    return ", ".join(
        f"{_WORDS.get(name, name)} {json.dumps(before.get(name))} -> {json.dumps(now.get(name))}"
        for name in names
        if before.get(name) != now.get(name)
    )


def identities(sessions: Sequence[Path]) -> list[Identity]:
    """Return what measured the sample, from what each shard says of its sessions."""
    return [found for path in sessions if (found := read_json(path).get("identity"))]


def identities_of_tables(tables: Sequence[Path]) -> list[Identity]:
    """Return what measured these tables, or the shards that they join."""
    made_by = [read_provenance(table) for table in tables]
    records = [record for one in made_by for record in one.get("shards") or [one]]
    return [found for record in records if (found := record.get("identity"))]


def require_same(
    device: str, sampled: Iterable[Identity], now: Identity, what: str = "this device", way_out: str = ""
) -> None:
    """Raise FoxnasError naming what changed when `what` is not the device that the sample was measured on.

    Unless the `way_out` is another, one may go back, rename the device, or measure the sample again.
    """
    for before in sampled:
        if changed := changes(before, now):
            rule = "time_compiled" if now.get("backend") == "edgetpu" else "time_subnets"
            raise FoxnasError(
                f"device {device}: {what} is not the one that its sample was measured on: {changed}. "
                + (
                    way_out
                    or "Go back to that one, give the new one a name of its own, or measure all devices again: "
                    f"{rerun(rule)}; docs/how-to/promises.md says how to measure this one alone"
                )
            )
